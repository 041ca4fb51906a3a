//! The tracer provider, with its exporters.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider, SpanLimits};
#[cfg(any(feature = "console", feature = "otlp"))]
use opentelemetry_sdk::trace::{SpanData, TracerProviderBuilder};
use otel_runtime::propagation;

#[cfg(any(feature = "console", feature = "otlp"))]
use crate::batch::BatchProcessors;
use crate::builder::{Builder, has_zpages};
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
#[cfg(any(feature = "console", feature = "otlp"))]
use crate::limited_spans::{self, LimitedSpans};
use crate::{sampler, span_limits};

/// Builds the tracer provider, or `None` without any exporter.
#[cfg_attr(
    not(any(feature = "console", feature = "otlp")),
    allow(clippy::unnecessary_wraps, reason = "only exporters can fail")
)]
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
    let limits = Limits::new(span_limits::from_env(env), configure.is_some() || exporters.is_empty());
    let mut provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_id_generator(RandomIds::default())
        .with_span_limits(limits.of_sdk);
    provider = match builder.sampler.take() {
        Some(sampler) => provider.with_sampler(sampler),
        None => provider.with_sampler(sampler::from_env(env)),
    };
    #[cfg(any(feature = "console", feature = "otlp"))]
    if let Some(processors) = processors(exporters, builder)? {
        provider = with_processors(processors, limits.of_ours, provider, builder);
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

/// The limits of spans that the SDK applies, and those of attributes that [`LimitedSpans`] applies.
struct Limits {
    of_sdk: SpanLimits,
    #[cfg(any(feature = "console", feature = "otlp"))]
    of_ours: Option<SpanLimits>,
}

impl Limits {
    /// If the program configures the provider, it may set limits or add processors, which would
    /// meet more attributes than the limit. Then the SDK applies them all. So it does for the
    /// zPages without an exporter, whose cost would nearly double.
    #[cfg_attr(not(any(feature = "console", feature = "otlp")), allow(unused_variables))]
    fn new(limits: SpanLimits, all_of_sdk: bool) -> Self {
        #[cfg(any(feature = "console", feature = "otlp"))]
        if !all_of_sdk {
            return Limits {
                of_sdk: limited_spans::until_the_end(limits),
                of_ours: Some(limits),
            };
        }
        Limits {
            of_sdk: limits,
            #[cfg(any(feature = "console", feature = "otlp"))]
            of_ours: None,
        }
    }
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

#[cfg(any(feature = "console", feature = "otlp"))]
fn processors(
    exporters: &[(Exporter, &Env)],
    builder: &mut Builder,
) -> Result<Option<BatchProcessors<SpanData>>, InitError> {
    BatchProcessors::for_exporters(exporters, |exporter, env| match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => builder.console.spans(env).map(Some),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.spans(env).map(Some),
        // Rejected by `Exporter::resolve`.
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => Ok(None),
    })
}

/// Adds the processors, behind the zPages.
#[cfg(any(feature = "console", feature = "otlp"))]
#[cfg_attr(not(feature = "zpages"), allow(unused_variables))]
fn with_processors(
    processors: BatchProcessors<SpanData>,
    limits: Option<SpanLimits>,
    provider: TracerProviderBuilder,
    builder: &mut Builder,
) -> TracerProviderBuilder {
    #[cfg(feature = "zpages")]
    if let Some(spans) = builder.zpages.take_spans() {
        return provider.with_span_processor(LimitedSpans::new(limits, spans.before(processors)));
    }
    provider.with_span_processor(LimitedSpans::new(limits, processors))
}
