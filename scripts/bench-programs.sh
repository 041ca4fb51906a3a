#!/usr/bin/env bash
# Builds the two programs that measure, and says which directory they are in: `unbound` and `bound` (see benches/Cargo.toml).
#
#     scripts/bench-programs.sh [CARGO BUILD'S ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind >/dev/null; then
    echo "instructions are counted by valgrind, which is not here: installing it" >&2
    { apt-get update -qq && apt-get install -y -qq valgrind; } >&2 || {
        echo "install valgrind, and try again" >&2
        exit 1
    }
fi

manifest=benches/Cargo.toml
target=$(cargo metadata --format-version 1 --no-deps --locked --manifest-path $manifest | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
directory=$target/bench
mkdir -p "$directory"

cargo build --quiet --release --locked --manifest-path $manifest "$@"
cp "$target/release/benches" "$directory/unbound"
cargo build --quiet --release --locked --manifest-path $manifest "$@" --features bound
cp "$target/release/benches" "$directory/bound"
echo "$directory"
