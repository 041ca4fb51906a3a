#!/usr/bin/env bash
# What a method adds to a server: bytes of machine code, in release builds, without a trace, with the attribute, and with `#[tracing::instrument]`;
# and what a thousand of them do to its start and its memory.
#
# Code is the difference of two programs, of 50 methods and of 100, divided by 50: each method has a request and a reply of its own, as most have.
# cargo's own release profile: no LTO, 16 units. Memory and start are the median of 11 runs. Half an hour on two cores; most of it is the compiler
# at the two servers of a thousand methods, which the argument `code` leaves out.
#
# It leaves methods.txt, methods.json, and methods.md, which is what docs/scale.md shows.
#
#     scripts/methods.sh [code]
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in size:binutils jq:jq; do
    if ! command -v "${tool%:*}" >/dev/null; then
        echo "${tool%:*} is not here. On Debian: apt-get install ${tool#*:}" >&2
        exit 1
    fi
done

what=${1:-all}
runs=11
manifest=benches/Cargo.toml
target=$(cargo metadata --format-version 1 --no-deps --locked --manifest-path $manifest | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
directory=$target/methods
export CARGO_INCREMENTAL=0
mkdir -p "$directory"

# Builds a server, and says where it is. Its file tells how many methods it has, of which kind, and what traces them.
program() {
    local methods=$1 kind=$2 tracing=$3
    echo "$methods $kind $tracing" >&2
    METHODS=$methods KIND=$kind TRACING=$tracing cargo build --quiet --release --locked --manifest-path $manifest --package methods
    cp "$target/release/methods" "$directory/$methods-$kind-$tracing"
    echo "$directory/$methods-$kind-$tracing"
}

# Bytes of code, and of all that is read only or has a value from the start.
bytes() {
    size --format=sysv --radix=10 "$1" | awk '$1 == ".text" { text = $2 } $1 ~ /^\.(text|rodata|eh_frame|eh_frame_hdr|gcc_except_table|data|data.rel.ro|bss|rela.dyn)$/ { all += $2 } END { print text, all }'
}

code() {
    local kind tracing small large text all
    for kind in unary stream; do
        for tracing in bare attribute instrument; do
            large=$(program 100 $kind $tracing)
            small=$(program 50 $kind $tracing)
            read -r text all < <(paste <(bytes "$large") <(bytes "$small") | awk '{ print ($1 - $3) / 50, ($2 - $4) / 50 }')
            jq --null-input --arg kind $kind --arg tracing $tracing --argjson text "$text" --argjson all "$all" \
                '{kind: $kind, tracing: $tracing, code: $text, code_and_data: $all}'
        done
    done
}

# Microseconds of the start, KiB after it, microseconds of a first call, KiB after a call of each method: each the median.
median_run() {
    local column
    for _ in $(seq $runs); do "$@"; done >"$directory/runs"
    for column in 1 2 3 4; do
        cut --delimiter=' ' --fields=$column "$directory/runs" | sort --numeric-sort | sed -n "$(((runs + 1) / 2))p"
    done | paste --serial --delimiters=' '
}

thousand() {
    local methods tracing server
    for methods in 1 1000; do
        for tracing in bare attribute layer; do
            # The layer is there if asked for, in the same program.
            server=$directory/$methods-unary-${tracing/layer/attribute}
            [ $tracing = layer ] || server=$(program $methods unary $tracing)
            read -r start memory first after < <(median_run "$server" $tracing)
            jq --null-input --arg tracing $tracing --argjson methods $methods --argjson start "$start" --argjson memory "$memory" \
                --argjson first "$first" --argjson after "$after" \
                '{methods: $methods, tracing: $tracing, start_microseconds: $start, kib_at_start: $memory, microseconds_of_a_first_call: $first, kib_after_each: $after}'
        done
    done
}

code | jq --slurp . >"$directory/code.json"
echo '[]' >"$directory/thousand.json"
[ "$what" = code ] || thousand | jq --slurp . >"$directory/thousand.json"
jq --null-input --slurpfile code "$directory/code.json" --slurpfile thousand "$directory/thousand.json" \
    '{code: $code[0], thousand: $thousand[0]}' >"$directory/methods.json"

title='{bare: "bare", attribute: "attribute", layer: "attribute + `ServerLayer`", instrument: "`#[tracing::instrument]`"}[.tracing]'
{
    echo '| bytes of a method | code | code and data |'
    echo '|---|---|---|'
    jq --raw-output ".code as \$all | \$all[] | . as \$row | (\$all[] | select(.kind == \$row.kind and .tracing == \"bare\")) as \$bare |
        if .tracing == \"bare\" then \"| \(.kind), bare | \(.code | round) | \(.code_and_data | round) |\"
        else \"| \(.kind), \($title) | +\(.code - \$bare.code | round) | +\(.code_and_data - \$bare.code_and_data | round) |\" end" "$directory/methods.json"
    if [ "$what" != code ]; then
        echo
        echo '| | up to the first reply | memory then | a first call | memory after a first call of each |'
        echo '|---|---|---|---|---|'
        jq --raw-output ".thousand[] | \"| \(.methods) \(if .methods == 1 then \"method\" else \"methods\" end), \($title) | \(.start_microseconds) µs | \(.kib_at_start) KiB | \(.microseconds_of_a_first_call) µs | \(.kib_after_each) KiB |\"" "$directory/methods.json"
    fi
} >"$directory/methods.md"
sed '/^|---/d; s/^|//; s/ *|$//; s/ *| */\t/g' "$directory/methods.md" | column --table --separator $'\t' --keep-empty-lines >"$directory/methods.txt"

cat "$directory/methods.txt"
echo
cat "$directory/methods.md"
echo
echo "$directory/methods.txt, $directory/methods.json, $directory/methods.md"
