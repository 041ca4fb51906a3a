#!/usr/bin/env bash
# Everything that has to hold beside the tests. CI runs it; run it before you send a change.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_deny_version=0.20.2

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

documented() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
}

# The quickstart ends by itself, and shows every RPC it made.
quickstart_shows_all_traces() {
    local traces
    traces=$(cargo run --quiet --locked --package examples | grep --count '^trace ')
    [ "$traces" -eq 10 ] || {
        echo "the quickstart shows $traces traces instead of 10" >&2
        return 1
    }
}

# Both crates, as they would be published, built from nothing but what is in their packages.
packaged() {
    cargo package --quiet --locked --allow-dirty --package otel-macros --package otel-runtime
}

licences_and_versions() {
    local tools=target/tools
    if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $cargo_deny_version" ]; then
        cargo install --quiet --locked --root "$tools" "cargo-deny@$cargo_deny_version"
    fi
    "$tools/bin/cargo-deny" --locked check bans licenses sources
}

step cargo fmt --all --check
step cargo fmt --manifest-path test-beds/Cargo.toml --check
step cargo clippy --workspace --all-targets --locked -- -D warnings
step cargo clippy --package otel-runtime --lib --no-default-features --locked -- -D warnings
step cargo clippy --package otel-runtime --lib --no-default-features --features console --locked -- -D warnings
step cargo clippy --manifest-path test-beds/Cargo.toml --all-targets --locked -- -D warnings
step documented
step quickstart_shows_all_traces
step packaged
step licences_and_versions
