//! A program whose otel-setup lacks most Cargo features is told which one it needs.
//!
//! The tests of otel-setup cannot do without features, since their dependencies enable them.

use std::fs;

use anyhow::{Result, ensure};

use crate::project::Project;

const MANIFEST: &str = include_str!("../../templates/lean/Cargo.toml.in");
const PROGRAM: &str = include_str!("../../templates/lean/main.rs.in");

type Variables = &'static [(&'static str, &'static str)];

/// Environment variables, and what the program prints, without the time at the beginning of a line.
const RUNS: [(Variables, &[&str]); 6] = [
    (
        &[
            ("RUST_LOG", "warn,shop=debug,shop[checkout]=trace,shop=loud"),
            ("OTEL_CONFIG_FILE", "otel.yaml"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4317"),
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("HTTP_PROXY", "http://ada:secret@proxy.example:3128"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
        &[
            "directive \"shop[checkout]=trace\": requires the Cargo feature `env-filter` of otel-setup; ignoring it",
            "\"info\", \"debug\", \"trace\", or a number 0-5; ignoring it",
            "OTEL_CONFIG_FILE=\"otel.yaml\" requires the Cargo feature `config-file` of otel-setup; ignoring it",
            "OTEL_EXPORTER_OTLP_COMPRESSION=\"gzip\" requires the Cargo feature `gzip` of otel-setup; using none",
            "\"b3\" needs the Cargo feature `propagators`; using tracecontext",
            "HTTP_PROXY=\"…\" requires the Cargo feature `proxy` of otel-setup; connecting directly",
            "DEBUG shop: is shown",
            "WARN other: is shown, too",
        ],
    ),
    (
        &[("OTEL_TRACES_EXPORTER", "console")],
        &["OTEL_TRACES_EXPORTER=\"console\" requires the Cargo feature `console` of otel-setup"],
    ),
    (
        &[("OTEL_METRICS_EXPORTER", "prometheus")],
        &["OTEL_METRICS_EXPORTER=\"prometheus\" requires the Cargo feature `prometheus` of otel-setup"],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4317")],
        &[
            "OTEL_EXPORTER_OTLP_ENDPOINT=\"https://collector.example:4317\" requires the Cargo feature `tls` of \
             otel-setup; without it, use http://",
        ],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        &["OTEL_EXPORTER_OTLP_PROTOCOL=\"http/protobuf\" requires the Cargo feature `http` of otel-setup"],
    ),
    // `info` is the default.
    (
        &[
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
        &["WARN other: is shown, too", "INFO other: is not shown"],
    ),
];

/// Builds the program, and compares what it prints.
pub(super) fn told(project: &Project) -> Result<()> {
    let folder = project.folder_in_target("Cargo.toml", "lean")?;
    project.shell.create_dir(folder.join("src"))?;
    let root = project.root.display().to_string();
    fs::write(folder.join("Cargo.toml"), MANIFEST.replace("{root}", &root))?;
    fs::write(folder.join("src/main.rs"), PROGRAM)?;
    fs::copy(project.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let target = project.target_directory("Cargo.toml")?;
    for (variables, expected) in RUNS {
        let run = project
            .cargo("run --quiet --manifest-path")
            .arg(folder.join("Cargo.toml"));
        let run = run.env("CARGO_TARGET_DIR", &target).env_remove("RUST_LOG");
        let printed = run.envs(variables.iter().copied()).quiet().read()?;
        let lines: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).collect();
        ensure!(
            lines.len() == expected.len()
                && expected
                    .iter()
                    .all(|text| lines.iter().any(|line| line.ends_with(text))),
            "with {variables:?}, expected {expected:#?}, found:\n{printed}"
        );
    }
    Ok(())
}
