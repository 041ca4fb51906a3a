#!/usr/bin/env bash
# Everything that has to hold beside the tests. CI runs it; run it before you send a change.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_deny_version=0.20.2
cargo_fuzz_version=0.13.2
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

# As docs.rs does it: with the features' badges, which are a nightly compiler's.
documented_as_on_docs_rs() {
    local package
    for package in otel-runtime otel-setup; do
        RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=target/docsrs \
            cargo rustdoc --package "$package" --all-features --locked -- --cfg docsrs -D warnings
    done
    grep --quiet 'Available on .*crate feature .*channel' target/docsrs/doc/otel_runtime/struct.TracedChannel.html
    grep --quiet 'Available on .*crate feature .*otlp' target/docsrs/doc/otel_setup/enum.Protocol.html
}

# All three crates, as they would be published, built from nothing but what is in their packages.
packaged() {
    cargo package --quiet --locked --allow-dirty --package otel-macros --package otel-runtime --package otel-setup
}

# What is in their packages is what belongs there, and nothing else.
contents() {
    contains otel-macros snapshots
    contains otel-runtime
    contains otel-setup docs
}

contains() {
    local package=$1 expected found
    shift
    expected=$(printf '%s\n' .cargo_vcs_info.json Cargo.lock Cargo.toml Cargo.toml.orig LICENSE-APACHE LICENSE-MIT README.md src "$@" | LC_ALL=C sort)
    found=$(cargo package --list --locked --allow-dirty --package "$package" | cut --delimiter=/ --fields=1 | LC_ALL=C sort --unique)
    diff <(echo "$expected") <(echo "$found") || {
        echo "the package of $package does not contain what it should" >&2
        return 1
    }
    # A licence that is a link is there as the text it leads to.
    grep --quiet 'Apache License' "$package/LICENSE-APACHE"
    grep --quiet 'Permission is hereby granted' "$package/LICENSE-MIT"
}

# The oldest compiler is not here to try. Clippy's `incompatible_msrv` sees to what the crates use of the standard library; and of what they bring, none may ask for a newer one.
no_dependency_needs_a_newer_compiler() {
    cargo metadata --locked --all-features --format-version 1 | python3 -c '
import json, sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
version = lambda package: tuple(map(int, (package["rust_version"] or "0").split(".")[:2]))
todo = [id for id, package in packages.items() if package["name"] in ("otel-runtime", "otel-setup")]
oldest = version(packages[todo[0]])
seen = set()
while todo:
    id = todo.pop()
    if id not in seen:
        seen.add(id)
        todo += [edge["pkg"] for edge in edges[id] if any(kind["kind"] != "dev" for kind in edge["dep_kinds"])]
newer = ["{name} {version} needs Rust {rust_version}".format(**packages[id]) for id in seen if version(packages[id]) > oldest]
print(f"{len(seen)} packages, all for Rust {oldest[0]}.{oldest[1]}" if not newer else "\n".join(newer))
sys.exit(bool(newer))
'
}

# The lowest versions that Cargo.toml allows of what the crates depend on do: of those that they name, with the newest of what these need.
minimal_versions() {
    local copy=target/minimal-versions
    rm -rf "$copy"
    mkdir -p "$copy"
    cp --recursive --dereference Cargo.toml otel-macros otel-runtime otel-setup "$copy"
    (
        cd "$copy"
        sed -i 's/^members = .*/members = ["otel-macros", "otel-runtime", "otel-setup"]/' Cargo.toml
        # What tests need has no say.
        sed -i '/^\[dev-dependencies\]$/,/^\[/{/^\[dev-dependencies\]$/d;/^\[/!d}' ./*/Cargo.toml
        RUSTC_BOOTSTRAP=1 cargo -Z direct-minimal-versions generate-lockfile --quiet
        CARGO_TARGET_DIR=../minimal-versions-built cargo check --quiet --workspace --all-features --locked
    )
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

# Features add up: each crate builds with none, with each alone, and with each two.
features() {
    local lints=(--package otel-runtime --package otel-setup --lib --locked -- -D warnings)
    command_of hack "$cargo_hack_version"
    cargo hack clippy --each-feature "${lints[@]}"
    cargo hack clippy --feature-powerset --depth 2 --exclude-features default "${lints[@]}"
}

# What reads a stranger's bytes, with the corpus and with what ten seconds bring up. What is found stays out of the corpus: fuzz/README.md.
fuzzed() {
    command_of fuzz "$cargo_fuzz_version"
    cargo update --quiet --manifest-path fuzz/Cargo.toml --workspace --locked
    local target found
    (
        cd fuzz
        cargo fuzz build --sanitizer none
        for target in $(cargo fuzz list); do
            found="target/found/$target"
            mkdir -p "$found"
            cargo fuzz run --sanitizer none "$target" "$found" "corpus/$target" -- -max_total_time=10 -timeout=10 -verbosity=0 -print_final_stats=1
        done
    )
}

step cargo fmt --all --check
step cargo fmt --manifest-path peers/services/Cargo.toml --check
step cargo fmt --manifest-path examples/jaeger/Cargo.toml --check
step cargo fmt --manifest-path benches/Cargo.toml --all --check
step cargo fmt --manifest-path fuzz/Cargo.toml --check
step cargo clippy --workspace --all-targets --locked -- -D warnings
step cargo clippy --manifest-path peers/services/Cargo.toml --all-targets --locked -- -D warnings
step protoc --version
step cargo clippy --manifest-path examples/jaeger/Cargo.toml --all-targets --locked -- -D warnings
step cargo clippy --manifest-path benches/Cargo.toml --workspace --all-targets --all-features --locked -- -D warnings
step documented
step documented_as_on_docs_rs
step quickstart_shows_all_traces
step features
step contents
step packaged
step no_dependency_needs_a_newer_compiler
step minimal_versions
step fuzzed
step licences_and_versions
