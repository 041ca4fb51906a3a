//! The tracer provider, with its exporters.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
#[cfg(any(feature = "console", feature = "otlp"))]
use opentelemetry_sdk::trace::BatchSpanProcessor;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider, TracerProviderBuilder};
use otel_runtime::propagation;

use crate::builder::{Builder, has_zpages};
#[cfg(any(feature = "console", feature = "otlp"))]
use crate::counting_processor::CountingProcessor;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::{sampler, span_limits};

/// Builds the tracer provider, or `None` without any exporter.
pub(crate) fn provider(
    exporters: &[(Exporter, &Env)],
    builder: &mut Builder,
    env: &Env,
    resource: &Resource,
) -> Result<Option<SdkTracerProvider>, InitError> {
    let configure = builder.configure_tracer_provider.take();
    if exporters.is_empty() && configure.is_none() && !has_zpages(builder) {
        return Ok(None);
    }
    let mut provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_id_generator(RandomIds::default())
        .with_span_limits(span_limits::from_env(env));
    provider = match builder.sampler.take() {
        Some(sampler) => provider.with_sampler(sampler),
        None => provider.with_sampler(sampler::from_env(env)),
    };
    for (exporter, env) in exporters {
        provider = add_exporter(*exporter, provider, builder, env, resource).map_err(|error| error.in_places(env))?;
    }
    #[cfg(feature = "zpages")]
    {
        provider = builder.zpages.add_spans(provider);
    }
    if let Some(configure) = configure {
        provider = configure(provider);
    }
    Ok(Some(provider.build()))
}

/// The SDK's generator of ids, which tells that they are random.
///
/// A generator that the program sets replaces it, and tells nothing.
#[derive(Debug, Default)]
struct RandomIds(RandomIdGenerator);

impl IdGenerator for RandomIds {
    fn new_trace_id(&self) -> TraceId {
        let id = self.0.new_trace_id();
        propagation::mark_random(id);
        id
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

#[allow(
    unused_variables,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the Cargo features decide which exporters there are"
)]
fn add_exporter(
    exporter: Exporter,
    provider: TracerProviderBuilder,
    builder: &mut Builder,
    env: &Env,
    resource: &Resource,
) -> Result<TracerProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => {
            let processor = builder.console.spans(env, resource);
            Ok(add_processor(provider, processor, builder))
        }
        #[cfg(feature = "otlp")]
        Exporter::Otlp => {
            let processor = builder.otlp.spans(env, resource)?;
            Ok(add_processor(provider, processor, builder))
        }
        // Rejected by `Exporter::resolve`.
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => Ok(provider),
    }
}

/// Adds a processor. The first one gets the zPages in front.
#[cfg(any(feature = "console", feature = "otlp"))]
#[cfg_attr(not(feature = "zpages"), allow(unused_variables))]
fn add_processor(
    provider: TracerProviderBuilder,
    processor: CountingProcessor<BatchSpanProcessor>,
    builder: &mut Builder,
) -> TracerProviderBuilder {
    #[cfg(feature = "zpages")]
    if let Some(spans) = builder.zpages.take_spans() {
        return provider.with_span_processor(spans.before(processor));
    }
    provider.with_span_processor(processor)
}
