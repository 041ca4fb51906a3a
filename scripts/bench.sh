#!/usr/bin/env bash
# What an RPC costs that is traced, by otel-runtime and by everyone else: one table, of instructions, allocations and time.
#
# Beside the programs, in the target directory, it leaves table.txt and table.json, and in docs/ the chart that the README shows.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$(bash scripts/bench-programs.sh)
"$directory/unbound" table "$directory"
cp "$directory/chart.svg" docs/bench.svg
echo
echo "$directory/table.txt, $directory/table.json, docs/bench.svg"
