//! Programs in other languages, built or installed once in pinned versions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::collector::Collector;

use super::Direction;
use crate::foreign::Language;
use crate::tools::{NEEDS_GO, build_go, installed, output_of};

const NEEDS_JAVA: &str = "Java 17 and Maven 3, which `apt-get install openjdk-17-jdk-headless maven` brings";
/// The plugin of Maven that copies the dependencies.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// A program, with the arguments and the environment variables that it always has.
#[derive(Debug)]
pub struct Launcher {
    pub(crate) program: PathBuf,
    /// The arguments before those of the role.
    pub(crate) arguments: Vec<String>,
    /// The first arguments of a client and of a server.
    pub(crate) roles: [Vec<String>; 2],
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Launcher {
    /// Builds `peers/go`.
    #[must_use]
    pub fn go(directory: &str) -> Self {
        const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go");
        let version = output_of(Command::new("go").arg("version"), NEEDS_GO);
        let program = built(directory, "go", SOURCES, &version, |out| {
            build_go(SOURCES, ".", &out.join("peer"));
        });
        Launcher {
            program: program.join("peer"),
            arguments: Vec::new(),
            roles: Default::default(),
            variables: Vec::new(),
        }
    }

    /// Compiles `peers/java`.
    #[must_use]
    pub fn java(directory: &str) -> Self {
        let mut launcher = Self::java_in(&java_classes(directory), &[]);
        // Spans are an experiment of the plugin, metrics are not.
        launcher.variables = vec![("GRPC_EXPERIMENTAL_ENABLE_OTEL_TRACING", "true".to_owned())];
        launcher
    }

    /// Compiles `peers/java`, which runs with OpenTelemetry's agent.
    #[must_use]
    pub fn java_with_agent(directory: &str) -> Self {
        let classes = java_classes(directory);
        let jars = fs::read_dir(&classes).unwrap().map(|entry| entry.unwrap().path());
        let is_agent = |path: &PathBuf| path.to_string_lossy().contains("opentelemetry-javaagent-");
        let agent = jars.into_iter().find(is_agent).unwrap();
        let agent = format!("-javaagent:{}", agent.display());
        let settings = [
            &*agent,
            "-Dotel.exporter.otlp.protocol=http/protobuf",
            "-Dotel.bsp.schedule.delay=20",
            "-Dotel.metric.export.interval=1000",
            "-Dotel.logs.exporter=none",
            "-Dotel.javaagent.logging=none",
        ];
        Self::java_in(&classes, &settings)
    }

    fn java_in(classes: &Path, options: &[&str]) -> Self {
        let class_path = format!("{0}:{0}/*", classes.display());
        // Half the time to start.
        let fast = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
        let all = options.iter().chain(&fast).copied();
        let all = all.chain(["-cp", &class_path, "peer.Main"]);
        Launcher {
            program: found_on_path("java"),
            arguments: all.map(str::to_owned).collect(),
            roles: Default::default(),
            variables: Vec::new(),
        }
    }

    fn interpreted(language: &Language, client: &str, server: &str) -> Self {
        Launcher {
            program: language.interpreter.clone().into(),
            arguments: Vec::new(),
            roles: [client, server].map(|program| vec![format!("{}/{program}", language.programs)]),
            variables: language.variables.clone(),
        }
    }

    /// Returns the programs in `peers/python` that use grpcio.
    #[must_use]
    pub fn grpcio(directory: &str) -> Self {
        Launcher::interpreted(&Language::python(directory), "client.py", "server.py")
    }

    /// Returns the client in `peers/python` that uses grpclib.
    #[must_use]
    pub fn grpclib(directory: &str) -> Self {
        Launcher::interpreted(&Language::python(directory), "grpclib_client.py", "server.py")
    }

    /// Returns the programs in `peers/node` that use grpc-js.
    #[must_use]
    pub fn grpc_js(directory: &str) -> Self {
        Launcher::interpreted(&Language::node(directory), "client.js", "server.js")
    }

    /// Returns the program in `peers/node` that uses connect-node.
    #[must_use]
    pub fn connect_node(directory: &str) -> Self {
        Launcher::interpreted(&Language::node(directory), "connect.js", "connect.js")
    }

    /// Returns the command that starts the program, which exports to `collector`.
    pub(super) fn command(&self, role: Direction, arguments: &[&str], collector: &Collector) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(&self.roles[role as usize])
            .args(arguments)
            // Neither a proxy's variables nor the developer's own.
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (*name, &**value)))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .env("OTEL_SERVICE_NAME", "peer");
        command
    }
}

/// Returns the directory of the classes of `peers/java`, and of all jars that they need.
fn java_classes(directory: &str) -> PathBuf {
    const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/java");
    let mut javac = Command::new("javac");
    let version = output_of(javac.arg("--version"), NEEDS_JAVA);
    built(directory, "java", SOURCES, &version, |out| {
        let copy = format!("-DoutputDirectory={}", out.display());
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", COPY, &copy]).current_dir(SOURCES);
        output_of(&mut maven, NEEDS_JAVA);
        let sources = fs::read_dir(format!("{SOURCES}/src/main/java/peer")).unwrap();
        let mut javac = Command::new("javac");
        javac.args(["-cp", &format!("{}/*", out.display()), "-d"]).arg(out);
        javac.args(sources.map(|entry| entry.unwrap().path()));
        output_of(&mut javac, NEEDS_JAVA);
    })
}

/// Returns the path of a program, for processes that have no search path.
fn found_on_path(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).unwrap()
}

/// Returns the directory of a program that `build` makes of the files in `sources`.
fn built(directory: &str, name: &str, sources: &str, version: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let mut made_of = vec![version.to_owned()];
    let mut folders = vec![PathBuf::from(sources)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                made_of.push(fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let made_of: Vec<&str> = made_of.iter().map(String::as_str).collect();
    installed(directory, name, &made_of, build)
}
