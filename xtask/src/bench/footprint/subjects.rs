//! The packages that are compared: the same service with one crate each.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::project::{BENCHES, Project};

/// Makes OpenTelemetry's spans of those of `tracing`.
const BRIDGE: &str = include_str!("../../../templates/footprint/bridge.toml.in");
const BRIDGED: &str = include_str!("../../../templates/footprint/bridge.rs.in");
/// The dependencies of a service that does by hand what otel-setup does.
const BY_HAND: &str = include_str!("../../../templates/footprint/by_hand.toml.in");

pub(super) const BASELINE: &str = "baseline";

const ATTRIBUTE: &str = "#[otel_runtime::traced_service]";
const INIT: &str = "let _telemetry = otel_setup::init().unwrap();";

/// Cargo features of otel-setup beside `otlp`, in place of its default ones.
const FEATURES: [&str; 10] = [
    "http",
    "gzip",
    "proxy",
    "propagators",
    "env-filter",
    "json",
    "console",
    "tls",
    "prometheus",
    "config-file",
];

/// A package to build.
#[derive(Default)]
pub(super) struct Subject {
    pub(super) name: String,
    /// The name in the table of `docs/scale.md`.
    pub(super) title: String,
    pub(super) dependencies: String,
    pub(super) attribute: &'static str,
    pub(super) statements: String,
}

/// Returns what is compared, the baseline first.
pub(super) fn subjects(project: &Project) -> Result<Vec<Subject>> {
    let mut subjects = vec![Subject {
        name: BASELINE.to_owned(),
        title: "tonic, OpenTelemetry, its SDK".to_owned(),
        ..Subject::default()
    }];
    subjects.extend(ours(project));
    subjects.push(by_hand());
    subjects.extend(competitors(project)?);
    Ok(subjects)
}

/// Returns our crates, and features of otel-setup.
fn ours(project: &Project) -> Vec<Subject> {
    let root = project.root.display();
    let runtime = format!("otel-runtime = {{ path = \"{root}/otel-runtime\" }}");
    let mut subjects = vec![
        Subject {
            name: "otel-runtime".to_owned(),
            title: "**otel-runtime**".to_owned(),
            dependencies: runtime.clone(),
            attribute: ATTRIBUTE,
            statements: String::new(),
        },
        Subject {
            name: "otel-setup".to_owned(),
            title: "**otel-runtime**, **otel-setup**".to_owned(),
            dependencies: format!("{runtime}\notel-setup = {{ path = \"{root}/otel-setup\" }}"),
            attribute: ATTRIBUTE,
            statements: INIT.to_owned(),
        },
    ];
    let with_features = |name: String, features: &[&str]| Subject {
        name,
        title: format!("**otel-runtime**, **otel-setup** with `{}` only", features.join(", ")),
        dependencies: format!(
            "{runtime}\notel-setup = {{ path = \"{root}/otel-setup\", default-features = false, features = {features:?} }}"
        ),
        attribute: ATTRIBUTE,
        statements: INIT.to_owned(),
    };
    subjects.push(with_features("otlp".to_owned(), &["otlp"]));
    subjects.extend(FEATURES.map(|feature| with_features(format!("otlp-{feature}"), &["otlp", feature])));
    subjects
}

/// Returns a service with the dependencies of otel-setup, set up by hand.
fn by_hand() -> Subject {
    Subject {
        name: "otlp-by-hand".to_owned(),
        title: "no RPC traced: `opentelemetry-otlp` and what makes its spans and logs of `tracing`".to_owned(),
        dependencies: BY_HAND.to_owned(),
        attribute: "",
        statements: "let _exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build().unwrap();"
            .to_owned(),
    }
}

fn competitors(project: &Project) -> Result<Vec<Subject>> {
    let versions = versions(project)?;
    let version = |name: &str| versions.get(name).with_context(|| format!("{BENCHES} has no {name}"));
    let competitor = |name: &str, statements: &str| -> Result<Subject> {
        let version = version(name)?;
        Ok(Subject {
            name: name.to_owned(),
            title: format!("{name} {version}"),
            dependencies: format!("{name} = \"={version}\""),
            attribute: "",
            statements: format!("let _layer = {statements};"),
        })
    };
    let bridged = |name: &str, statements: &str| -> Result<Subject> {
        let subject = competitor(name, statements)?;
        Ok(Subject {
            dependencies: format!("{}\n{BRIDGE}", subject.dependencies),
            statements: format!("{BRIDGED}    {}", subject.statements),
            ..subject
        })
    };
    let mut fastrace = competitor("fastrace-tonic", "fastrace_tonic::FastraceServerLayer::default()")?;
    let itself = version("fastrace")?;
    let itself = format!("\nfastrace = {{ version = \"{itself}\", features = [\"enable\"] }}");
    fastrace.dependencies.push_str(&itself);
    Ok(vec![
        competitor(
            "opentelemetry-instrumentation-tower",
            "opentelemetry_instrumentation_tower::http::server::LayerBuilder::builder().build().unwrap()",
        )?,
        bridged(
            "tower-otel",
            "tower_otel::trace::GrpcLayer::server(tracing::Level::INFO)",
        )?,
        bridged(
            "tower-http-opentelemetry",
            "tower_http_opentelemetry::http::server::HttpServerTelemetryLayer::new()",
        )?,
        bridged(
            "tonic-tracing-opentelemetry",
            "tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer::default()",
        )?,
        competitor(
            "tonic-otel-layer",
            "tonic_otel_layer::MetricsLayerBuilder::new().build()",
        )?,
        fastrace,
    ])
}

/// Returns the versions of the competing crates, as the benchmarks have them.
fn versions(project: &Project) -> Result<BTreeMap<String, String>> {
    let metadata = project.metadata(BENCHES)?;
    let benches = metadata
        .packages
        .into_iter()
        .find(|package| package.name.as_str() == "benches");
    let dependencies = benches.context("no package benches")?.dependencies;
    let version = |required: String| required.trim_start_matches('^').to_owned();
    Ok(dependencies
        .into_iter()
        .map(|dependency| (dependency.name, version(dependency.req.to_string())))
        .collect())
}
