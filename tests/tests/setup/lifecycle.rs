//! Set-ups that end early, come twice, or meet a program that misbehaves.

use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fork::Fork;
use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content};
use integration_tests::own_process::{block_on, in_own_process, in_own_process_with};
use integration_tests::server::TIMEOUT;
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

fn warnings(log: &[String]) -> Vec<&String> {
    let is_warning = |line: &&String| line.contains("WARN") || line.contains("ERROR");
    log.iter().filter(is_warning).collect()
}

/// Spans that never end are counted, and events after the shutdown cause no warnings.
#[test]
fn open_spans_are_reported_at_the_shutdown() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    driven.send("spans 4");
    driven.send("open 3");
    let answer = driven.send("shutdown 20000");
    let expected = format!("traces: 3 of 7 spans were not delivered to {url} (3 had not ended)");
    assert!(answer.ends_with(&expected) && answer.contains("[3, 0, 0]"), "{answer}");
    for line in ["logs 50", "spans 50", "open 5"] {
        driven.send(line);
    }
    let log = driven.end();
    assert!(warnings(&log).is_empty(), "{log:#?}");
    assert_eq!(collector.spans().len(), 4);
}

/// A setup that panics is an error of `init`, as is one without threads. The variable of the
/// standard library asks for stacks that no system has.
#[test]
fn a_setup_that_cannot_start_is_an_error() {
    const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "100000000000000000");
    let exporters = |signal| {
        ["TRACES", "METRICS", "LOGS"].map(|other| {
            let exporter = if other == signal { "console" } else { "none" };
            (format!("OTEL_{other}_EXPORTER"), exporter)
        })
    };
    for (signal, arguments, variable, expected) in [
        (
            "TRACES",
            &["bare"][..],
            NO_THREADS,
            "cannot start the thread otel-spans: ",
        ),
        (
            "METRICS",
            &["bare"],
            NO_THREADS,
            "cannot start the thread that exports metrics: ",
        ),
        ("LOGS", &["bare"], NO_THREADS, "cannot start the thread otel-logs: "),
        (
            "TRACES",
            &["bare", "panics=set_resource"],
            ("RUST_LOG", "info"),
            "the setup of telemetry panicked: on purpose",
        ),
    ] {
        let exporters = exporters(signal);
        let exporters = exporters.iter().map(|(name, exporter)| (name.as_str(), *exporter));
        let (_driven, answer) = DrivenProcess::start(DRIVEN, arguments, exporters.chain([variable]));
        assert!(answer.starts_with(expected), "{signal} {arguments:?}: {answer}");
    }
}

/// A callback that panics costs its own values, and is logged once.
#[test]
fn panicking_callback_does_not_end_metrics() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_TRACES_EXPORTER", "none")];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    driven.send("panicking");
    driven.send("counters 3");
    for round in 1..=3 {
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        assert_eq!(collector.metrics().len(), 3 * round);
    }
    assert!(driven.send("shutdown 20000").starts_with("ok "));
    let log = driven.end();
    let [line] = warnings(&log)[..] else { panic!("{log:#?}") };
    let expected = r#"ERROR otel_setup: a callback of the instrument "panicking" panicked, so its values are missing (logged once)"#;
    assert!(line.ends_with(expected), "{line}");
}

/// A view that panics costs the measurements of that instrument.
#[test]
fn panicking_view_costs_one_instrument() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["bare", "panics=view"], variables);
    driven.send("counters 3");
    assert!(driven.send("shutdown 20000").starts_with("ok "));
    let names: Vec<String> = collector.metrics().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["made.1", "made.2"]);
    drop(driven.end());
}

/// A field that cannot be written costs itself on a line, its record or the fields of its span in
/// log records, and no process. It is logged once.
#[test]
fn fields_that_cannot_be_written_end_nothing() {
    for traces in ["none", "otlp"] {
        for json in [false, true] {
            let collector = Collector::start();
            let url = collector.url();
            let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_TRACES_EXPORTER", traces)];
            let format = format!("json={json}");
            let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread", &format], variables);
            let panics = driven.send("fields");
            if traces == "none" {
                assert_eq!(panics, "0", "json: {json}");
            }
            driven.send("logs 3");
            let answer = driven.send("shutdown 20000");
            assert!(answer.starts_with("ok "), "{answer}");
            let log = driven.end();
            let [line] = warnings(&log)[..] else { panic!("{log:#?}") };
            assert!(line.contains("the Debug or Display of a field panicked"), "{line}");
            let marked = log.iter().filter(|line| line.contains("(cannot be formatted)")).count();
            assert!(marked >= 4, "{log:#?}");
            let records = collector.log_records().into_iter();
            let made = records.filter(|record| format!("{:?}", record.body).contains("\"made\""));
            assert_eq!(made.count(), 3);
        }
    }
}

/// A sampler or processor that panics costs no log line, no span, and no thread. It is logged once.
#[test]
fn panicking_parts_of_the_program_end_nothing() {
    for (part, spans, logged) in [
        (
            "sampler",
            0,
            "the sampler panicked, so spans follow their parent's decision",
        ),
        (
            "on_start",
            9,
            "a span processor or the sampler panicked, so spans are lost or incomplete",
        ),
        (
            "on_end",
            9,
            "a span processor or the sampler panicked, so spans are lost or incomplete",
        ),
        (
            "both",
            9,
            "a span processor or the sampler panicked, so spans are lost or incomplete",
        ),
        (
            "log_processor",
            9,
            "a log processor panicked, so log records are lost or incomplete",
        ),
    ] {
        println!("{part}");
        let collector = Collector::start();
        let url = collector.url();
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
        let panics = format!("panics={part}");
        let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread", &panics], variables);
        driven.send("entered 3");
        driven.send("logs 3");
        // Another thread logs it.
        let deadline = Instant::now() + TIMEOUT;
        while warnings(&driven.log).is_empty() {
            assert!(Instant::now() < deadline, "{:#?}", driven.log);
            driven.send("counters 1");
        }
        driven.send("entered 3");
        driven.send("spans 3");
        let answer = driven.send("shutdown 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        let log = driven.end();
        let [line] = warnings(&log)[..] else { panic!("{log:#?}") };
        assert!(
            line.ends_with(&format!("ERROR otel_setup: {logged} (logged once)")),
            "{line}"
        );
        assert_eq!(collector.spans().len(), spans);
        assert_eq!(collector.log_records().len(), 4, "three, and the one about the panic");
    }
}

/// A program that has set telemetry up once is told that a second time has no effect. Of several
/// threads that do so at the same time, one does.
#[test]
fn second_setup_is_refused() {
    in_own_process(|| {
        let set_up = || {
            otel_setup::builder()
                .trace_exporters([])
                .metric_exporters([])
                .log_exporters([])
                .configure_tracer_provider(|provider| provider)
                .without_subscriber()
                .init()
        };
        let start = Barrier::new(8);
        let set_up_together = || {
            start.wait();
            set_up()
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(set_up_together)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut set_up_once = results.into_iter().filter_map(Result::ok);
        let (first, second) = (set_up_once.next().unwrap(), set_up_once.next());
        assert!(second.is_none());
        block_on(first.shutdown(Duration::from_secs(5))).unwrap();
        drop(first);
        assert_eq!(
            set_up().unwrap_err().to_string(),
            "telemetry has already been set up in this process, and tracers, meters and layers made since then would \
             still use the first setup; call `init` once, and keep the `Telemetry` until the program ends"
        );
    });
}

/// A flush in a shutdown or after it has the shutdown's result: that exports the rest.
#[test]
fn flush_has_the_result_of_a_shutdown() {
    for behaviour in [Behaviour::Slow(Duration::from_millis(300)), Behaviour::Refuse] {
        in_own_process_with(&[("BEHAVIOUR", format!("{behaviour:?}"))], || {
            let collector = Collector::start();
            collector.behave(behaviour.clone());
            let builder = otel_setup::builder().otlp_endpoint(collector.url());
            let telemetry = Arc::new(builder.init().unwrap());
            global::tracer("app").start("before").end();
            let flush = || block_on(telemetry.flush(TIMEOUT)).map_err(|error| error.to_string());
            let shutdown = Arc::clone(&telemetry);
            let shutdown = std::thread::spawn(move || block_on(shutdown.shutdown(TIMEOUT)));
            collector.wait_for_requests(1);
            let meanwhile = flush();
            let result = shutdown.join().unwrap().map_err(|error| error.to_string());
            assert_eq!(result.is_ok(), matches!(behaviour, Behaviour::Slow(_)));
            assert_eq!([meanwhile, flush()], [result.clone(), result], "{behaviour:?}");
        });
    }
}

/// Each exporter has the resource of the provider, and records nothing once the provider has ended.
#[test]
fn exporters_have_the_resource_and_the_end_of_their_provider() {
    for exporters in ["otlp", "otlp,console"] {
        in_own_process_with(&[("OTEL_TRACES_EXPORTER", exporters)], || {
            let collector = Collector::start();
            collector.behave(Behaviour::Slow(Duration::from_millis(300)));
            let team = [KeyValue::new("team", "shop")];
            let telemetry = otel_setup::builder()
                .otlp_endpoint(collector.url())
                .metric_exporters([])
                .log_exporters([])
                .configure_tracer_provider(|provider| {
                    provider.with_resource(Resource::builder_empty().with_attributes(team).build())
                })
                .init()
                .unwrap();
            let span = |name| global::tracer("app").start(name).end();
            span("before");
            let shutdown = std::thread::spawn(move || block_on(telemetry.shutdown(TIMEOUT)));
            collector.wait_for_requests(1);
            span("meanwhile");
            shutdown.join().unwrap().unwrap();
            let spans = collector.spans();
            let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
            assert_eq!(names, ["before"]);
            let Content::Traces(request) = &collector.received()[0].content else {
                panic!("no spans")
            };
            let resource = request.resource_spans[0].resource.as_ref().unwrap();
            let keys = resource.attributes.iter().map(|attribute| attribute.key.as_str());
            assert_eq!(keys.filter(|key| *key == "team").count(), 1);
        });
    }
}

/// A fork has none of the threads that export, and says so.
#[test]
fn forked_process_reports_that_it_exports_nothing() {
    let output = in_own_process(|| {
        let collector = Collector::start();
        let telemetry = otel_setup::builder()
            .otlp_endpoint(collector.url())
            .metric_exporters([])
            .log_exporters([])
            .init()
            .unwrap();
        let spans = || (0..100).for_each(|_| global::tracer("app").start("span").end());
        spans();
        let Fork::Parent(child) = fork::fork().unwrap() else {
            // A single span is noticed if it ends later than the last ones.
            let later = SystemTime::now() + Duration::from_secs(1);
            global::tracer("app").start("span").end_with_timestamp(later);
            for result in [
                block_on(telemetry.flush(TIMEOUT)),
                block_on(telemetry.shutdown(TIMEOUT)),
            ] {
                println!("child: {}", result.unwrap_err());
            }
            std::process::exit(0);
        };
        fork::waitpid(child).unwrap();
        spans();
        block_on(telemetry.shutdown(TIMEOUT)).unwrap();
        assert_eq!(collector.spans().len(), 200);
    });
    let Some(output) = output else { return };
    let reason = "this process was forked after the setup of telemetry, and has none of the threads that export; \
                  set telemetry up after the fork instead";
    let warning = format!("WARN otel_setup: spans are lost: {reason} (logged once)\n");
    assert_eq!(output.stdout.matches(&warning).count(), 1, "{}", output.stdout);
    let error = format!("child: telemetry was lost: traces: {reason}; ");
    assert_eq!(output.stdout.matches(&error).count(), 2, "{}", output.stdout);
}

/// A fork has nobody to wait for as it drops what it has inherited.
#[test]
fn forked_process_ends_at_once() {
    let output = in_own_process(|| {
        let telemetry = otel_setup::builder()
            .metric_exporters([])
            .without_subscriber()
            .init()
            .unwrap();
        let Fork::Parent(child) = fork::fork().unwrap() else {
            let begun = Instant::now();
            drop(telemetry);
            println!("child: {}", begun.elapsed().as_secs());
            std::process::exit(0);
        };
        fork::waitpid(child).unwrap();
    });
    let Some(output) = output else { return };
    assert!(output.stdout.contains("child: 0\n"), "{}", output.stdout);
}

/// The exporter `console` reports what stdout does not take.
#[test]
fn full_stdout_is_an_error() {
    for json in [&["json"][..], &[]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_service"))
            .args(["1"].iter().chain(json))
            .env_clear()
            .envs([
                ("OTEL_TRACES_EXPORTER", "console"),
                ("OTEL_METRICS_EXPORTER", "console"),
                ("OTEL_LOGS_EXPORTER", "console"),
            ])
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let full = "not written: cannot write to the console: No space left on device (os error 28))";
        for expected in [
            format!("traces: 2 of 2 spans were not delivered to stdout (2 {full}"),
            "metric data points were not delivered to stdout (".to_owned(),
            "logs: 1 of 1 log record was not delivered to stdout (".to_owned(),
        ] {
            assert!(stderr.contains(&expected), "{stderr}");
        }
        assert_eq!(stderr.matches(full).count(), 3, "{stderr}");
    }
}
