//! The tracer provider: exporters, sampler and span limits.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
#[cfg(any(feature = "console", feature = "otlp"))]
use opentelemetry_sdk::trace::BatchSpanProcessor;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider, SpanLimits, TracerProviderBuilder,
};
use otel_runtime::propagation;

use crate::builder::{Builder, has_zpages};
#[cfg(any(feature = "console", feature = "otlp"))]
use crate::counting_processor::CountingProcessor;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;

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
        .with_span_limits(limits(env));
    provider = match builder.sampler.take() {
        Some(sampler) => provider.with_sampler(sampler),
        None => provider.with_sampler(sampler(env)),
    };
    for (exporter, env) in exporters {
        provider = add_exporter(*exporter, provider, builder, env).map_err(|error| error.in_places(env))?;
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
) -> Result<TracerProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => {
            let processor = builder.console.spans(env);
            Ok(add_processor(provider, processor, builder))
        }
        #[cfg(feature = "otlp")]
        Exporter::Otlp => {
            let processor = builder.otlp.spans(env)?;
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

/// Returns the sampler of `OTEL_TRACES_SAMPLER`.
pub(crate) fn sampler(env: &Env) -> Sampler {
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
    let (is_parent_based, root) = env.one_of(VARIABLE, &known, DEFAULT).unwrap_or((true, Root::AlwaysOn));
    let root = match root {
        Root::AlwaysOn => Sampler::AlwaysOn,
        Root::AlwaysOff => Sampler::AlwaysOff,
        Root::TraceIdRatio => Sampler::TraceIdRatioBased(ratio(env)),
    };
    if is_parent_based {
        Sampler::ParentBased(Box::new(root))
    } else {
        root
    }
}

/// Returns the ratio of `OTEL_TRACES_SAMPLER_ARG`.
pub(crate) fn ratio(env: &Env) -> f64 {
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(ratio) = env.number::<f64>(VARIABLE, "1.0") else {
        return 1.0;
    };
    if (0.0..=1.0).contains(&ratio) {
        return ratio;
    }
    let value = ratio.to_string();
    env.warn(VARIABLE, &value, "is not between 0 and 1; using 1.0");
    1.0
}

/// Returns the span limits. The SDK reads only some of these variables, and ignores invalid values
/// silently.
pub(crate) fn limits(env: &Env) -> SpanLimits {
    let limit = |variable, default: u32| env.number(variable, default).unwrap_or(default);
    let default = SpanLimits::default();
    // The default of the specific limits.
    let attributes = limit("OTEL_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_span);
    SpanLimits {
        max_attributes_per_span: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
        max_events_per_span: limit("OTEL_SPAN_EVENT_COUNT_LIMIT", default.max_events_per_span),
        max_links_per_span: limit("OTEL_SPAN_LINK_COUNT_LIMIT", default.max_links_per_span),
        max_attributes_per_event: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_event),
        max_attributes_per_link: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler_of<const N: usize>(variables: [(&str, &str); N]) -> (String, Vec<String>) {
        let env = Env::from_vars(variables);
        let sampler = format!("{:?}", sampler(&env));
        (sampler, env.into_warnings())
    }

    #[test]
    fn sampler_names_are_case_insensitive() {
        for (name, expected) in [
            ("always_on", "AlwaysOn"),
            ("ALWAYS_OFF", "AlwaysOff"),
            ("TraceIdRatio", "TraceIdRatioBased(0.25)"),
            ("parentbased_always_on", "ParentBased(AlwaysOn)"),
            ("ParentBased_Always_Off", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", "ParentBased(TraceIdRatioBased(0.25))"),
            ("", "ParentBased(AlwaysOn)"),
        ] {
            let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
            assert_eq!(sampler_of(variables), (expected.to_owned(), vec![]), "{name:?}");
        }
    }

    #[test]
    fn unknown_samplers_warn_and_use_the_default() {
        for name in ["sometimes", "jaeger_remote", "xray"] {
            let (sampler, warnings) = sampler_of([("OTEL_TRACES_SAMPLER", name)]);
            assert_eq!(sampler, "ParentBased(AlwaysOn)");
            let expected = format!(
                "OTEL_TRACES_SAMPLER={name:?} is not one of always_on, always_off, traceidratio, parentbased_always_on, \
                 parentbased_always_off, parentbased_traceidratio; using parentbased_always_on"
            );
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn invalid_ratios_warn_and_use_1() {
        let ratio = |value| {
            sampler_of([
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", value),
            ])
        };
        assert_eq!(ratio("0"), ("TraceIdRatioBased(0.0)".to_owned(), vec![]));
        assert_eq!(ratio(""), ("TraceIdRatioBased(1.0)".to_owned(), vec![]), "the default");
        for (value, shown, problem) in [
            ("half", "half", "is not a valid number"),
            ("1.5", "1.5", "is not between 0 and 1"),
            ("-1", "-1", "is not between 0 and 1"),
            ("nan", "NaN", "is not between 0 and 1"),
        ] {
            let warning = format!("OTEL_TRACES_SAMPLER_ARG={shown:?} {problem}; using 1.0");
            assert_eq!(ratio(value), ("TraceIdRatioBased(1.0)".to_owned(), vec![warning]));
        }
        let unused = [
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ];
        assert_eq!(
            sampler_of(unused),
            ("AlwaysOn".to_owned(), vec![]),
            "the ratio is not read"
        );
    }

    #[test]
    fn specific_span_limits_override_the_general_one() {
        let env = Env::from_vars([
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "many"),
        ]);
        let limits = limits(&env);
        assert_eq!(limits.max_attributes_per_span, 1, "the specific limit");
        assert_eq!(limits.max_events_per_span, 2);
        assert_eq!(limits.max_links_per_span, 3);
        assert_eq!(limits.max_attributes_per_event, 4);
        assert_eq!(limits.max_attributes_per_link, 128);
        let expected = r#"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT="many" is not a valid number; using 128"#;
        assert_eq!(env.into_warnings(), [expected]);

        let general = Env::from_vars([("OTEL_ATTRIBUTE_COUNT_LIMIT", "9")]);
        assert_eq!(super::limits(&general).max_attributes_per_span, 9);
    }
}
