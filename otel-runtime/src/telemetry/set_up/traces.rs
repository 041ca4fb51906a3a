//! The tracer provider.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanExporter, SpanLimits,
    TracerProviderBuilder,
};

use super::super::console::ConsoleSpanExporter;
use super::environment::Environment;
use super::exporter::Exporter;
use super::{Builder, InitError};

/// `None` where spans go nowhere.
// The console alone always works.
#[cfg_attr(not(feature = "otlp"), allow(clippy::unnecessary_wraps))]
pub(super) fn provider(
    exporters: &[Exporter],
    builder: &mut Builder,
    environment: &Environment,
    resource: &Resource,
) -> Result<Option<SdkTracerProvider>, InitError> {
    let configure = builder.tracer_provider.take();
    if exporters.is_empty() && configure.is_none() {
        return Ok(None);
    }
    let mut provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_span_limits(limits(environment));
    provider = match builder.sampler.take() {
        Some(sampler) => provider.with_sampler(sampler),
        None => provider.with_sampler(sampler(environment)),
    };
    for exporter in exporters {
        provider = match exporter {
            Exporter::Console if builder.console_json => batched(provider, ConsoleSpanExporter::json(), environment),
            Exporter::Console => batched(provider, ConsoleSpanExporter::human(), environment),
            #[allow(unreachable_patterns)]
            other => unreachable!("{other:?} takes no spans"),
        };
    }
    if let Some(configure) = configure {
        provider = configure(provider);
    }
    Ok(Some(provider.build()))
}

fn batched(
    provider: TracerProviderBuilder,
    exporter: impl SpanExporter + 'static,
    environment: &Environment,
) -> TracerProviderBuilder {
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches(environment))
        .build();
    provider.with_span_processor(processor)
}

fn batches(environment: &Environment) -> BatchConfig {
    let delay = environment.milliseconds("OTEL_BSP_SCHEDULE_DELAY", Duration::from_secs(5));
    let queue = environment.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048);
    let batch = environment.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512);
    let _ = environment.milliseconds("OTEL_BSP_EXPORT_TIMEOUT", Duration::from_secs(30));
    BatchConfigBuilder::default()
        .with_scheduled_delay(delay.unwrap_or(Duration::from_secs(5)))
        .with_max_queue_size(queue.unwrap_or(2048))
        .with_max_export_batch_size(batch.unwrap_or(512))
        .build()
}

fn sampler(environment: &Environment) -> Sampler {
    #[derive(Clone, Copy)]
    enum Root {
        AlwaysOn,
        AlwaysOff,
        TraceIdRatio,
    }
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER";
    const DEFAULT: &str = "parentbased_always_on";
    let known = [
        ("always_on", (false, Root::AlwaysOn)),
        ("always_off", (false, Root::AlwaysOff)),
        ("traceidratio", (false, Root::TraceIdRatio)),
        (DEFAULT, (true, Root::AlwaysOn)),
        ("parentbased_always_off", (true, Root::AlwaysOff)),
        ("parentbased_traceidratio", (true, Root::TraceIdRatio)),
    ];
    let (is_parent_based, root) = environment
        .one_of(VARIABLE, &known, DEFAULT)
        .unwrap_or((true, Root::AlwaysOn));
    let root = match root {
        Root::AlwaysOn => Sampler::AlwaysOn,
        Root::AlwaysOff => Sampler::AlwaysOff,
        Root::TraceIdRatio => Sampler::TraceIdRatioBased(ratio(environment)),
    };
    if is_parent_based {
        Sampler::ParentBased(Box::new(root))
    } else {
        root
    }
}

fn ratio(environment: &Environment) -> f64 {
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(ratio) = environment.number::<f64>(VARIABLE, "1.0") else {
        return 1.0;
    };
    if (0.0..=1.0).contains(&ratio) {
        return ratio;
    }
    let value = ratio.to_string();
    environment.warn(VARIABLE, &value, "is not between 0 and 1; used instead: 1.0");
    1.0
}

fn limits(environment: &Environment) -> SpanLimits {
    let mut limits = SpanLimits::default();
    let number = |name: &str, otherwise: u32| environment.number(name, otherwise).unwrap_or(otherwise);
    limits.max_attributes_per_span = number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limits.max_attributes_per_span);
    limits.max_events_per_span = number("OTEL_SPAN_EVENT_COUNT_LIMIT", limits.max_events_per_span);
    limits.max_links_per_span = number("OTEL_SPAN_LINK_COUNT_LIMIT", limits.max_links_per_span);
    limits.max_attributes_per_event = number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limits.max_attributes_per_event);
    limits.max_attributes_per_link = number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", limits.max_attributes_per_link);
    limits
}
