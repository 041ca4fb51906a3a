//! The crates under test, used as a user does.
