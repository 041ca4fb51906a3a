#[otel_runtime::traced_service]
#[derive(Debug)]
pub struct MyGreeter;

fn main() {}
