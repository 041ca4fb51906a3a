//! The pictures of a trace in Jaeger's interface, and of the zPages.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::{JAEGER, Project};
use crate::tools;

/// A program that is stopped when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Draws `docs/zpages.png` and `docs/jaeger.png` with Chromium.
pub(crate) fn run(project: &Project) -> Result<()> {
    tools::require(project, "chromedriver", "chromium-driver")?;
    // The test of the pages takes their pictures.
    project
        .cargo("test --quiet --locked --package peers --test browser")
        .env("UPDATE_SCREENSHOTS", "1")
        .run()?;
    jaeger(project)
}

fn jaeger(project: &Project) -> Result<()> {
    tools::require(project, "protoc", "protobuf-compiler")?;
    tools::require(project, "chromium", "chromium")?;
    project
        .cargo(&format!("build --quiet --locked --manifest-path {JAEGER}"))
        .run()?;
    let jaeger = project.target_directory(JAEGER)?.join("debug/jaeger");
    let mut jaeger = Running(Command::new(jaeger).env("PORT", "0").stdout(Stdio::piped()).spawn()?);
    let output = jaeger.0.stdout.take().context("its output is not piped")?;
    let mut trace = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with("All of them") {
            break;
        }
        if let Some(at) = line.find("http").filter(|at| line[*at..].contains("/trace/")) {
            trace.get_or_insert_with(|| line[at..].to_owned());
        }
    }
    let trace = trace.context("Jaeger prints no link to a trace")?;

    let profile = project.shell.create_temp_dir()?;
    let profile = format!("--user-data-dir={}", profile.path().display());
    let picture = format!("--screenshot={}", project.root.join("docs/jaeger.png").display());
    let offline = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];
    let size = [
        "--hide-scrollbars",
        "--window-size=1400,490",
        "--virtual-time-budget=8000",
    ];
    let chromium = cmd!(
        project.shell,
        "chromium --headless --no-sandbox --disable-gpu --no-first-run"
    );
    Ok(chromium
        .args(offline)
        .arg(profile)
        .args(size)
        .arg(picture)
        .arg(trace)
        .run()?)
}
