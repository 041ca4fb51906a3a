//! The effect of each property of the schema.

use opentelemetry_sdk::Resource;

use super::{load, parse};
use crate::Exporter;
use crate::batch::settings::BatchSettings;
use crate::otlp::settings;
use crate::signal::Signal;

#[test]
fn properties_of_the_root() {
    let config = load(include_str!("../files/root.yaml"));
    assert!(config.is_disabled);
    assert!(config.traces.is_none() && config.metrics.is_none() && config.logs.is_none());
    assert_eq!(config.propagators, "none");
    assert_eq!(config.instrumentation.stability_opt_in, "rpc/dup");
    let layers = config.instrumentation.layers.as_ref().unwrap();
    let headers = "response_headers x-shard; response_trailers x-cost";
    assert_eq!(
        layers.lines,
        [
            "duration boundaries: [0.01, 0.1, 1.0] s".to_owned(),
            format!(
                "server layers: request_headers x-tenant, grpc-trace-bin; {headers}; filters 3; \
                 failures NOT_FOUND true, INTERNAL false; log_calls All; public_endpoint; message_sizes; message_counts"
            ),
            format!(
                "client layers: request_headers x-tenant; {headers}; filters 1; failures UNAVAILABLE false; log_calls Failures, SlowerThan(1.5s); message_sizes; message_counts"
            ),
        ]
    );
    let unsupported = "is not supported by OpenTelemetry's SDK for Rust; ignoring it";
    assert_eq!(
        config.into_warnings(),
        [
            "otel.yaml:4: log_level is not supported; RUST_LOG filters the SDK's own messages".to_owned(),
            format!("otel.yaml:6: attribute_limits.attribute_value_length_limit {unsupported}"),
            format!("otel.yaml:7: attribute_limits.attribute_value_depth_limit {unsupported}"),
            format!("otel.yaml:14: instrumentation/development.general.rpc.semconv.experimental {unsupported}"),
            "otel.yaml:54: distribution.other is for another distribution; ignoring it".to_owned(),
        ]
    );
}

#[test]
fn legacy_names_of_rpcs() {
    for (general, expected) in [
        ("{stability_opt_in_list: \"http,rpc/dup\"}", "http,rpc/dup"),
        ("{stability_opt_in_list: rpc/dup, rpc: {semconv: {version: 1}}}", ""),
        ("{rpc: {semconv: {dual_emit: true}}}", "rpc/dup"),
        ("{rpc: {}}", ""),
    ] {
        let config = load(&format!(
            "file_format: \"1.0\"\ninstrumentation/development: {{general: {general}}}"
        ));
        assert_eq!(config.instrumentation.stability_opt_in, expected, "{general}");
    }
}

#[test]
fn resource_and_propagators() {
    let config = load(include_str!("../files/resource.yaml"));
    let resource = Resource::builder_empty()
        .with_attributes(config.resource.clone())
        .build();
    let mut attributes: Vec<String> = resource.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    attributes.sort();
    assert_eq!(
        attributes,
        [
            "a.bool=Bool(true)",
            "a.double=F64(1.0)",
            "a.string=String(Owned(\"1\"))",
            "an.int=I64(16)",
            "bools=Array(Bool([true, false]))",
            "doubles=Array(F64([1.0, 2.5]))",
            "guessed=Array(F64([1.0, 2.5]))",
            "ints=Array(I64([1, 2]))",
            "service.name=String(Owned(\"greeter\"))",
            "service.namespace=String(Owned(\"shop\"))",
            "service.version=String(Owned(\"1.2\"))",
            "strings=Array(String([Owned(\"a\"), Owned(\"b\")]))",
            "team=String(Owned(\"from the list\"))",
        ]
    );
    assert_eq!(config.propagators, "tracecontext,baggage,b3,b3multi,jaeger,ottrace");
}

#[test]
fn spans() {
    let config = load(include_str!("../files/tracer_provider.yaml"));
    let traces = config.traces.as_ref().unwrap();
    let exporters: Vec<Exporter> = traces.pipelines.iter().map(|pipeline| pipeline.exporter).collect();
    assert_eq!(
        exporters,
        [Exporter::Otlp, Exporter::Otlp, Exporter::Otlp, Exporter::Console]
    );
    assert_eq!(format!("{:?}", traces.sampler), "ParentBased(TraceIdRatioBased(0.25))");
    let limits = crate::span_limits::from_env(&traces.limits);
    assert_eq!(
        [
            limits.max_attributes_per_span,
            limits.max_events_per_span,
            limits.max_links_per_span,
            limits.max_attributes_per_event,
            limits.max_attributes_per_link,
        ],
        [10, 20, 30, 40, 50]
    );

    let endpoints = traces.pipelines[..3].iter();
    let endpoints = endpoints.map(|pipeline| crate::otlp::checked_endpoint(Signal::Traces, &pipeline.env).unwrap());
    assert_eq!(
        endpoints.collect::<Vec<_>>(),
        [
            "http://collector:4317 over gRPC",
            "http://collector:4318/otlp over HTTP",
            "http://localhost:4318/v1/traces over HTTP",
        ]
    );
    let env = &traces.pipelines[0].env;
    let batch = BatchSettings::for_spans(env);
    assert_eq!(
        (batch.interval.as_millis(), batch.max_queue_size, batch.max_batch_size),
        (100, 1000, 100)
    );
    assert!(settings::is_compressed(Signal::Traces, env));
    assert_eq!(
        settings::timeout(Signal::Traces, env).as_millis(),
        3000,
        "the shorter one"
    );
    let headers = crate::otlp::headers::headers(Signal::Traces, &[], env).unwrap();
    assert_eq!(headers["api-key"], "a,b=c %");
    assert_eq!(headers["x"], "y z");
    assert_eq!(headers.len(), 2);
    assert_eq!(
        BatchSettings::for_spans(&traces.pipelines[2].env).interval.as_millis(),
        1
    );

    let warnings = config.into_warnings();
    let unsupported = "is not supported by OpenTelemetry's SDK for Rust; ignoring it";
    let place = "tracer_provider.processors[0].batch.exporter.otlp_grpc";
    assert_eq!(
        warnings,
        [
            format!("otel.yaml:26: {place}.max_request_size {unsupported}"),
            format!("otel.yaml:27: {place}.max_response_size {unsupported}"),
            "otel.yaml:38: tracer_provider.processors[3].simple is exported in batches, ten times a second".to_owned(),
        ]
    );
}

/// For the schema, a number without a fraction is an integer, however it is written.
#[test]
fn integers() {
    let timeout = |number: &str| {
        let config = parse(&format!(
            "file_format: \"1.0\"\nlogger_provider: {{processors: [batch: {{exporter: {{otlp_grpc: {{timeout: {number}}}}}}}]}}"
        ))?;
        Ok(settings::timeout(Signal::Logs, &config.logs.as_ref().unwrap()[0].env).as_millis())
    };
    for (number, expected) in [("1000", 1000), ("1e3", 1000), ("1000.0", 1000), ("0x3e8", 1000)] {
        assert_eq!(timeout(number), Ok(expected), "{number}");
    }
    let place = "otel.yaml:2: logger_provider.processors[0].batch.exporter.otlp_grpc.timeout";
    for (number, problem) in [
        ("1.5", "must be an integer"),
        (".inf", "must be an integer"),
        (".nan", "must be an integer"),
        ("\"1000\"", "must be an integer"),
        ("1e30", "is too large"),
        ("99999999999999999999", "is too large"),
    ] {
        assert_eq!(timeout(number), Err(format!("{place} {problem}")), "{number}");
    }
}

#[cfg(feature = "prometheus")]
#[test]
fn metrics() {
    let config = load(include_str!("../files/meter_provider.yaml"));
    let metrics = config.metrics.as_ref().unwrap();
    let exporters: Vec<Exporter> = metrics.pipelines.iter().map(|pipeline| pipeline.exporter).collect();
    assert_eq!(
        exporters,
        [Exporter::Otlp, Exporter::Console, Exporter::Otlp, Exporter::Prometheus]
    );
    let env = &metrics.pipelines[0].env;
    assert_eq!(format!("{:?}", settings::temporality(env)), "LowMemory");
    assert_eq!(settings::timeout(Signal::Metrics, env).as_millis(), 500);
    assert_eq!(env.text("OTEL_METRIC_EXPORT_INTERVAL").unwrap(), "1000");
    let env = &metrics.pipelines[2].env;
    assert_eq!(format!("{:?}", settings::temporality(env)), "Cumulative");
    let env = &metrics.pipelines[3].env;
    assert_eq!(env.text("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap(), "127.0.0.1");
    assert_eq!(env.text("OTEL_METRICS_EXEMPLAR_FILTER").unwrap(), "always_on");
    let strategy = metrics.prometheus.translation_strategy;
    assert_eq!(strategy, Some(crate::TranslationStrategy::NoTranslation));
    assert_eq!(metrics.views.len(), 9);
    assert_eq!(config.into_warnings(), [""; 0]);
}

#[test]
fn log_records() {
    let config = load(include_str!("../files/logger_provider.yaml"));
    let logs = config.logs.as_ref().unwrap();
    assert_eq!(
        logs.iter().map(|pipeline| pipeline.exporter).collect::<Vec<_>>(),
        [Exporter::Otlp, Exporter::Console]
    );
    assert!(
        settings::timeout(Signal::Logs, &logs[0].env).as_secs() > 1_000_000,
        "no limit"
    );
    assert_eq!(config.into_warnings().len(), 4);
}

#[cfg(feature = "zpages")]
#[test]
fn settings_of_the_zpages() {
    let load = |zpages: &str| {
        load(&format!(
            "file_format: \"1.0\"\ndistribution: {{otel_setup: {{zpages: {zpages}}}}}"
        ))
    };
    let zpages = load("{address: \"pod:9465\", memory_limit: 100000, allowed_hosts: [a.example, b.example]}");
    let zpages = zpages.distribution.zpages.unwrap();
    assert_eq!(zpages.allowed_hosts, ["a.example", "b.example"]);
    let place = "distribution.otel_setup.zpages";
    for (zpages, expected) in [
        ("{address: \"pod:9465\"}", Ok("zPages: pod port 9465, in 2097152 bytes")),
        (
            "{address: \"pod:9465\", memory_limit: 100000}",
            Ok("zPages: pod port 9465, in 100000 bytes"),
        ),
        ("{memory_limit: 100000}", Ok("zPages: none, since `address` is missing")),
        (
            "{address: pod}",
            Err(format!(
                "{place}.address=\"pod\" is not an address; write host and port, such as localhost:9465"
            )),
        ),
    ] {
        let env = load(zpages).distribution.zpages.unwrap().env;
        let checked = crate::zpages::check(&env).map_err(|error| error.in_places(&env).to_string());
        assert_eq!(checked, expected.map(str::to_owned), "{zpages}");
    }
    for (zpages, expected) in [
        ("{address: 9465}", "address must be a string"),
        ("{memory_limit: 0}", "memory_limit must be at least 1"),
        ("{allowed_hosts: a.example}", "allowed_hosts must be a list"),
        (
            "{port: 1}",
            "port is not a known property; known are address, memory_limit, allowed_hosts",
        ),
    ] {
        let text = format!("file_format: \"1.0\"\ndistribution: {{otel_setup: {{zpages: {zpages}}}}}");
        assert_eq!(
            parse(&text).err(),
            Some(format!("otel.yaml:2: {place}.{expected}")),
            "{zpages}"
        );
    }
}
