//! Environment variables of `otel_setup::init()`, except those of OTLP, tested with the console.

use integration_tests::child::{self, ProcessOutput};
use serde_json::Value;

const TO_CONSOLE: [(&str, &str); 3] = [
    ("OTEL_TRACES_EXPORTER", "console"),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_LOGS_EXPORTER", "none"),
];

/// Runs a service that calls itself once, with these variables and the console exporters in JSON.
fn service(variables: &[(&str, &str)]) -> ProcessOutput {
    let variables = TO_CONSOLE.iter().chain(variables).copied();
    child::run(env!("CARGO_BIN_EXE_service"), &["json"], variables)
}

/// Returns the exported spans: the server's, then the client's.
fn spans(ended: &ProcessOutput) -> Vec<Value> {
    assert!(ended.success, "{ended:?}");
    let objects = ended.stdout.lines().filter(|line| line.starts_with("{\"name\""));
    let mut spans: Vec<Value> = objects.map(|line| serde_json::from_str(line).unwrap()).collect();
    spans.sort_by_key(|span| span["kind"].as_str().map(|kind| kind != "SpanKind.SERVER"));
    spans
}

/// Returns the log lines, without their timestamps.
fn log(ended: &ProcessOutput) -> Vec<&str> {
    let lines = ended.stdout.lines().filter(|line| !line.starts_with('{'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(_, line)| line.trim_start())
        .collect()
}

fn warnings(ended: &ProcessOutput) -> Vec<&str> {
    let warnings = log(ended).into_iter();
    warnings
        .filter_map(|line| line.strip_prefix("WARN otel_setup: "))
        .collect()
}

fn resource<'s>(span: &'s Value, attribute: &str) -> &'s Value {
    &span["resource"]["attributes"][attribute]
}

#[test]
fn defaults() {
    let ended = service(&[]);
    let [server, client] = spans(&ended).try_into().unwrap();
    assert_eq!(server["name"], "helloworld.Greeter/SayHello");
    assert_eq!(client["name"], "helloworld.Greeter/SayHello");
    assert_eq!(server["parent_id"], client["context"]["span_id"], "tracecontext");
    assert_eq!(resource(&server, "service.name"), "unknown_service:service");
    assert_eq!(resource(&server, "telemetry.sdk.language"), "rust");
    assert!(resource(&server, "host.arch").is_string());
    assert!(resource(&server, "process.pid").is_i64());
    assert_eq!(resource(&server, "process.command_args"), &Value::Null);
    assert_eq!(server["events"].as_array().unwrap().len(), 3);
    assert_eq!(server["links"].as_array().unwrap().len(), 3);
    assert_eq!(server["attributes"]["rpc.system"], Value::Null);
    assert_eq!(warnings(&ended), [] as [&str; 0]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn otel_sdk_disabled() {
    for value in ["true", "TRUE"] {
        let ended = service(&[("OTEL_SDK_DISABLED", value)]);
        assert_eq!(spans(&ended), [] as [Value; 0], "{value}");
        let lines = log(&ended).join("\n");
        assert!(
            lines.contains("greeting"),
            "the program's log has nothing to do with it: {lines}"
        );
    }
    let ended = service(&[("OTEL_SDK_DISABLED", "")]);
    assert_eq!(spans(&ended).len(), 2);
    let ended = service(&[("OTEL_SDK_DISABLED", "1")]);
    assert_eq!(spans(&ended).len(), 2);
    assert_eq!(
        warnings(&ended),
        [r#"OTEL_SDK_DISABLED="1" is neither "true" nor "false"; using false"#]
    );
}

#[test]
fn service_name_and_resource_attributes() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,team=pay%2Cments");
    let [server, _] = spans(&service(&[attributes])).try_into().unwrap();
    assert_eq!(resource(&server, "service.name"), "shop");
    assert_eq!(resource(&server, "team"), "pay,ments");
    let [server, _] = spans(&service(&[attributes, ("OTEL_SERVICE_NAME", "till")]))
        .try_into()
        .unwrap();
    assert_eq!(resource(&server, "service.name"), "till");
    let [server, _] = spans(&service(&[attributes, ("OTEL_SERVICE_NAME", "")]))
        .try_into()
        .unwrap();
    assert_eq!(resource(&server, "service.name"), "shop");

    let ended = service(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,team")]);
    let [server, _] = spans(&ended).try_into().unwrap();
    assert_eq!(resource(&server, "service.name"), "unknown_service:service");
    let expected = r#"OTEL_RESOURCE_ATTRIBUTES="service.name=shop,team" has no "=" in "team"; ignoring the whole list"#;
    assert_eq!(warnings(&ended), [expected]);
}

#[test]
fn propagators() {
    // Client and server of one process use the same propagators, so only their absence is visible.
    for (names, is_one_trace) in [
        ("b3", true),
        ("GCP, jaeger", true),
        ("xray", true),
        ("baggage", false),
        ("none", false),
    ] {
        let ended = service(&[("OTEL_PROPAGATORS", names)]);
        let [server, client] = spans(&ended).try_into().unwrap();
        let same = server["context"]["trace_id"] == client["context"]["trace_id"];
        assert_eq!(same, is_one_trace, "{names}");
        assert_eq!(warnings(&ended), [] as [&str; 0]);
    }
    let ended = service(&[("OTEL_PROPAGATORS", "opencensus,b3")]);
    let [server, client] = spans(&ended).try_into().unwrap();
    assert_eq!(server["parent_id"], client["context"]["span_id"]);
    let expected = r#"OTEL_PROPAGATORS="opencensus,b3": unknown propagator "opencensus"; using b3"#;
    assert_eq!(warnings(&ended), [expected]);
}

#[test]
fn sampler() {
    for (name, argument, count) in [
        ("always_on", "", 2),
        ("ALWAYS_OFF", "", 0),
        ("parentbased_always_off", "", 0),
        ("ParentBased_TraceIdRatio", "0", 0),
        ("traceidratio", "1", 2),
        ("", "", 2),
    ] {
        let ended = service(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert_eq!(spans(&ended).len(), count, "{name} {argument}");
        assert_eq!(warnings(&ended), [] as [&str; 0]);
    }
    let ended = service(&[
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ]);
    assert_eq!(spans(&ended).len(), 2);
    let expected = r#"OTEL_TRACES_SAMPLER_ARG="2" is not between 0 and 1; using 1.0"#;
    assert_eq!(warnings(&ended), [expected]);
    let ended = service(&[("OTEL_TRACES_SAMPLER", "jaeger_remote")]);
    assert_eq!(spans(&ended).len(), 2);
    assert_eq!(warnings(&ended).len(), 1);
}

#[test]
fn exporters() {
    // Test `none`, names in upper case, and duplicates.
    let ended = service(&[("OTEL_TRACES_EXPORTER", "None")]);
    assert_eq!(spans(&ended), [] as [Value; 0]);
    let ended = service(&[("OTEL_TRACES_EXPORTER", "Console,CONSOLE, ,zipkin")]);
    assert_eq!(spans(&ended).len(), 2, "each span once");
    let expected = r#"OTEL_TRACES_EXPORTER="Console,CONSOLE, ,zipkin" contains unknown exporters of traces: "zipkin"; using console"#;
    assert_eq!(warnings(&ended), [expected]);

    let ended = service(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "console")]);
    let metrics: Vec<Value> = ended
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let metric = |name| metrics.iter().find(|metric| metric["name"] == name).unwrap();
    assert_eq!(metric("rpc.server.call.duration")["points"][0]["count"], 1);
    assert_eq!(metric("rpc.client.call.duration")["points"][0]["count"], 1);

    // Log records on the console replace the log lines.
    let ended = service(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "console")]);
    let records: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let greetings: Vec<&Value> = records.iter().filter(|record| record["body"] == "greeting").collect();
    let [greeting] = greetings[..] else {
        panic!("{records:?}")
    };
    assert_eq!(greeting["attributes"]["name"], "Ada");
    assert_eq!(greeting["severity_text"], "INFO");
}

#[test]
fn span_limits() {
    let ended = service(&[
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "2"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "0"),
    ]);
    let [server, _] = spans(&ended).try_into().unwrap();
    assert_eq!(server["attributes"].as_object().unwrap().len(), 2);
    assert_eq!(server["events"].as_array().unwrap().len(), 1);
    assert_eq!(server["events"][0]["attributes"].as_object().unwrap().len(), 1);
    assert_eq!(server["links"].as_array().unwrap().len(), 2);
    assert_eq!(server["links"][0]["attributes"].as_object().unwrap().len(), 0);

    let ended = service(&[
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "few"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
    ]);
    let [server, _] = spans(&ended).try_into().unwrap();
    assert_eq!(server["events"].as_array().unwrap().len(), 3);
    assert_eq!(
        warnings(&ended),
        [
            r#"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="9" is not supported by OpenTelemetry's SDK for Rust; ignoring it"#,
            r#"OTEL_SPAN_EVENT_COUNT_LIMIT="few" is not a valid number; using 128"#,
        ]
    );
}

#[test]
fn semconv_stability_opt_in() {
    let [server, client] = spans(&service(&[("OTEL_SEMCONV_STABILITY_OPT_IN", "http, rpc/dup")]))
        .try_into()
        .unwrap();
    for span in [server, client] {
        assert_eq!(span["attributes"]["rpc.system.name"], "grpc");
        assert_eq!(span["attributes"]["rpc.system"], "grpc");
        assert_eq!(span["attributes"]["rpc.grpc.status_code"], 0);
    }
}
