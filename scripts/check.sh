#!/usr/bin/env bash
# Everything that has to hold beside the tests. CI runs it; run it before you send a change.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_deny_version=0.20.2
cargo_hack_version=0.6.46

# Where the tools are that this script installs: cargo finds its commands on the path.
export PATH="$PWD/target/tools/bin:$PATH"

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

# Makes `cargo COMMAND` one of this version.
command_of() {
    local command=$1 version=$2
    if [ "$(cargo "$command" --version 2>/dev/null)" != "cargo-$command $version" ]; then
        cargo install --quiet --locked --root target/tools "cargo-$command@$version"
    fi
}

licences_and_versions() {
    command_of deny "$cargo_deny_version"
    cargo deny --locked check bans licenses sources
}

# Features add up: the runtime builds with none, with each alone, and with each two. Those that others bring along are built alone only.
features() {
    local lints=(--package otel-runtime --lib --locked -- -D warnings)
    command_of hack "$cargo_hack_version"
    cargo hack clippy --each-feature "${lints[@]}"
    cargo hack clippy --feature-powerset --depth 2 --exclude-features default,console,propagators,spawn,telemetry "${lints[@]}"
}

step cargo fmt --all --check
step cargo fmt --manifest-path test-beds/Cargo.toml --check
step cargo fmt --manifest-path benches/Cargo.toml --check
step cargo clippy --workspace --all-targets --locked -- -D warnings
step cargo clippy --manifest-path test-beds/Cargo.toml --all-targets --locked -- -D warnings
step cargo clippy --manifest-path benches/Cargo.toml --all-targets --all-features --locked -- -D warnings
step documented
step quickstart_shows_all_traces
step features
step packaged
step licences_and_versions
