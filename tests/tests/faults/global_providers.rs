//! Global providers that panic when they create a tracer or a meter cost telemetry, but no RPC.

use integration_tests::coverage::RPCS;
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::serve_with;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::{InstrumentationScope, global};
use otel_runtime::ServerLayer;
use tonic::Code;
use tonic::transport::Server;

struct Broken;

impl TracerProvider for Broken {
    type Tracer = NoopTracer;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> NoopTracer {
        panic!("on purpose")
    }
}

impl MeterProvider for Broken {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        panic!("on purpose")
    }
}

#[test]
fn replies_are_unaffected() {
    in_own_process_async(async {
        global::set_tracer_provider(Broken);
        global::set_meter_provider(Broken);
        let server = Server::builder().layer(ServerLayer::new());
        let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
        for rpc in RPCS {
            for (text, messages, code) in [("", 1, Code::Ok), ("5", 0, Code::NotFound)] {
                let (found, status) = call_to_end(server.channel().await, rpc, request(text)).await;
                assert_eq!((found, status.code()), (messages, code), "{rpc} {text}: {status}");
            }
        }
    });
}
