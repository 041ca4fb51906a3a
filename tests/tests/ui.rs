//! `#[traced_service]` accepts the services in `ui/pass`, and rejects those in `ui/fail`.
//!
//! Each file is named after the one rule that it tests. The files in `ui/pass` are modules of this
//! test binary, which `build.rs` lists: the test is that it compiles, without warnings. Those in
//! `ui/pass/each_order` are compiled with every order of `#[traced_service]` and `#[async_trait]`.
//! `cargo xtask check clippy-shapes` lints them.
//!
//! For the files in `ui/fail`, the compiler's output must match the `.stderr` file. `cargo xtask
//! snapshots` updates the `.stderr` files; review the difference before you commit it.

// A file has a `#[cfg]` for a feature that this package lacks.
#![allow(unexpected_cfgs)]

include!(concat!(env!("OUT_DIR"), "/accepted.rs"));

#[test]
fn mistakes_have_the_expected_compile_errors() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}
