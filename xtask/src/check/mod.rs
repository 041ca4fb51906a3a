//! The checks besides the tests, each a step with a name.

mod fuzz;
mod lean;
mod packages;
mod pages;
mod quickstart;
mod shapes;
mod tree;
mod versions;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::project::{BENCHES, JAEGER, Project, SERVICES};
use crate::times::Times;
use crate::{prose, tools};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The steps to run; all of them by default
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)), hide_possible_values = true)]
    steps: Vec<String>,
    /// Lists the steps, and runs none
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Project) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the crates, examples, tests and xtask are formatted",
        run: |project| cargo(project, "fmt --all --check"),
    },
    Step {
        name: "fmt-services",
        about: "peers/services is formatted",
        run: |project| cargo(project, &format!("fmt --manifest-path {SERVICES} --check")),
    },
    Step {
        name: "fmt-jaeger",
        about: "examples/jaeger is formatted",
        run: |project| cargo(project, &format!("fmt --manifest-path {JAEGER} --check")),
    },
    Step {
        name: "fmt-benches",
        about: "benches is formatted",
        run: |project| cargo(project, &format!("fmt --manifest-path {BENCHES} --all --check")),
    },
    Step {
        name: "fmt-fuzz",
        about: "fuzz is formatted",
        run: |project| cargo(project, "fmt --manifest-path fuzz/Cargo.toml --check"),
    },
    Step {
        name: "prose",
        about: "comments open and end as CONTRIBUTING says",
        run: prose::check,
    },
    Step {
        name: "pages",
        about: "README is short, chapters say for whom they are, and examples what they answer",
        run: pages::written,
    },
    Step {
        name: "tree",
        about: "docs/architecture.md names each file, imports point down its lists, and no file is too long",
        run: tree::checked,
    },
    Step {
        name: "xtask",
        about: "the unit tests of these commands pass",
        run: |project| cargo(project, "test --quiet --locked --package xtask"),
    },
    Step {
        name: "clippy",
        about: "the workspace has no warning",
        run: |project| cargo(project, "clippy --workspace --all-targets --locked -- -D warnings"),
    },
    Step {
        name: "clippy-shapes",
        about: "clippy says nothing of a service because of the attribute, not even its nursery",
        run: shapes::linted,
    },
    Step {
        name: "clippy-services",
        about: "peers/services has no warning",
        run: |project| {
            cargo(
                project,
                &format!("clippy --manifest-path {SERVICES} --all-targets --locked -- -D warnings"),
            )
        },
    },
    Step {
        name: "protoc",
        about: "protoc, which examples/jaeger needs, is there; it is installed if it is missing",
        run: protoc,
    },
    Step {
        name: "clippy-jaeger",
        about: "examples/jaeger has no warning; needs protoc",
        run: clippy_jaeger,
    },
    Step {
        name: "clippy-benches",
        about: "benches has no warning",
        run: |project| {
            let arguments = "--workspace --all-targets --all-features --locked -- -D warnings";
            cargo(project, &format!("clippy --manifest-path {BENCHES} {arguments}"))
        },
    },
    Step {
        name: "doc",
        about: "the documentation builds, without a broken link",
        run: pages::documented,
    },
    Step {
        name: "docs-rs",
        about: "the documentation builds as on docs.rs, with the badges of features",
        run: packages::documented_as_on_docs_rs,
    },
    Step {
        name: "quickstart",
        about: "the README's quick start, in an empty folder, prints a trace, and its test passes",
        run: quickstart::run,
    },
    Step {
        name: "example",
        about: "`cargo run -p examples` ends by itself, and shows a trace of every RPC",
        run: quickstart::example,
    },
    Step {
        name: "features",
        about: "the crates build with no feature, with each and with each two",
        run: packages::features,
    },
    Step {
        name: "missing-features",
        about: "a program without a Cargo feature of otel-setup is told when it needs it",
        run: lean::told,
    },
    Step {
        name: "wasm",
        about: "otel-runtime builds for a browser, without its default features",
        run: packages::for_browsers,
    },
    Step {
        name: "package-contents",
        about: "the packages contain what belongs there, and nothing else",
        run: packages::contents,
    },
    Step {
        name: "package",
        about: "the crates build from what is in their packages",
        run: packages::packaged,
    },
    Step {
        name: "rust-version",
        about: "no dependency needs a newer compiler than the crates",
        run: versions::rust_version,
    },
    Step {
        name: "minimal-versions",
        about: "the crates build with the lowest versions that they allow",
        run: versions::minimal,
    },
    Step {
        name: "fuzz",
        about: "every fuzz target runs its corpus and ten seconds more; needs a C++ compiler",
        run: fuzz::run,
    },
    Step {
        name: "deny",
        about: "licenses, sources and duplicate versions are as deny.toml says",
        run: versions::deny,
    },
];

/// Runs the named steps, or all of them, and stops at the first that fails.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for step in STEPS {
            println!("{:18}{}", step.name, step.about);
        }
        return Ok(());
    }
    let is_chosen = |step: &&Step| match &arguments.steps[..] {
        [] => true,
        names => names.iter().any(|name| name == step.name),
    };
    let mut times = Times::default();
    for step in STEPS.iter().filter(is_chosen) {
        println!("\n== {}: {}", step.name, step.about);
        let ended = times.run(step.name, || (step.run)(project));
        ended.with_context(|| format!("cargo xtask check {}", step.name))?;
    }
    times.print();
    Ok(())
}

fn cargo(project: &Project, arguments: &str) -> Result<()> {
    Ok(project.cargo(arguments).run()?)
}

fn protoc(project: &Project) -> Result<()> {
    tools::require(project, "protoc", "protobuf-compiler")?;
    Ok(xshell::cmd!(project.shell, "protoc --version").run()?)
}

fn clippy_jaeger(project: &Project) -> Result<()> {
    tools::require(project, "protoc", "protobuf-compiler")?;
    cargo(
        project,
        &format!("clippy --manifest-path {JAEGER} --all-targets --locked -- -D warnings"),
    )
}
