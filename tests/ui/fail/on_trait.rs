#[otel_runtime::traced_service]
pub trait Greeter {}

fn main() {}
