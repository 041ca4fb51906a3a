//! The tests that need more than Rust: `peers/README.md`.

mod arrow_flight;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, bail};
use clap::Args;

use crate::project::{Project, SERVICES};
use crate::times::Times;
use crate::tools;

/// The programs that tests need: the test, the program, and the package that brings it.
const TOOLS: [(&str, &str, &str); 4] = [
    ("leaks", "valgrind", "valgrind"),
    ("browser", "chromedriver", "chromium-driver"),
    ("proxies", "haproxy", "haproxy"),
    ("tools", "h2load", "nghttp2-client"),
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// The tests to run, by the names of their files; all of them by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Lists the tests, and runs none
    #[arg(long)]
    list: bool,
}

/// Runs the named tests, or all of them.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let peers = tests(project, "peers/tests")?;
    let mut services = tests(project, "peers/services/tests")?;
    services.insert(arrow_flight::NAME.to_owned());
    if arguments.list {
        for name in peers.iter().chain(&services) {
            println!("{name}");
        }
        return Ok(());
    }
    let all: BTreeSet<&String> = peers.union(&services).collect();
    if let Some(unknown) = arguments.names.iter().find(|name| !all.contains(name)) {
        let all: Vec<&str> = all.into_iter().map(String::as_str).collect();
        bail!("there is no {unknown}, only {}", all.join(", "));
    }
    let chosen = |tests: BTreeSet<String>| -> Vec<String> {
        let is_chosen = |name: &String| arguments.names.is_empty() || arguments.names.contains(name);
        tests.into_iter().filter(is_chosen).collect()
    };
    let mut times = Times::default();
    test(project, &mut times, "--package peers", &chosen(peers))?;
    let mut services = chosen(services);
    let has_arrow_flight = services.iter().any(|name| name == arrow_flight::NAME);
    services.retain(|name| name != arrow_flight::NAME);
    test(project, &mut times, &format!("--manifest-path {SERVICES}"), &services)?;
    if has_arrow_flight {
        times.run(arrow_flight::NAME, || arrow_flight::run(project))?;
    }
    times.print();
    Ok(())
}

/// Returns the names of the tests in a folder.
fn tests(project: &Project, folder: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(project.root.join(folder))? {
        let path = entry?.path();
        if let (Some("rs"), Some(name)) = (path.extension().and_then(|it| it.to_str()), path.file_stem()) {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Builds the tests of a package, and runs one after the other.
fn test(project: &Project, times: &mut Times, package: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    for (test, program, apt_package) in TOOLS {
        if names.iter().any(|name| name == test) {
            tools::require(project, program, apt_package)?;
        }
    }
    let all = names.iter().flat_map(|name| ["--test", name]);
    let build = project
        .cargo("test --locked --no-run")
        .args(package.split(' '))
        .args(all);
    times.run(&format!("build {package}"), || Ok(build.run()?))?;
    for name in names {
        let run = project
            .cargo("test --locked")
            .args(package.split(' '))
            .args(["--test", name]);
        times.run(name, || Ok(run.run()?))?;
    }
    Ok(())
}
