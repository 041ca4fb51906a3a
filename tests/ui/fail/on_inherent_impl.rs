struct MyGreeter;

#[otel_runtime::traced_service]
impl MyGreeter {
    async fn say_hello(&self) {}
}

fn main() {}
