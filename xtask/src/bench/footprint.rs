//! Packages and clean build time that otel-runtime and competing crates add to a tonic service.
//!
//! The service without them has OpenTelemetry's SDK. For each crate a package is written into the
//! target directory, which depends on the crate, sets it up, and has one service. All are built
//! from nothing, in turns; the medians count. A build takes about a minute. The processor time of
//! the compiler hardly depends on the rest of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use super::tables::{self, Table, median};
use crate::project::{BENCHES, Project};

const MANIFEST: &str = include_str!("../../templates/footprint/Cargo.toml.in");
const PROGRAM: &str = include_str!("../../templates/footprint/main.rs.in");
/// Makes OpenTelemetry's spans of those of `tracing`.
const BRIDGE: &str = include_str!("../../templates/footprint/bridge.toml.in");
const BRIDGED: &str = include_str!("../../templates/footprint/bridge.rs.in");
const BASELINE: &str = "baseline";

/// Cargo features of otel-setup, in place of its default ones.
const FEATURES: [(&str, &str); 10] = [
    ("otlp", r#"["otlp"]"#),
    ("otlp-http", r#"["otlp", "http"]"#),
    ("otlp-gzip", r#"["otlp", "gzip"]"#),
    ("otlp-proxy", r#"["otlp", "proxy"]"#),
    ("otlp-env-filter", r#"["otlp", "env-filter"]"#),
    ("otlp-json", r#"["otlp", "json"]"#),
    ("otlp-console", r#"["otlp", "console"]"#),
    ("otlp-tls", r#"["otlp", "tls"]"#),
    ("otlp-prometheus", r#"["otlp", "prometheus"]"#),
    ("otlp-config-file", r#"["otlp", "config-file"]"#),
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each is built; 0 only counts packages
    #[arg(default_value_t = 3)]
    rounds: usize,
    /// The packages to build, by their names in the table; the baseline is always among them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// A package to build.
struct Subject {
    name: &'static str,
    dependencies: String,
    attribute: &'static str,
    statements: String,
}

/// A row of the results.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    packages: usize,
    seconds: f64,
    cpu_seconds: f64,
}

/// Builds the packages in turns, and writes the tables.
pub(super) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let footprint = Footprint {
        project,
        folder: project.folder_in_target("Cargo.toml", "footprint")?,
        versions: versions(project)?,
    };
    let mut subjects = footprint.subjects()?;
    footprint.write_workspace(&subjects)?;
    for name in &arguments.names {
        ensure!(
            subjects.iter().any(|subject| subject.name == name),
            "there is no {name} in the table"
        );
    }
    if !arguments.names.is_empty() {
        subjects.retain(|subject| subject.name == BASELINE || arguments.names.iter().any(|name| name == subject.name));
    }
    let rows = footprint.measure(&subjects, arguments.rounds)?;
    let (text, markdown) = (text_table(&rows).text(), footprint.table(&rows).markdown());
    tables::write(&footprint.folder, "footprint", &text, &markdown, &rows)
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

struct Footprint<'p> {
    project: &'p Project,
    folder: PathBuf,
    versions: BTreeMap<String, String>,
}

impl Footprint<'_> {
    fn version(&self, name: &str) -> Result<&str> {
        let version = self.versions.get(name);
        Ok(version.with_context(|| format!("{BENCHES} has no {name}"))?)
    }

    /// Returns what is compared, the baseline first.
    fn subjects(&self) -> Result<Vec<Subject>> {
        let root = self.project.root.display();
        let path = |name: &&str| format!("{name} = {{ path = \"{root}/{name}\" }}");
        let ours = |name, crates: &[&str], statements: &str| Subject {
            name,
            dependencies: crates.iter().map(path).collect::<Vec<_>>().join("\n"),
            attribute: "#[otel_runtime::traced_service]",
            statements: statements.to_owned(),
        };
        let mut subjects = vec![
            Subject {
                name: BASELINE,
                dependencies: String::new(),
                attribute: "",
                statements: String::new(),
            },
            ours("otel-runtime", &["otel-runtime"], ""),
            ours(
                "otel-setup",
                &["otel-runtime", "otel-setup"],
                "let _telemetry = otel_setup::init().unwrap();",
            ),
        ];
        subjects.extend(FEATURES.map(|(name, features)| Subject {
            name,
            dependencies: format!(
                "otel-runtime = {{ path = \"{root}/otel-runtime\" }}\notel-setup = {{ path = \"{root}/otel-setup\", \
                 default-features = false, features = {features} }}"
            ),
            attribute: "#[otel_runtime::traced_service]",
            statements: "let _telemetry = otel_setup::init().unwrap();".to_owned(),
        }));
        subjects.push(by_hand());
        subjects.extend(self.competitors()?);
        Ok(subjects)
    }

    fn competitors(&self) -> Result<Vec<Subject>> {
        let competitor = |name, statements: &str| -> Result<Subject> {
            Ok(Subject {
                name,
                dependencies: format!("{name} = \"={}\"", self.version(name)?),
                attribute: "",
                statements: format!("let _layer = {statements};"),
            })
        };
        let bridged = |name, statements: &str| -> Result<Subject> {
            let subject = competitor(name, statements)?;
            Ok(Subject {
                dependencies: format!("{}\n{BRIDGE}", subject.dependencies),
                statements: format!("{BRIDGED}    {}", subject.statements),
                ..subject
            })
        };
        let mut fastrace = competitor("fastrace-tonic", "fastrace_tonic::FastraceServerLayer::default()")?;
        let version = self.version("fastrace")?;
        let fastrace_itself = format!("\nfastrace = {{ version = \"{version}\", features = [\"enable\"] }}");
        fastrace.dependencies.push_str(&fastrace_itself);
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

    fn write_workspace(&self, subjects: &[Subject]) -> Result<()> {
        for subject in subjects {
            let folder = self.folder.join(subject.name);
            fs::create_dir_all(folder.join("src"))?;
            let manifest = MANIFEST
                .replace("{name}", subject.name)
                .replace("{dependencies}", &subject.dependencies);
            fs::write(folder.join("Cargo.toml"), manifest)?;
            let program = PROGRAM
                .replace("{attribute}", subject.attribute)
                .replace("{statements}", &subject.statements);
            fs::write(folder.join("src/main.rs"), program)?;
        }
        let members: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
        let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
        fs::write(self.folder.join("Cargo.toml"), workspace)?;
        // The versions are those of the benchmarks, as far as these have them.
        fs::copy(
            self.project.root.join("benches/Cargo.lock"),
            self.folder.join("Cargo.lock"),
        )?;
        let _there = self.project.shell.push_dir(&self.folder);
        self.project
            .cargo("metadata --format-version 1")
            .ignore_stdout()
            .run()?;
        Ok(self.project.cargo("fetch --quiet --locked").run()?)
    }

    fn measure(&self, subjects: &[Subject], rounds: usize) -> Result<Vec<Row>> {
        let mut times: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for round in 1..=rounds {
            for subject in subjects {
                eprintln!("round {round}: {}", subject.name);
                let (seconds, cpu_seconds) = self.build(subject.name)?;
                let times = times.entry(subject.name).or_default();
                times.0.push(seconds);
                times.1.push(cpu_seconds);
            }
        }
        let baseline = self.packages(BASELINE)?;
        let row = |subject: &Subject| {
            let packages = self.packages(subject.name)?;
            let (seconds, cpu_seconds) = times.remove(subject.name).unwrap_or_default();
            let packages = match subject.name {
                BASELINE => packages.len(),
                _ => packages.difference(&baseline).count(),
            };
            Ok(Row {
                name: subject.name,
                packages,
                seconds: median(&seconds),
                cpu_seconds: median(&cpu_seconds),
            })
        };
        subjects.iter().map(row).collect()
    }

    /// Returns the packages that one brings.
    fn packages(&self, name: &str) -> Result<BTreeSet<String>> {
        let _there = self.project.shell.push_dir(&self.folder);
        let tree = self
            .project
            .cargo("tree --locked --edges normal --prefix none --format {p} --package");
        let tree = tree.arg(format!("with-{name}")).quiet().read()?;
        let packages = tree
            .lines()
            .map(|line| line.split(" (").next().unwrap_or_default().to_owned());
        Ok(packages.filter(|package| !package.starts_with("with-")).collect())
    }

    /// Builds from nothing, and returns the seconds by the clock and of the processor.
    fn build(&self, name: &str) -> Result<(f64, f64)> {
        let target = self.folder.join("target");
        self.project.shell.remove_path(&target)?;
        let _there = self.project.shell.push_dir(&self.folder);
        let build = self
            .project
            .cargo("build --quiet --release --locked --package")
            .arg(format!("with-{name}"));
        let build = build.env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
        let (start, cpu_start) = (Instant::now(), children_cpu_seconds()?);
        build.run()?;
        let times = (start.elapsed().as_secs_f64(), children_cpu_seconds()? - cpu_start);
        self.project.shell.remove_path(&target)?;
        Ok(times)
    }

    fn title(&self, name: &str) -> String {
        match name {
            BASELINE => "tonic, OpenTelemetry, its SDK".to_owned(),
            "otel-runtime" => "**otel-runtime**".to_owned(),
            "otel-setup" => "**otel-runtime**, **otel-setup**".to_owned(),
            "otlp-by-hand" => {
                "no RPC traced: `opentelemetry-otlp` and what makes its spans and logs of `tracing`".to_owned()
            }
            other => match FEATURES.iter().find(|(name, _)| *name == other) {
                Some((_, features)) => format!(
                    "**otel-runtime**, **otel-setup** with `{}` only",
                    features.replace(['[', ']', '"'], "")
                ),
                None => format!("{other} {}", self.versions[other]),
            },
        }
    }

    /// Returns the table of `docs/scale.md`, in relation to the baseline.
    fn table(&self, rows: &[Row]) -> Table {
        let mut table = Table::new(["", "packages", "clean release build", "its CPU time"]);
        for row in rows {
            let (packages, seconds, cpu_seconds) = match row.name {
                BASELINE => (
                    row.packages.to_string(),
                    format!("{:.0} s", row.seconds),
                    format!("{:.0} s", row.cpu_seconds),
                ),
                _ => (
                    format!("+{}", row.packages),
                    format!("× {}", ratio(row.seconds, rows[0].seconds)),
                    format!("× {}", ratio(row.cpu_seconds, rows[0].cpu_seconds)),
                ),
            };
            table.0.push(vec![self.title(row.name), packages, seconds, cpu_seconds]);
        }
        table
    }
}

/// Returns the table for a terminal, with all numbers.
fn text_table(rows: &[Row]) -> Table {
    let mut table = Table::new(["", "packages", "seconds", "ratio", "CPU", "ratio"]);
    for row in rows {
        table.0.push(vec![
            row.name.to_owned(),
            row.packages.to_string(),
            format!("{:.1}", row.seconds),
            ratio(row.seconds, rows[0].seconds),
            format!("{:.1}", row.cpu_seconds),
            ratio(row.cpu_seconds, rows[0].cpu_seconds),
        ]);
    }
    table
}

fn ratio(time: f64, base: f64) -> String {
    if base > 0.0 {
        format!("{:.2}", time / base)
    } else {
        "-".to_owned()
    }
}

/// Returns a service with the dependencies of otel-setup, set up by hand.
fn by_hand() -> Subject {
    Subject {
        name: "otlp-by-hand",
        dependencies: r#"opentelemetry-appender-tracing = "0.33"
opentelemetry-otlp = { version = "0.33", default-features = false, features = ["grpc-tonic", "logs", "metrics", "trace"] }
tracing = "0.1"
tracing-opentelemetry = "0.34"
tracing-subscriber = { version = "0.3", features = ["env-filter"] }"#
            .to_owned(),
        attribute: "",
        statements: "let _exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build().unwrap();".to_owned(),
    }
}

/// Returns the processor time of all child processes that have ended.
fn children_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("needs Linux")?;
    // After the name in parentheses, which may contain spaces, `cutime` and `cstime` are fields 14
    // and 15. Linux counts both in hundredths of a second.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat has no name")?;
    let ticks = fields.split(' ').skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
