#!/usr/bin/env bash
# What tracing costs a server under load: throughput, latency and processor time, by the number of streams, on one core and on two;
# and whether threads wait for one another. About 12 minutes, on a machine that does nothing else; with --quick, one, for a trial.
#
# Beside the programs, in the target directory, it leaves scale.txt, scale.json, and scale.md, which is what docs/scale.md shows.
#
#     scripts/scale.sh [--quick]
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in h2load:nghttp2-client taskset:util-linux valgrind:valgrind; do
    if ! command -v "${tool%:*}" >/dev/null; then
        echo "${tool%:*} is not here. On Debian: apt-get install ${tool#*:}" >&2
        exit 1
    fi
done

manifest=benches/Cargo.toml
target=$(cargo metadata --format-version 1 --no-deps --locked --manifest-path $manifest | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
directory=$target/scale
mkdir -p "$directory"

cargo build --quiet --release --locked --manifest-path $manifest --package scale
cp "$target/release/scale" "$directory/unbound"
cargo build --quiet --release --locked --manifest-path $manifest --package scale --features bound
cp "$target/release/scale" "$directory/bound"

"$directory/unbound" table "$directory" "$@"
echo
echo "$directory/scale.txt, $directory/scale.json, $directory/scale.md"
