//! The attribute's compile time, on a service of 100 methods, 25 of each kind.
//!
//! The service is built with the attribute and without it, in turns, without incremental
//! compilation. All dependencies are built before. The medians count.
//!
//! The macro's own time is that of both its stages over this service, in a release build of the
//! macro outside the compiler: the median of 20 runs in one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use xshell::Cmd;

use super::tables::median;
use crate::project::Project;

/// How much longer a build with the attribute may take.
const MAX_RATIO: f64 = 1.20;
/// How many milliseconds the macro may take.
const MAX_EXPANSION: f64 = 50.0;

const MANIFEST: &str = include_str!("../../templates/compile-cost/Cargo.toml.in");
const BUILD_SCRIPT: &str = include_str!("../../templates/compile-cost/build.rs.in");
const SERVICE: &str = include_str!("../../templates/compile-cost/lib.rs.in");
const METHOD: &str = include_str!("../../templates/compile-cost/method.rs.in");
const PROTO: &str = include_str!("../../templates/compile-cost/service.proto");
const PROTO_METHOD: &str = include_str!("../../templates/compile-cost/method.proto");

/// Builds the service so many times in both ways, and fails if the attribute costs too much.
pub(super) fn run(project: &Project, runs: usize) -> Result<()> {
    let cost = CompileCost {
        project,
        folder: project.folder_in_target("Cargo.toml", "compile-cost")?,
    };
    cost.write_packages()?;
    cost.cargo("build --quiet").run()?;

    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(cost.build("without")?);
        with.push(cost.build("with")?);
    }
    let (without, with) = (median(&without), median(&with));
    let (ratio, expansion) = (with / without, cost.expansion()?);
    println!("without the attribute: {without:.0} ms, with it: {with:.0} ms (medians of {runs} builds)");
    println!("ratio: {ratio:.3} (at most {MAX_RATIO})");
    println!("expansion: {expansion} ms (less than {MAX_EXPANSION})");
    ensure!(
        ratio <= MAX_RATIO && expansion < MAX_EXPANSION,
        "the attribute costs too much"
    );
    Ok(())
}

struct CompileCost<'p> {
    project: &'p Project,
    folder: PathBuf,
}

impl CompileCost<'_> {
    fn write_packages(&self) -> Result<()> {
        self.write_package("without", "")?;
        self.write_package("with", "#[otel_runtime::traced_service]")?;
        let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"with\", \"without\"]\n";
        fs::write(self.folder.join("Cargo.toml"), workspace)?;
        fs::copy(self.project.root.join("Cargo.lock"), self.folder.join("Cargo.lock"))?;
        Ok(())
    }

    fn write_package(&self, name: &str, attribute: &str) -> Result<()> {
        let folder = self.folder.join(name);
        fs::create_dir_all(folder.join("src"))?;
        let root = self.project.root.display().to_string();
        let service = SERVICE
            .replace("{attribute}", attribute)
            .replace("{methods}", &numbered(METHOD));
        fs::write(folder.join("src/lib.rs"), service)?;
        fs::write(
            folder.join("Cargo.toml"),
            MANIFEST.replace("{name}", name).replace("{root}", &root),
        )?;
        fs::write(
            folder.join("service.proto"),
            PROTO.replace("{methods}", &numbered(PROTO_METHOD)),
        )?;
        fs::write(folder.join("build.rs"), BUILD_SCRIPT)?;
        Ok(())
    }

    /// Returns cargo with its default profile, which this repository changes for its tests.
    fn cargo(&self, arguments: &str) -> Cmd<'_> {
        let cargo = self
            .project
            .cargo(arguments)
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"));
        let cargo = cargo
            .env("CARGO_TARGET_DIR", self.target())
            .env("CARGO_INCREMENTAL", "0");
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "2")
    }

    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    /// Returns the milliseconds that cargo takes for a package whose source has changed.
    fn build(&self, package: &str) -> Result<f64> {
        touch(&self.folder.join(package).join("src/lib.rs"))?;
        let build = self.cargo("build --quiet").args(["--package", package]);
        let start = Instant::now();
        build.run()?;
        Ok(start.elapsed().as_secs_f64() * 1000.0)
    }

    /// Returns the milliseconds of the macro, which one of its tests measures.
    fn expansion(&self) -> Result<f64> {
        let test =
            "test --quiet --locked --release --package otel-macros --lib -- --ignored --nocapture expansion_time";
        let test = self.project.cargo(test).env("CARGO_TARGET_DIR", self.target());
        println!("$ {test}");
        let service = self.folder.join("with/src/lib.rs");
        let printed = test.env("COMPILE_COST_SERVICE", service).read()?;
        let time = printed
            .lines()
            .find_map(|line| line.strip_prefix("expansion: ")?.strip_suffix(" ms"));
        Ok(time.context("the test prints no time")?.parse()?)
    }
}

/// Repeats a template, with the numbers from 1 to 25.
fn numbered(template: &str) -> String {
    (1..=25)
        .map(|number: u32| template.replace("{number}", &number.to_string()))
        .collect()
}

fn touch(path: &Path) -> Result<()> {
    Ok(fs::File::options()
        .write(true)
        .open(path)?
        .set_modified(SystemTime::now())?)
}
