//! gRPC programs in other languages, with the instrumentation of those languages.
//!
//! Their spans arrive at a [`Collector`].

use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::tools::{installed, output_of};
use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Collector, Content, Received};

const NEEDS_PYTHON: &str = "Python 3 with its module `venv`, and a package index for pip";
const NEEDS_NODE: &str = "Node.js 20 or newer with npm, and a registry for it";

/// A language: its interpreter and its programs.
#[derive(Debug)]
pub struct Language {
    pub(crate) interpreter: String,
    pub(crate) programs: &'static str,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Language {
    /// Returns Python in a virtual environment in `directory`.
    ///
    /// `peers/python/requirements.txt` lists its packages.
    #[must_use]
    pub fn python(directory: &str) -> Self {
        const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
        let python = || Command::new("python3");
        let version = output_of(python().arg("--version"), NEEDS_PYTHON);
        let requirements = format!("{PROGRAMS}/requirements.txt");
        let made_of = [&version, &*fs::read_to_string(&requirements).unwrap()];
        let venv = installed(directory, "python", &made_of, |venv| {
            output_of(python().args(["-m", "venv"]).arg(venv), NEEDS_PYTHON);
            let mut pip = Command::new(venv.join("bin/python"));
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
                .args(["--only-binary", ":all:", "--no-deps", "--requirement", &requirements]);
            output_of(&mut pip, NEEDS_PYTHON);
        });
        Language {
            interpreter: venv.join("bin/python").to_str().unwrap().to_owned(),
            programs: PROGRAMS,
            // Tests do not write into the source tree.
            variables: vec![("PYTHONDONTWRITEBYTECODE", "1".to_owned())],
        }
    }

    /// Returns Node.js, with the packages of `peers/node/package-lock.json` in `directory`.
    #[must_use]
    pub fn node(directory: &str) -> Self {
        const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");
        let interpreter = output_of(Command::new("node").args(["-p", "process.execPath"]), NEEDS_NODE);
        let files = ["package.json", "package-lock.json"];
        let contents = files.map(|file| fs::read_to_string(format!("{PROGRAMS}/{file}")).unwrap());
        let packages = installed(
            directory,
            "node",
            &contents.each_ref().map(String::as_str),
            |packages| {
                for (file, content) in files.iter().zip(&contents) {
                    fs::write(packages.join(file), content).unwrap();
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(packages);
                output_of(&mut npm, NEEDS_NODE);
            },
        );
        let modules = packages.join("node_modules").to_str().unwrap().to_owned();
        Language {
            interpreter: interpreter.trim().to_owned(),
            programs: PROGRAMS,
            variables: vec![("NODE_PATH", modules)],
        }
    }

    /// Starts a program that exports its spans to `collector`, with this `service.name`.
    #[must_use]
    pub fn start(&self, service: &str, program: &str, arguments: &[&str], collector: &Collector) -> DrivenProcess {
        let program = format!("{}/{program}", self.programs);
        let arguments: Vec<_> = [&*program].iter().chain(arguments).copied().collect();
        let url = collector.url();
        let variables = self.variables.iter().map(|(name, value)| (*name, &**value));
        // The program sees no other variables: neither a proxy's nor the developer's own.
        let variables = variables.chain([("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_SERVICE_NAME", service)]);
        DrivenProcess::start_silent(&self.interpreter, &arguments, variables)
    }
}

/// Returns the spans of an export request, each with the name of its service.
#[must_use]
pub fn spans_and_services(received: &Received) -> Vec<(String, Span)> {
    let Content::Traces(request) = &received.content else {
        return Vec::new();
    };
    let spans = request.resource_spans.iter().flat_map(|resource| {
        let service = found(&resource.resource.as_ref().unwrap().attributes, "service.name").unwrap();
        let spans = resource.scope_spans.iter().flat_map(|scope| scope.spans.clone());
        spans.map(move |span| (service.clone(), span))
    });
    spans.collect()
}

/// Returns an attribute of a span, as text.
#[must_use]
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    found(&span.attributes, key)
}

fn found(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}
