//! A panic in a user-provided function is logged once, with the function's name.

use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::serve_with;
use integration_tests::telemetry::Telemetry;
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::metrics::{Instrument, ManualReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{SamplingResult, SdkTracerProvider, ShouldSample};
use otel_runtime::{Filter, Instrumentation, ServerLayer, traced_service};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

fn panics<T>(where_it_does: &str) -> T {
    std::panic::panic_any(format!("on purpose, {where_it_does}"))
}

struct Panicking;

impl Panicking {
    #[allow(clippy::unused_self)]
    fn instrumentation(&self) -> Instrumentation {
        panics("g")
    }
}

#[traced_service(instrumentation = self.instrumentation())]
#[tonic::async_trait]
impl Unary for Panicking {
    #[traced(fields(field = panics::<u8>("f")))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[derive(Clone, Debug)]
struct Propagator;

impl TextMapPropagator for Propagator {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, _: &Context, _: &dyn Extractor) -> Context {
        panics("d")
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[derive(Clone, Debug)]
struct Sampler;

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: opentelemetry::trace::TraceId,
        _: &str,
        _: &opentelemetry::trace::SpanKind,
        _: &[opentelemetry::KeyValue],
        _: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        panics("h")
    }
}

async fn call_three_times(layer: ServerLayer) {
    let routes = Routes::new(UnaryServer::new(Panicking));
    let server = serve_with(Server::builder().layer(layer.known_methods(RPCS)), routes).await;
    for _ in 0..3 {
        let (_, status) = call_to_end(server.channel().await, RPCS[0], request("")).await;
        assert_eq!(status.code(), Code::Ok);
    }
}

#[test]
fn each_function_is_logged_once() {
    in_own_process_async(async {
        std::panic::set_hook(Box::new(|_| {}));
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new()
            .filter(Filter::new(|_| panics("a")))
            .public_endpoint_if(|_| panics("b"))
            .span_attributes(|_| panics::<Vec<_>>("c"));
        let tracers = SdkTracerProvider::builder().with_sampler(Sampler).build();
        let meters = SdkMeterProvider::builder()
            .with_reader(ManualReader::builder().build())
            .with_view(|_: &Instrument| -> Option<Stream> { panics("e") })
            .build();
        call_three_times(layer.clone()).await;
        let others = [
            Instrumentation::builder().propagator(Propagator),
            Instrumentation::builder().meter_provider(&meters),
            Instrumentation::builder().meter_provider(&meters),
            Instrumentation::builder().tracer_provider(&tracers),
        ];
        for other in others {
            call_three_times(layer.clone().instrumentation(other.build())).await;
        }

        let mut told: Vec<_> = telemetry
            .logs()
            .into_iter()
            .map(|log| (log.severity.unwrap(), log.body.unwrap()))
            .collect();
        told.sort();
        let expected = [
            "`fields` panicked, so the span is recorded without them: on purpose, f (logged once)",
            "`filter` panicked, so the RPC is recorded: on purpose, a (logged once)",
            "`instrumentation` panicked, so the RPC is not recorded: on purpose, g (logged once)",
            "`public_endpoint_if` panicked, so the caller is untrusted: on purpose, b (logged once)",
            "`span_attributes` panicked, so the span is recorded without them: on purpose, c (logged once)",
            "the meter or one of its views panicked, so the RPC is not measured: on purpose, e (logged once)",
            "the propagator panicked, so the trace context is not propagated: on purpose, d (logged once)",
            "the tracer, its sampler or a span processor panicked, so the span is lost or incomplete: on purpose, h (logged once)",
        ];
        assert_eq!(told, expected.map(|message| ("WARN", message.to_owned())));
    });
}
