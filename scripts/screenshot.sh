#!/usr/bin/env bash
# Makes docs/jaeger.png: the trace of an order, as Jaeger shows it. It needs protoc and Chromium (Debian's packages protobuf-compiler and chromium).
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp --directory)
trap 'kill "$program" 2>/dev/null; rm -rf "$work"' EXIT
cargo build --quiet --locked --manifest-path examples/jaeger/Cargo.toml
PORT=0 "${CARGO_TARGET_DIR:-examples/jaeger/target}/debug/jaeger" >"$work/printed" &
program=$!
until grep --quiet '^All of them' "$work/printed"; do
    kill -0 "$program"
    sleep 0.1
done
link=$(grep --only-matching --max-count=1 'http.*/trace/.*' "$work/printed")
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$work/profile" --hide-scrollbars --window-size=1400,490 --virtual-time-budget=8000 \
    --screenshot="$PWD/docs/jaeger.png" "$link"
