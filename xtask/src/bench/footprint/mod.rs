//! Packages and clean build time that otel-runtime and competing crates add to a tonic service.
//!
//! The service without them has OpenTelemetry's SDK. For each crate a package is written into the
//! target directory, which depends on the crate, sets it up, and has one service. All are built
//! from nothing, in turns; the medians count. A build takes about a minute. The processor time of
//! the compiler hardly depends on the rest of the machine.

mod rows;
mod subjects;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::rows::Row;
use self::subjects::{BASELINE, Subject};
use super::tables::{self, median};
use crate::project::Project;

const MANIFEST: &str = include_str!("../../../templates/footprint/Cargo.toml.in");
const PROGRAM: &str = include_str!("../../../templates/footprint/main.rs.in");

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each is built; 0 only counts packages
    #[arg(default_value_t = 3)]
    rounds: usize,
    /// The packages to build, by their names in the table; the baseline is always among them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Builds the packages in turns, and writes the tables.
pub(super) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let footprint = Footprint {
        project,
        folder: project.folder_in_target("Cargo.toml", "footprint")?,
    };
    let mut subjects = subjects::subjects(project)?;
    footprint.write_workspace(&subjects)?;
    let known: Vec<&str> = subjects.iter().map(|subject| &*subject.name).collect();
    for name in &arguments.names {
        ensure!(
            known.contains(&&**name),
            "there is no {name}, only {}",
            known.join(", ")
        );
    }
    if !arguments.names.is_empty() {
        subjects.retain(|subject| subject.name == BASELINE || arguments.names.contains(&subject.name));
    }
    let rows = footprint.measure(&subjects, arguments.rounds)?;
    let (text, markdown) = (rows::text_table(&rows).text(), rows::page_table(&rows).markdown());
    tables::write(&footprint.folder, "footprint", &text, &markdown, &rows)
}

struct Footprint<'p> {
    project: &'p Project,
    folder: PathBuf,
}

impl Footprint<'_> {
    fn write_workspace(&self, subjects: &[Subject]) -> Result<()> {
        for subject in subjects {
            let folder = self.folder.join(&subject.name);
            fs::create_dir_all(folder.join("src"))?;
            let manifest = MANIFEST
                .replace("{name}", &subject.name)
                .replace("{dependencies}", &subject.dependencies);
            fs::write(folder.join("Cargo.toml"), manifest)?;
            let program = PROGRAM
                .replace("{attribute}", subject.attribute)
                .replace("{statements}", &subject.statements);
            fs::write(folder.join("src/main.rs"), program)?;
        }
        let members: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
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
                let (seconds, cpu_seconds) = self.build(&subject.name)?;
                let times = times.entry(&subject.name).or_default();
                times.0.push(seconds);
                times.1.push(cpu_seconds);
            }
        }
        let baseline = self.packages(BASELINE)?;
        let row = |subject: &Subject| {
            let packages = self.packages(&subject.name)?;
            let (seconds, cpu_seconds) = times.remove(subject.name.as_str()).unwrap_or_default();
            let packages = match subject.name.as_str() {
                BASELINE => packages.len(),
                _ => packages.difference(&baseline).count(),
            };
            Ok(Row {
                name: subject.name.clone(),
                title: subject.title.clone(),
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
