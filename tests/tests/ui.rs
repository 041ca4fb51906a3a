//! Compiles every file in `ui/`, each named after the one rule that it tests.
//!
//! Files in `ui/pass` must compile. For those in `ui/fail`, the compiler's output must match the
//! `.stderr` file. `TRYBUILD=overwrite cargo test -p integration-tests --test ui` updates the
//! `.stderr` files; review the difference before you commit it.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
