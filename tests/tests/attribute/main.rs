//! `#[traced_service]` accepts every way to write a service, and does not change its behavior.

// For `lints`: this group has an effect only here.
#![deny(future_incompatible)]
// Every lint that a user may have switched on: generated code triggers none.
#![warn(clippy::nursery)]

mod arguments;
mod bodies;
mod coverage;
mod desugared;
mod fields;
mod handler_stack;
mod line_numbers;
mod lints;
mod names;
mod order;
mod other_attributes;
mod receivers;
mod response_types;
mod skip;
mod wrapper_services;
