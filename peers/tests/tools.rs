//! Tools that people point at a server: each works, and what is recorded is right.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use integration_tests::kinds::unary_server::UnaryServer;
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::Telemetry;
use otel_runtime::ServerLayer;
use peers::tools::{installed, output_of};
use prost::Message;
use tonic::transport::Server;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
const NEEDS_GO: &str = "Go 1.26 or newer, which https://go.dev/doc/install brings";
const PROGRAMS: [(&str, &str); 3] = [
    ("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"),
    ("ghz", "github.com/bojand/ghz/cmd/ghz@v0.93.0"),
    (
        "grpc-health-probe",
        "github.com/grpc-ecosystem/grpc-health-probe@v0.4.62",
    ),
];

const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const OLD_REFLECTION: &str = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const HEALTH: &str = "grpc.health.v1.Health/Check";
const CALL: &str = "kinds.Unary/Call";

/// A call of a tool.
struct Case {
    tool: &'static str,
    /// `ADDRESS`, `PROTO` and `FRAME` are replaced.
    arguments: &'static [&'static str],
    /// The codes that it may exit with.
    exit: &'static [i32],
    /// A part of what it prints.
    prints: &'static str,
    /// Method, status code, and number of what the server records.
    recorded: &'static [(&'static str, &'static str, u64)],
}

const CASES: [Case; 13] = [
    Case {
        tool: "grpcurl",
        arguments: &["-plaintext", "ADDRESS", "list"],
        exit: &[0],
        prints: "kinds.Unary",
        recorded: &[(REFLECTION, "OK", 1)],
    },
    Case {
        tool: "grpcurl",
        arguments: &["-plaintext", "ADDRESS", "describe", "kinds.Unary.Call"],
        exit: &[0],
        prints: "rpc Call ( .kinds.Message )",
        recorded: &[(REFLECTION, "OK", 1)],
    },
    Case {
        tool: "grpcurl",
        arguments: &["-plaintext", "-d", r#"{"text":"echo"}"#, "ADDRESS", "kinds.Unary/Call"],
        exit: &[0],
        prints: r#""text": "echo""#,
        recorded: &[(REFLECTION, "OK", 1), (CALL, "OK", 1)],
    },
    Case {
        tool: "grpcurl",
        arguments: &[
            "-plaintext",
            "-import-path",
            "PROTO",
            "-proto",
            "kinds.proto",
            "-d",
            r#"{"text":"5"}"#,
            "ADDRESS",
            "kinds.Unary/Call",
        ],
        exit: &[64 + 5],
        prints: "Code: NotFound",
        recorded: &[(CALL, "NOT_FOUND", 1)],
    },
    Case {
        tool: "grpcurl",
        arguments: &[
            "-plaintext",
            "-import-path",
            "PROTO",
            "-proto",
            "kinds.proto",
            "-max-time",
            "0.3",
            "-d",
            r#"{"text":"wait"}"#,
            "ADDRESS",
            "kinds.Unary/Call",
        ],
        // tonic's answer when the deadline passes, `CANCELLED`, may beat the tool's own timer.
        exit: &[64 + 4, 64 + 1],
        prints: "Code: ",
        recorded: &[(CALL, "DEADLINE_EXCEEDED", 1)],
    },
    Case {
        tool: "grpcurl",
        arguments: &[
            "-plaintext",
            "-import-path",
            "PROTO",
            "-proto",
            "kinds.proto",
            "-d",
            r#"{"text":"echo"}"#,
            "ADDRESS",
            "kinds.Bidi/Call",
        ],
        exit: &[64 + 12],
        prints: "Code: Unimplemented",
        recorded: &[("_OTHER", "UNIMPLEMENTED", 1)],
    },
    Case {
        tool: "ghz",
        arguments: &[
            "--insecure",
            "--import-paths",
            "PROTO",
            "--proto",
            "kinds.proto",
            "--call",
            "kinds.Unary.Call",
            "-d",
            r#"{"text":"echo"}"#,
            "-n",
            "200",
            "-c",
            "10",
            "ADDRESS",
        ],
        exit: &[0],
        prints: "[OK]   200 responses",
        recorded: &[(CALL, "OK", 200)],
    },
    Case {
        tool: "ghz",
        arguments: &[
            "--insecure",
            "--call",
            "kinds.Unary.Call",
            "-d",
            r#"{"text":"13"}"#,
            "-n",
            "20",
            "-c",
            "2",
            "ADDRESS",
        ],
        exit: &[0],
        prints: "[Internal]   20 responses",
        recorded: &[(OLD_REFLECTION, "CANCELLED", 1), (CALL, "INTERNAL", 20)],
    },
    Case {
        tool: "grpc-health-probe",
        arguments: &["-addr", "ADDRESS"],
        exit: &[0],
        prints: "status: SERVING",
        recorded: &[(HEALTH, "OK", 1)],
    },
    Case {
        tool: "grpc-health-probe",
        arguments: &["-addr", "ADDRESS", "-service", "kinds.Unary"],
        exit: &[0],
        prints: "status: SERVING",
        recorded: &[(HEALTH, "OK", 1)],
    },
    Case {
        tool: "grpc-health-probe",
        arguments: &["-addr", "ADDRESS", "-service", "unknown.Service"],
        exit: &[3],
        prints: "NotFound",
        recorded: &[(HEALTH, "NOT_FOUND", 1)],
    },
    Case {
        tool: "h2load",
        arguments: &[
            "-n",
            "100",
            "-c",
            "4",
            "-m",
            "5",
            "-H",
            "content-type: application/grpc",
            "-H",
            "te: trailers",
            "-d",
            "FRAME",
            "http://ADDRESS/kinds.Unary/Call",
        ],
        exit: &[0],
        prints: "100 succeeded, 0 failed",
        recorded: &[(CALL, "OK", 100)],
    },
    // tonic serves a request of any content type, and misses the message in this one.
    Case {
        tool: "h2load",
        arguments: &["-n", "10", "-c", "1", "http://ADDRESS/kinds.Unary/Call"],
        exit: &[0],
        prints: "10 total, 10 started, 10 done",
        recorded: &[(CALL, "INTERNAL", 10)],
    },
];

fn programs() -> BTreeMap<&'static str, PathBuf> {
    let modules = PROGRAMS.map(|(_, module)| module);
    let folder = installed(DIRECTORY, "tools", &modules, |out| {
        // Separately, since their dependencies have different versions.
        for module in modules {
            output_of(Command::new("go").args(["install", module]).env("GOBIN", out), NEEDS_GO);
        }
    });
    let built = PROGRAMS.map(|(name, _)| (name, folder.join(name)));
    // The operating system brings h2load.
    output_of(
        Command::new("h2load").arg("--version"),
        "h2load, which `apt-get install nghttp2-client` brings",
    );
    built.into_iter().chain([("h2load", "h2load".into())]).collect()
}

async fn server(service: &ScriptedService) -> RunningServer {
    let descriptors = protox::compile(["kinds.proto"], [PROTO]).unwrap().encode_to_vec();
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(&descriptors);
    let (health, health_service) = tonic_health::server::health_reporter();
    let unary = UnaryServer::new(Annotated(service.clone()));
    health.set_serving::<UnaryServer<Annotated>>().await;
    let routes = tonic::service::Routes::new(unary)
        .add_service(reflection().build_v1().unwrap())
        // ghz knows no other.
        .add_service(reflection().build_v1alpha().unwrap())
        .add_service(health_service);
    serve_with(Server::builder().layer(ServerLayer::new()), routes).await
}

/// Runs a tool, and returns its exit code and its output.
async fn run(case: &Case, program: PathBuf, address: SocketAddr) -> (i32, String) {
    let frame = tempfile::NamedTempFile::new().unwrap();
    let message = integration_tests::kinds::Message::from("echo").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    fs::write(frame.path(), [&[0], &length[..], &message].concat()).unwrap();
    let mut command = Command::new(program);
    for argument in case.arguments {
        let argument = argument
            .replace("ADDRESS", &address.to_string())
            .replace("PROTO", PROTO);
        command.arg(argument.replace("FRAME", &frame.path().display().to_string()));
    }
    tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tool_works_and_what_is_recorded_is_right() {
    let programs = tokio::task::spawn_blocking(programs).await.unwrap();
    let service = ScriptedService::default();
    let server = server(&service).await;
    for case in &CASES {
        let place = format!("{} {}", case.tool, case.arguments.join(" "));
        let telemetry = Telemetry::start();
        let (exit, said) = run(case, programs[case.tool].clone(), server.address).await;
        assert!(case.exit.contains(&exit), "{place}: {exit}:\n{said}");
        assert!(said.contains(case.prints), "{place}:\n{said}");
        let count: u64 = case.recorded.iter().map(|(_, _, count)| count).sum();
        let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
        for point in telemetry.durations(count).await {
            let key = (point["rpc.method"].clone(), point["rpc.status_code"].clone());
            *found.entry(key).or_default() += 1;
        }
        let expected = case.recorded.iter();
        let expected = expected.map(|(method, code, count)| (((*method).to_owned(), (*code).to_owned()), *count));
        assert_eq!(found, expected.collect(), "{place}");
        let spans = telemetry.spans(usize::try_from(count).unwrap()).await;
        assert!(
            spans
                .iter()
                .all(|span| span.span_kind == opentelemetry::trace::SpanKind::Server)
        );
    }
}
