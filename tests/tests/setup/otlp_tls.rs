//! TLS with both OTLP protocols: trusted certificates and client certificates.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::config_file::file;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// A certificate authority, and a directory for certificates and keys.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    files: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, files }
    }

    /// Issues a certificate for a host name, and returns it and its key as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn server(&self) -> ServerTlsConfig {
        let (certificate, key) = self.sign("localhost");
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.file(name)
    }
}

fn url(collector: &Collector) -> String {
    format!("https://localhost:{}", collector.address.port())
}

/// Records one item of each signal, and returns the answer of the shutdown.
fn run(variables: &[(&str, &str)]) -> String {
    run_until(variables, "shutdown 20000")
}

/// Like [`run`], for exports that fail: they are tried again until the limit of the shutdown. The
/// other exports need a part of it.
fn run_in_vain(variables: &[(&str, &str)]) -> String {
    run_until(variables, "shutdown 4000")
}

fn run_until(variables: &[(&str, &str)], shutdown: &str) -> String {
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables.iter().copied());
    assert_eq!(ready, "ready");
    for line in ["spans 1", "logs 1", "counters 1"] {
        driven.send(line);
    }
    driven.send(shutdown)
}

fn refused(variables: &[(&str, &str)]) -> String {
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables.iter().copied());
    drop(driven.end());
    ready
}

#[test]
fn trusted_certificates() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start_with(authority.server());
        let (url, ours, theirs) = (url(&collector), authority.file("ca.pem"), stranger.file("ca.pem"));
        let variables = |general, of_traces| {
            [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", general),
                ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", of_traces),
            ]
        };
        let answer = run(&variables(&*ours, ""));
        assert!(answer.starts_with("ok "), "{protocol}: {answer}");
        let answer = run_in_vain(&variables(&*ours, &*theirs));
        assert!(
            answer.starts_with("error ") && answer.contains(" [1, 0, 0] "),
            "{protocol}: {answer}"
        );
        let answer = run_in_vain(&variables(&*theirs, &*ours));
        assert!(
            answer.starts_with("error ") && answer.contains(" [0, 1, "),
            "{protocol}: {answer}"
        );
        assert!(answer.contains("invalid peer certificate"), "{protocol}: {answer}");
    }
}

#[test]
fn client_certificates() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("greeter");
    let certificate = authority.write("client.pem", &certificate);
    let key = authority.write("client.key", &key);
    for protocol in ["grpc", "http/protobuf"] {
        let tls = authority
            .server()
            .client_ca_root(Certificate::from_pem(authority.issuer.pem()));
        let collector = Collector::start_with(tls);
        let (url, ca) = (url(&collector), authority.file("ca.pem"));
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca),
        ];
        let answer = run_in_vain(&variables);
        assert!(
            answer.starts_with("error "),
            "{protocol}: without a certificate: {answer}"
        );
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate));
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key));
        let answer = run(&variables);
        assert!(answer.starts_with("ok "), "{protocol}: {answer}");
        assert_eq!(collector.spans().len(), 1);
    }
}

/// Certificates are replaced while a service runs: here all at once, with the authority.
#[test]
fn replaced_authority() {
    let files = Authority::new();
    let ca = &*files.file("ca.pem");
    for (protocol, variable) in [
        ("grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        ("http/protobuf", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        // The system's certificates.
        ("grpc", "SSL_CERT_FILE"),
    ] {
        let (first, second) = (Authority::new(), Authority::new());
        files.write("ca.pem", &first.issuer.pem());
        let collector = Collector::start_with(first.server());
        let mut driven = start_with_spans(&collector, protocol, &[(variable, ca)]);
        assert_eq!(outcome(&mut driven), "ok", "{protocol} {variable}");
        let address = collector.address;
        drop(collector.end());

        let collector = Collector::start_with_at(address, second.server());
        let answer = outcome(&mut driven);
        assert!(answer.contains("invalid peer certificate"), "{protocol}: {answer}");
        files.write("ca.pem", &second.issuer.pem());
        assert_eq!(outcome(&mut driven), "ok", "{protocol} {variable}");
        assert_eq!(collector.spans().len(), 1, "{protocol} {variable}");
    }
}

/// The client's certificate is replaced before its key.
#[test]
fn replaced_client_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = (authority.file("client.pem"), authority.file("client.key"));
    let server = |of_clients: &Authority| {
        let trusted = Certificate::from_pem(of_clients.issuer.pem());
        authority.server().client_ca_root(trusted)
    };
    for protocol in ["grpc", "http/protobuf"] {
        let (first, first_key) = authority.sign("greeter");
        authority.write("client.pem", &first);
        authority.write("client.key", &first_key);
        let collector = Collector::start_with(server(&authority));
        let variables = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*authority.file("ca.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
        ];
        let mut driven = start_with_spans(&collector, protocol, &variables);
        assert_eq!(outcome(&mut driven), "ok", "{protocol}");
        let address = collector.address;
        drop(collector.end());

        let collector = Collector::start_with_at(address, server(&other));
        let (second, second_key) = other.sign("greeter");
        authority.write("client.pem", &second);
        let answer = outcome(&mut driven);
        let expected =
            format!("; OTEL_EXPORTER_OTLP_CLIENT_KEY={key:?} is not the private key of the client certificate");
        assert!(answer.contains(&expected), "{protocol}: {answer}");
        authority.write("client.key", &second_key);
        assert_eq!(outcome(&mut driven), "ok", "{protocol}");
        assert_eq!(collector.spans().len(), 1, "{protocol}");
    }
}

fn start_with_spans(collector: &Collector, protocol: &str, variables: &[(&str, &str)]) -> DrivenProcess {
    let url = url(collector);
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    all.extend(variables);
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], all);
    assert_eq!(ready, "ready");
    driven
}

/// Records and exports a span. Returns `ok`, or the error.
fn outcome(driven: &mut DrivenProcess) -> String {
    driven.send("spans 1");
    let answer = driven.send("flush 20000");
    if answer.starts_with("ok ") {
        "ok".to_owned()
    } else {
        answer
    }
}

#[test]
fn invalid_files() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("greeter");
    let (_, other_key) = authority.sign("other");
    let certificate = &*authority.write("client.pem", &certificate);
    let key = &*authority.write("client.key", &key);
    let other_key = &*authority.write("other.key", &other_key);
    let empty = &*authority.write("empty.pem", "");
    let nonsense = &*authority.write(
        "nonsense.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let ca = &*authority.file("ca.pem");
    let missing = &*authority.file("missing.pem");
    let (of_ca, of_certificate, of_key) = (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    );
    for (variables, name, value, what) in [
        (
            vec![(of_ca, missing)],
            of_ca,
            missing,
            "cannot be read: No such file or directory",
        ),
        (vec![(of_ca, empty)], of_ca, empty, "contains no valid certificate"),
        (vec![(of_ca, key)], of_ca, key, "contains no valid certificate"),
        (
            vec![(of_ca, nonsense)],
            of_ca,
            nonsense,
            "contains an invalid certificate",
        ),
        (
            vec![(of_ca, ca), (of_certificate, certificate)],
            of_certificate,
            certificate,
            "requires OTEL_EXPORTER_OTLP_CLIENT_KEY; set both or neither",
        ),
        (
            vec![(of_ca, ca), (of_key, key)],
            of_key,
            key,
            "requires OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE; set both or neither",
        ),
        (
            vec![(of_ca, ca), (of_certificate, certificate), (of_key, ca)],
            of_key,
            ca,
            "contains no valid private key",
        ),
        (
            vec![(of_ca, ca), (of_certificate, certificate), (of_key, other_key)],
            of_key,
            other_key,
            "is not the private key of the client certificate",
        ),
    ] {
        let mut all = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317")];
        all.extend(variables);
        let error = refused(&all);
        assert!(error.starts_with(&format!("{name}={value:?} {what}")), "{error}");
    }
}

#[test]
fn unused_files_are_logged() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
    ];
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    let expected = format!("OTEL_EXPORTER_OTLP_CERTIFICATE=\"/nowhere\" has no effect, since {url} is not https");
    let log = driven.end();
    assert_eq!(
        log.iter().filter(|line| line.ends_with(&expected)).count(),
        1,
        "{log:#?}"
    );
}

/// The message names the setting that is in force, or none if there is none.
#[test]
fn system_without_certificates() {
    let (_directory, path) = file(
        "file_format: \"1.0\"\ntracer_provider: {processors: [batch: {exporter: {otlp_grpc: {endpoint: \"https://localhost:1\"}}}]}",
    );
    let path = ("OTEL_CONFIG_FILE", path.to_str().unwrap());
    for (arguments, variable, advice) in [
        (
            &["bare", "endpoint=https://localhost:1"][..],
            ("X", ""),
            "; set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file",
        ),
        (
            &["bare"],
            path,
            "; set tracer_provider.processors[0].batch.exporter.otlp_grpc.tls.ca_file to a PEM file",
        ),
        (&["bare", "traces=otlp", "endpoint=https://localhost:1"], path, ""),
    ] {
        let variables = [("SSL_CERT_FILE", "/dev/null"), variable];
        let (driven, ready) = DrivenProcess::start(DRIVEN, arguments, variables);
        drop(driven.end());
        let expected =
            format!("an endpoint is https, but the system has no trusted certificates (none were found){advice}");
        assert_eq!(ready, expected);
    }
}

/// A port that accepts connections, and stays silent: without TLS there is a connection, and the
/// receiver may have the request. A handshake that is not answered is tried again.
#[test]
fn silent_receiver() {
    let authority = Authority::new();
    let ca = authority.file("ca.pem");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for protocol in ["grpc", "http/protobuf"] {
        for (scheme, limit, expected) in [
            ("http", "shutdown 300", ["(1 not confirmed: no response within ", "ms)"]),
            (
                "https",
                "shutdown 300",
                ["(1 unreachable: no connection within ", "ms)"],
            ),
            ("https", "flush 20000", ["unreachable: ", ", after 2 attempts"]),
        ] {
            let url = format!("{scheme}://localhost:{port}");
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
                ("RUST_LOG", "off"),
            ];
            let (mut driven, _) = DrivenProcess::start(DRIVEN, &["bare"], variables);
            driven.send("spans 1");
            let answer = driven.send(limit);
            let found = expected.iter().all(|expected| answer.contains(expected));
            assert!(found, "{protocol} {scheme} {limit}: {answer}");
        }
    }
}
