//! arrow-flight itself, with every service in it annotated: the sources of the crate, its examples
//! and its tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::project::{Project, SERVICES};

/// The name of this test among the peers.
pub(super) const NAME: &str = "arrow_flight";

/// The services that arrow-flight implements: the blanket impl for `FlightSqlService`, one in an
/// example, one in a benchmark, and two in its tests.
const SERVICES_IN_IT: usize = 5;
/// The tests of arrow-flight with [`FEATURES`], among them 25 doc tests.
const TESTS_IN_IT: usize = 159;
const FEATURES: &str = "flight-sql,cli,tls-ring";

const ASYNC_TRAIT: &str = "#[tonic::async_trait]";
/// Other code names the stream types of the blanket impl, so they must stay as they are.
const TRACED_SERVICE: &str = "#[otel_runtime::traced_service(boxed_streams)]";

/// Runs the tests of arrow-flight, with the attribute above `#[async_trait]` and below it.
pub(super) fn run(project: &Project) -> Result<()> {
    let source = source(project)?;
    let folder = project.folder_in_target(SERVICES, "arrow-flight")?;
    for attributes in [[TRACED_SERVICE, ASYNC_TRAIT], [ASYNC_TRAIT, TRACED_SERVICE]] {
        let services = copy_annotated(&source, &folder, attributes)?;
        ensure!(services == SERVICES_IN_IT, "arrow-flight has {services} services");
        add_runtime(project, &folder)?;
        let manifest = folder.join("Cargo.toml");
        let command = project
            .cargo("test --quiet --features")
            .arg(FEATURES)
            .arg("--manifest-path");
        let output = command
            .arg(manifest)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .ignore_status()
            .read()?;
        let passed = passed_tests(&output);
        ensure!(passed == TESTS_IN_IT, "{passed} of {TESTS_IN_IT} tests pass:\n{output}");
        println!(
            "arrow-flight: {passed} tests pass with {} above {}",
            attributes[0], attributes[1]
        );
    }
    Ok(())
}

/// Returns the folder into which cargo has unpacked arrow-flight.
fn source(project: &Project) -> Result<PathBuf> {
    let mut command = MetadataCommand::new();
    command
        .manifest_path(project.root.join(SERVICES))
        .other_options(["--locked".to_owned()]);
    let metadata = command.exec()?;
    let package = metadata
        .packages
        .into_iter()
        .find(|package| package.name == "arrow-flight");
    let manifest = package
        .context("peers/services does not depend on arrow-flight")?
        .manifest_path;
    Ok(manifest.parent().context("a manifest is in a folder")?.into())
}

/// Copies a package, and writes `attributes` on its services instead of `#[tonic::async_trait]`.
///
/// Returns the number of services.
fn copy_annotated(from: &Path, to: &Path, attributes: [&str; 2]) -> Result<usize> {
    fs::create_dir_all(to)?;
    let mut services = 0;
    for entry in fs::read_dir(from)? {
        let (from, to) = (entry?.path(), to.to_owned());
        let to = to.join(from.file_name().context("an entry of a folder has a name")?);
        if from.is_dir() {
            services += copy_annotated(&from, &to, attributes)?;
        } else if from.extension().is_some_and(|extension| extension == "rs") {
            let (text, found) = annotated(&fs::read_to_string(&from)?, attributes);
            services += found;
            // Other files keep their times, so that cargo builds only what differs.
            if fs::read_to_string(&to).ok().as_deref() != Some(&text) {
                fs::write(to, text)?;
            }
        } else {
            fs::write(to, fs::read(from)?)?;
        }
    }
    Ok(services)
}

fn annotated(text: &str, attributes: [&str; 2]) -> (String, usize) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut services = 0;
    for at in 1..lines.len() {
        if lines[at].contains(" FlightService for ") && lines[at - 1].trim() == ASYNC_TRAIT {
            lines[at - 1] = attributes.join("\n");
            services += 1;
        }
    }
    (lines.join("\n") + "\n", services)
}

/// Adds otel-runtime to the manifest, which becomes a workspace of its own.
fn add_runtime(project: &Project, folder: &Path) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    let runtime = project.root.join("otel-runtime");
    let text = fs::read_to_string(&manifest)?;
    let added = format!(
        "{text}\n[workspace]\n\n[dependencies.otel-runtime]\npath = \"{}\"\n",
        runtime.display()
    );
    Ok(fs::write(manifest, added)?)
}

/// Adds the numbers of all lines `test result: ok. 56 passed; …`.
fn passed_tests(output: &str) -> usize {
    let results = output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ")?.split_once(". "));
    results
        .filter_map(|(_, counts)| counts.split(' ').next()?.parse::<usize>().ok())
        .sum()
}
