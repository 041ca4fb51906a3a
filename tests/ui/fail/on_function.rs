#[otel_runtime::traced_service]
async fn say_hello(name: String) -> String {
    format!("Hello, {name}!")
}

fn main() {}
