//! Two versions of otel-runtime in one program are noticed: the layer of one, the handler of the
//! other.
//!
//! The other version is a copy of this one, with another number.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use peers::tools::output_of;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const OTHER: &str = "99.0.0";

const PROGRAM: &str = r#"
use otel_runtime::traced_service;
use this_version::ServerLayer;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tower_layer::Layer;

#[tonic::async_trait]
trait Greeter: Send + Sync {
    async fn say_hello(&self, request: Request<()>) -> Result<Response<()>, Status>;
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _: Request<()>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_ansi(false).without_time().init();
    let mut server = ServerLayer::new().layer(tower::service_fn(async |request: http::Request<Body>| {
        let (parts, _) = request.into_parts();
        let metadata = MetadataMap::from_headers(parts.headers);
        MyGreeter.say_hello(Request::from_parts(metadata, parts.extensions, ())).await?;
        Ok::<_, Status>(http::Response::new(Body::empty()))
    }));
    for _ in 0..2 {
        let request = http::Request::post("/helloworld.Greeter/SayHello");
        let request = request.header("content-type", "application/grpc").body(Body::empty());
        server.call(request.unwrap()).await.unwrap();
    }
}
"#;

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::write(to, fs::read(from).unwrap()).unwrap();
        }
    }
}

/// Returns the manifest without a table.
fn without_table(manifest: &str, table: &str) -> String {
    let (before, after) = manifest.split_once(table).unwrap();
    let rest = after.find("\n[").map_or("", |at| &after[at..]);
    format!("{before}{rest}")
}

/// Makes a workspace with a copy of otel-runtime, and a program that depends on it and on this
/// version.
fn workspace(root: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two_versions");
    for name in ["otel-macros", "otel-runtime"] {
        // A file of an earlier copy may be gone since.
        let _ = fs::remove_dir_all(folder.join(name));
        copy(&root.join(name).join("src"), &folder.join(name).join("src"));
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        let manifest = without_table(&manifest, "[dev-dependencies]");
        fs::write(folder.join(name).join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join(name).join("README.md"), "").unwrap();
    }
    copy(&root.join("otel-runtime/docs"), &folder.join("otel-runtime/docs"));

    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest.find("members").unwrap()..manifest.find("[workspace.package]").unwrap();
    let manifest = manifest.replace(&manifest[members], "members = [\"otel-runtime\", \"program\"]\n\n");
    fs::write(folder.join("Cargo.toml"), manifest.replace(VERSION, OTHER)).unwrap();
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let manifest = format!(
        "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\notel-runtime.workspace = true\n\
         this-version = {{ package = \"otel-runtime\", path = \"{}\" }}\n\
         tokio.workspace = true\ntonic = {{ workspace = true, features = [\"codegen\"] }}\n\
         tower = {{ workspace = true, features = [\"util\"] }}\ntower-layer.workspace = true\n\
         tracing-subscriber = {{ workspace = true, features = [\"fmt\"] }}\n",
        root.join("otel-runtime").display()
    );
    let program = folder.join("program");
    fs::create_dir_all(program.join("src")).unwrap();
    fs::write(program.join("Cargo.toml"), manifest).unwrap();
    fs::write(program.join("src/main.rs"), PROGRAM).unwrap();
    folder
}

#[test]
fn layer_of_one_and_handler_of_the_other_are_logged_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = workspace(root);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(&folder)
        .args(["run", "--quiet", "--package", "program"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let said = output_of(cargo.arg("--target-dir").arg(target), "cargo");
    let warning = format!(
        " WARN otel_runtime: RPCs are recorded twice, by a layer of otel-runtime {VERSION} and by otel-runtime \
         {OTHER}; use one version, `cargo tree --duplicates` shows which crates need which (logged once)\n"
    );
    assert_eq!(said, warning);
}
