//! `OTEL_CONFIG_FILE`: a configuration file sets telemetry up, and no other variable does.

use std::fs;
use std::path::PathBuf;
#[cfg(unix)]
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content};
use integration_tests::free_address::free_address;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::channel_to;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tempfile::TempDir;

const RPC: &str = "kinds.Unary/Call";
const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Writes a file, which is deleted with the directory.
pub(crate) fn file(content: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("otel.yaml");
    fs::write(&path, content).unwrap();
    (directory, path)
}

/// Runs a program that records two spans, a log record and a counter. Returns its log.
fn run(content: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (_directory, path) = file(content);
    let variables = variables.iter().copied();
    let variables = variables.chain([("OTEL_CONFIG_FILE", path.to_str().unwrap())]);
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    for line in ["spans 2", "logs 1", "counters 1"] {
        driven.send(line);
    }
    let answer = driven.send("shutdown 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    driven.end()
}

#[test]
fn each_exporter_has_its_settings() {
    let (first, second) = (Collector::start(), Collector::start());
    let log = run(
        r#"
file_format: "1.0"
resource:
  attributes:
    - {name: service.name, value: "${NAME}"}
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_grpc:
            endpoint: ${FIRST}
            headers: [{name: api-key, value: first}]
    - batch:
        exporter:
          otlp_http:
            endpoint: ${SECOND}/own/traces
            headers: [{name: api-key, value: second}]
            compression: gzip
meter_provider:
  readers:
    - periodic: {exporter: {otlp_grpc: {endpoint: "${FIRST}"}}}
  views:
    - {selector: {instrument_name: made.0}, stream: {name: renamed}}
logger_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "${SECOND}/v1/logs"}}}
"#,
        &[
            ("NAME", "till"),
            ("FIRST", &first.url()),
            ("SECOND", &second.url()),
            ("OTEL_SERVICE_NAME", "ignored"),
            ("OTEL_RESOURCE_ATTRIBUTES", "ignored=yes"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "ignored=yes"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ],
    );
    assert!(!log.iter().any(|line| line.contains(" WARN ")), "{log:#?}");
    assert_eq!((first.spans().len(), second.spans().len()), (2, 2));
    assert_eq!((first.log_records().len(), second.log_records().len()), (0, 1));
    let names: Vec<String> = first.metrics().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["renamed"]);
    for (collector, path, key, encoding) in [
        (
            &first,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "first",
            None,
        ),
        (&second, "/own/traces", "second", Some("gzip")),
    ] {
        let received = collector.received();
        let received = received
            .iter()
            .find(|received| matches!(received.content, Content::Traces(_)))
            .unwrap();
        assert_eq!(received.path, path);
        assert_eq!(received.header("api-key"), Some(key));
        assert_eq!(received.header("content-encoding"), encoding);
        assert_eq!(received.header("ignored"), None);
        let Content::Traces(request) = &received.content else {
            unreachable!()
        };
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        let attribute = |key: &str| {
            let found = resource.attributes.iter().find(|attribute| attribute.key == key)?;
            found.value.clone()?.value
        };
        assert_eq!(attribute("service.name"), Some(Value::StringValue("till".to_owned())));
        assert_eq!(attribute("ignored"), None);
        assert!(attribute("telemetry.sdk.name").is_some());
    }
}

#[test]
fn signal_without_a_section_is_not_recorded() {
    let collector = Collector::start();
    let content = "file_format: \"1.0\"\nlogger_provider:\n  processors:\n    - batch: {exporter: {otlp_grpc: {endpoint: \"${URL}\"}}}\n";
    run(content, &[("URL", &collector.url())]);
    assert_eq!(collector.received().len(), 1);
    assert_eq!(collector.log_records().len(), 1);
}

#[test]
fn sampler_and_disabled() {
    for (properties, spans) in [
        ("", 2),
        ("  sampler: {always_off: }\n", 0),
        (
            "  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0}}}}\n",
            0,
        ),
        ("disabled: true\n", 0),
    ] {
        let collector = Collector::start();
        let content = format!(
            "file_format: \"1.0\"\ntracer_provider:\n  processors:\n    - batch: {{exporter: {{otlp_grpc: {{endpoint: \
             \"${{URL}}\"}}}}}}\n{properties}"
        );
        run(&content, &[("URL", &collector.url())]);
        assert_eq!(collector.spans().len(), spans, "{properties}");
    }
}

#[test]
fn legacy_names_of_rpcs_are_recorded_if_the_file_opts_in() {
    for (dual_emit, variable) in [(true, ""), (false, "rpc/dup")] {
        let collector = Collector::start();
        let (_directory, path) = file(&format!(
            "file_format: \"1.0\"\nmeter_provider:\n  readers:\n    - periodic: {{exporter: {{otlp_grpc: {{endpoint: \
             \"${{URL}}\"}}}}}}\ninstrumentation/development: {{general: {{rpc: {{semconv: {{dual_emit: {dual_emit}}}}}}}}}\n"
        ));
        let variables = [
            ("OTEL_CONFIG_FILE", path.to_str().unwrap()),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", variable),
            ("URL", &collector.url()),
        ];
        let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
        assert_eq!(ready, "ready");
        let address = driven.send("serve").parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { call_to_end(channel_to(address).await, RPC, request("")).await });
        let answer = driven.send("shutdown 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        drop(driven.end());
        let names: Vec<String> = collector.metrics().into_iter().map(|metric| metric.name).collect();
        assert!(names.iter().any(|name| name == "rpc.server.call.duration"), "{names:?}");
        assert_eq!(
            names.iter().any(|name| name == "rpc.server.duration"),
            dual_emit,
            "{names:?}"
        );
    }
}

#[test]
fn faulty_file_is_an_error() {
    let (_directory, path) = file("file_format: \"1.0\"\ntracer_provider:\n  processor: []\n");
    let path = path.to_str().unwrap();
    for (value, expected) in [
        (
            path,
            format!("{path}:2: tracer_provider lacks the required property `processors`; it has processor"),
        ),
        (
            "/nowhere/otel.yaml",
            "cannot read the configuration file \"/nowhere/otel.yaml\": No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            "/nowhere/otel.json",
            "the configuration file \"/nowhere/otel.json\" must end in .yaml or .yml".to_owned(),
        ),
    ] {
        let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], [("OTEL_CONFIG_FILE", value)]);
        drop(driven.end());
        assert_eq!(ready, expected);
    }
}

/// On Unix, a path may be any bytes.
#[cfg(unix)]
#[test]
fn path_that_is_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let directory = TempDir::new().unwrap();
    let path = |bytes| directory.path().join(OsStr::from_bytes(bytes));
    let (there, missing) = (path(b"otel-\xff.yaml"), path(b"otel-\xfe.yaml"));
    fs::write(
        &there,
        "file_format: \"1.0\"\ntracer_provider: {processors: [batch: {exporter: {console: }}]}",
    )
    .unwrap();
    let shown = missing.to_string_lossy();
    let problem = format!("cannot read the configuration file {shown:?}: No such file or directory (os error 2)");
    for (path, checked, expected) in [
        (
            &there,
            Ok("traces: console; sampler ParentBased(AlwaysOn)".to_owned()),
            "> ready\n".to_owned(),
        ),
        (&missing, Err(problem.clone()), format!("> {problem}\n")),
    ] {
        let report = otel_setup::check(path).map_err(|error| error.to_string());
        let traces = report.map(|report| report.to_string().lines().next().unwrap().to_owned());
        assert_eq!(traces, checked);
        let mut command = Command::new(DRIVEN);
        let command = command.arg("bare").env_clear().env("OTEL_CONFIG_FILE", path);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

/// `check` and `init` have the same warnings.
#[test]
fn check_has_all_warnings() {
    let traces = |batch: &str| {
        format!(
            "tracer_provider: {{processors: [batch: {{{batch}, exporter: {{otlp_grpc: {{endpoint: \"http://localhost:1\"}}}}}}]}}"
        )
    };
    for (sections, expected) in [
        (traces("schedule_delay: 9"), 0),
        (traces("max_queue_size: 9, max_export_batch_size: 10"), 1),
        ("resource: {attributes: [{name: service.name, value: \"\"}]}".to_owned(), 1),
        ("log_level: debug\ndistribution: {other: {}}".to_owned(), 2),
        (
            "tracer_provider: {processors: [simple: {exporter: {otlp_grpc: {tls: {ca_file: /ca.pem}, endpoint: \"http://localhost:1\"}}}]}"
                .to_owned(),
            2,
        ),
        ("distribution: {otel_setup: {zpages: {address: \"127.0.0.1:0\"}}}".to_owned(), 0),
        ("distribution: {otel_setup: {zpages: {address: \"[::1]:0\"}}}".to_owned(), 0),
        ("distribution: {otel_setup: {zpages: {address: \"localhost:0\"}}}".to_owned(), 0),
        ("distribution: {otel_setup: {zpages: {address: \"0.0.0.0:0\"}}}".to_owned(), 1),
        ("disabled: true\ndistribution: {otel_setup: {zpages: {address: \"0.0.0.0:0\"}}}".to_owned(), 0),
    ] {
        let (_directory, path) = file(&format!("file_format: \"1.0\"\n{sections}\n"));
        let report = otel_setup::check(&path).unwrap();
        let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], [("OTEL_CONFIG_FILE", path.to_str().unwrap())]);
        assert_eq!(ready, "ready", "{sections}");
        let log = driven.end();
        let lines = log.iter().filter_map(|line| line.split_once(" WARN otel_setup: "));
        let warnings: Vec<&str> = lines.map(|(_, warning)| warning).collect();
        assert_eq!(report.warnings(), warnings, "{sections}");
        assert_eq!(warnings.len(), expected, "{sections}");
    }
}

/// A value that is not UTF-8 is not treated as missing.
#[cfg(unix)]
#[test]
fn variable_that_is_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    for (reference, expected) in [
        (
            "${NAME:-shop}",
            "> {path}: line 2: the value of NAME is not valid UTF-8\n",
        ),
        ("$${NAME}", "> ready\n"),
    ] {
        let (_directory, path) = file(&format!(
            "file_format: \"1.0\"\nresource: {{attributes_list: \"a={reference}\"}}\n"
        ));
        let mut command = Command::new(DRIVEN);
        let command = command.arg("bare").env_clear().env("OTEL_CONFIG_FILE", &path);
        let command = command.env("NAME", OsStr::from_bytes(b"sh\xffop")).stdin(Stdio::null());
        let output = command.output().unwrap();
        let expected = expected.replace("{path}", path.to_str().unwrap());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn console_has_a_temporality() {
    for (temporality, totals) in [("cumulative", ["1", "2"]), ("delta", ["1", "1"])] {
        let (_directory, path) = file(&format!(
            "file_format: \"1.0\"\nmeter_provider: {{readers: [{{periodic: {{exporter: {{console: \
             {{temporality_preference: {temporality}}}}}}}}}]}}"
        ));
        let variables = [("OTEL_CONFIG_FILE", path.to_str().unwrap())];
        let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
        assert_eq!(ready, "ready");
        for _ in totals {
            driven.send("counters 1");
            assert!(driven.send("flush 20000").starts_with("ok "));
        }
        let log = driven.end();
        let found: Vec<&str> = log
            .iter()
            .map(|line| line.trim())
            .filter(|line| line.parse::<u32>().is_ok())
            .collect();
        assert_eq!(found[..2], totals, "{temporality}: {log:#?}");
    }
}

/// An exporter whose receiver is away takes no time of the others.
#[test]
fn exporters_end_at_the_same_time() {
    let away = format!("http://{}", free_address());
    let collector = Collector::start();
    collector.behave(Behaviour::Slow(Duration::from_millis(500)));
    let exporters =
        [&away, &collector.url()].map(|url| format!("{{exporter: {{otlp_grpc: {{endpoint: \"{url}\"}}}}}}"));
    let [periodic, batch] = ["periodic", "batch"].map(|name| {
        let parts = exporters.each_ref().map(|exporter| format!("{{{name}: {exporter}}}"));
        parts.join(", ")
    });
    let (_directory, path) = file(&format!(
        "file_format: \"1.0\"\ntracer_provider: {{processors: [{batch}]}}\nmeter_provider: {{readers: [{periodic}]}}\n\
         logger_provider: {{processors: [{batch}]}}"
    ));
    for command in ["shutdown 2000", "drop"] {
        let variables = [
            ("OTEL_CONFIG_FILE", path.to_str().unwrap()),
            ("RUST_LOG", "off,driven=info"),
        ];
        let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
        assert_eq!(ready, "ready");
        for line in ["spans 2", "logs 1", "counters 3"] {
            driven.send(line);
        }
        let answer = driven.send(command);
        assert!(
            command == "drop" || answer.contains(" [2, 3, 1] telemetry was lost: "),
            "{answer}"
        );
        drop(driven.end());
        let counts = (
            collector.spans().len(),
            collector.metrics().len(),
            collector.log_records().len(),
        );
        assert_eq!(counts, (2, 3, 1), "{command}");
        collector.clear();
    }
}
