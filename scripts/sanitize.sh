#!/usr/bin/env bash
# Looks for what the tests cannot see by themselves, with a nightly compiler: undefined behaviour, by miri, and data races, by the thread sanitizer. Without an argument, for both.
#
#     scripts/sanitize.sh [undefined_behaviour] [data_races]
#
# It builds everything anew, and miri is some hundred times slower than the machine, so CI does not run it. What threads do to each other's counts (tests/tests/interleavings.rs) and
# what RPCs leave behind (peers/tests/leaks.rs) are tests like all others.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_INCREMENTAL=0
target_directory=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')

# The crates' unit tests, none of which opens a socket; what takes minutes says so with `cfg_attr(miri, ignore)`. Isolated, a test could read neither the clock nor the environment.
# Eight cases of each property instead of hundreds. What the resource says of the host comes from system calls that miri does not have.
undefined_behaviour() {
    PROPTEST_CASES=8 MIRIFLAGS=-Zmiri-disable-isolation \
        cargo +nightly miri test --locked --package otel-runtime --package otel-setup --lib -- --skip resource::tests
}

# The standard library as well, or its locks would look like races.
data_races() {
    RUSTFLAGS=-Zsanitizer=thread CARGO_TARGET_DIR=$target_directory/thread-sanitizer \
        cargo +nightly build --locked -Zbuild-std --target "$host" --package peers --bin rush
    # A socket goes from the thread that registers it to the one that polls by way of the kernel, which the sanitizer does not see.
    echo race:tokio::runtime::io::driver >"$target_directory/thread-sanitizer/suppressions"
    TSAN_OPTIONS=suppressions=$target_directory/thread-sanitizer/suppressions "$target_directory/thread-sanitizer/$host/debug/rush" 20
}

rustup component add --toolchain nightly miri rust-src
[ $# -gt 0 ] || set -- undefined_behaviour data_races
for step in "$@"; do
    printf '\n== %s\n' "$step"
    "$step"
done
