#!/usr/bin/env bash
# Fails where an RPC costs over 3% more instructions or allocations than benches/baseline.tsv says.
#
# With --update it writes that file anew: for a change that costs more on purpose, or one that costs less.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$(bash scripts/bench-programs.sh --no-default-features)
"$directory/unbound" guard "$directory" "$@"
