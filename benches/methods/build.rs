//! Generates services of as many methods as the environment says.
//!
//! * `METHODS`: the number of methods, 1 by default; a service has up to 100.
//! * `KIND`: `unary`, the default, or `stream`.
//! * `TRACING`: `bare`, the default, `attribute` or `instrument` (`#[tracing::instrument]`).

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const IN_A_SERVICE: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let methods: usize = variable("METHODS", "1").parse()?;
    let kind = variable("KIND", "unary");
    let tracing = variable("TRACING", "bare");
    let (on_impl, on_method) = match &*tracing {
        "bare" => ("", ""),
        "attribute" => ("#[otel_runtime::traced_service]", ""),
        "instrument" => ("", "#[tracing::instrument(skip_all)]"),
        _ => return Err(format!("no tracing {tracing}").into()),
    };
    let is_stream = match &*kind {
        "unary" => false,
        "stream" => true,
        _ => return Err(format!("no kind {kind}").into()),
    };

    let mut proto = String::from("syntax = \"proto3\";\npackage methods;\n");
    let mut rust = String::new();
    let all: Vec<usize> = (0..methods).collect();
    for (service, methods) in all.chunks(IN_A_SERVICE).enumerate() {
        writeln!(proto, "service Service{service} {{")?;
        for method in methods {
            let stream = if is_stream { "stream " } else { "" };
            writeln!(
                proto,
                "rpc Method{method}(Request{method}) returns ({stream}Reply{method});"
            )?;
        }
        writeln!(proto, "}}")?;
        writeln!(
            rust,
            "{on_impl}\n#[tonic::async_trait]\nimpl generated::service{service}_server::Service{service} for Services {{"
        )?;
        for method in methods {
            rust.push_str(&if is_stream {
                stream(*method, on_method)
            } else {
                unary(*method, on_method)
            });
        }
        writeln!(rust, "}}")?;
    }
    // As in most services, each method has a request and a response type of its own. Their fields
    // have numbers of their own, too: the compiler merges code that is equal.
    for method in &all {
        let number = method + 2;
        writeln!(
            proto,
            "message Request{method} {{ string text = 1; bool flag = {number}; }}"
        )?;
        writeln!(
            proto,
            "message Reply{method} {{ string text = 1; bool flag = {number}; }}"
        )?;
    }
    writeln!(
        rust,
        "fn services() -> tonic::service::Routes {{\nlet mut routes = tonic::service::Routes::builder();"
    )?;
    for service in 0..methods.div_ceil(IN_A_SERVICE) {
        writeln!(
            rust,
            "routes.add_service(generated::service{service}_server::Service{service}Server::new(Services));"
        )?;
    }
    writeln!(rust, "routes.routes()\n}}")?;
    writeln!(
        rust,
        "const METHODS: usize = {methods};\nconst IN_A_SERVICE: usize = {IN_A_SERVICE};"
    )?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("services.rs"), rust)?;
    fs::write(out.join("methods.proto"), proto)?;
    let files = protox::compile(["methods.proto"], [&out])?;
    tonic_prost_build::configure().build_client(false).compile_fds(files)?;
    Ok(())
}

fn variable(name: &str, default: &str) -> String {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

// Each returns another text, so that the compiler does not merge two methods into one.

fn unary(method: usize, attribute: &str) -> String {
    format!(
        r#"
    {attribute}
    async fn method{method}(
        &self,
        request: tonic::Request<generated::Request{method}>,
    ) -> Result<tonic::Response<generated::Reply{method}>, tonic::Status> {{
        let mut text = request.into_inner().text;
        if text.is_empty() {{
            return Err(tonic::Status::invalid_argument("no text for {method}"));
        }}
        text.push_str(" {method}");
        Ok(tonic::Response::new(generated::Reply{method} {{ text, flag: true }}))
    }}
"#
    )
}

fn stream(method: usize, attribute: &str) -> String {
    format!(
        r#"
    type Method{method}Stream =
        std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<generated::Reply{method}, tonic::Status>> + Send>>;

    {attribute}
    async fn method{method}(
        &self,
        request: tonic::Request<generated::Request{method}>,
    ) -> Result<tonic::Response<Self::Method{method}Stream>, tonic::Status> {{
        let mut text = request.into_inner().text;
        if text.is_empty() {{
            return Err(tonic::Status::invalid_argument("no text for {method}"));
        }}
        text.push_str(" {method}");
        let reply = generated::Reply{method} {{ text, flag: true }};
        Ok(tonic::Response::new(Box::pin(tokio_stream::once(Ok(reply)))))
    }}
"#
    )
}
