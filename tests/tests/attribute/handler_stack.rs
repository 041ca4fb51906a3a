//! An annotated handler needs at most 64 KiB more stack than a plain one, even in debug builds.
//!
//! Unoptimized code copies a future into a new stack slot at each move. A handler with large locals
//! could then overflow the stack of a tokio worker, and abort the process.

use integration_tests::child;

/// Returns the smallest stack, to 8 KiB, that suffices for a handler.
fn stack_kib(handler: &str) -> usize {
    let suffices =
        |kib: usize| child::run(env!("CARGO_BIN_EXE_handler_stack"), &[handler, &kib.to_string()], []).success;
    let (mut too_small, mut enough) = (64, 2048);
    assert!(!suffices(too_small) && suffices(enough), "{handler}");
    while enough - too_small > 8 {
        let middle = usize::midpoint(too_small, enough);
        if suffices(middle) {
            enough = middle;
        } else {
            too_small = middle;
        }
    }
    enough
}

#[test]
fn a_traced_handler_needs_at_most_64_kib_more() {
    for (plain, traced) in [("plain", "traced"), ("plain stream", "traced stream")] {
        let (without, with) = (stack_kib(plain), stack_kib(traced));
        assert!(with <= without + 64, "{traced}: {with} KiB, {plain}: {without} KiB");
    }
}
