//! Generates the services that the tests implement, without protoc, and the modules of the test
//! binary `ui`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "ui/services.rs"]
mod services;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The folder of the services that the attribute accepts.
const ACCEPTED: &str = "ui/pass";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=proto");
    let files = ["kinds.proto", "names.proto", "no_package.proto"];
    tonic_prost_build::configure().compile_fds(protox::compile(files, ["proto"])?)?;
    // Generates the services once more, with other options.
    generate("default_stubs", |builder| builder.generate_default_stubs(true))?;
    generate("arc_self", |builder| builder.use_arc_self(true))?;

    println!("cargo::rerun-if-changed={ACCEPTED}");
    list_accepted()
}

/// Generates `kinds.proto` again, into `NAME/kinds.rs`, with other options.
fn generate(name: &str, configure: impl Fn(tonic_prost_build::Builder) -> tonic_prost_build::Builder) -> Result<()> {
    let directory = out_dir()?.join(name);
    fs::create_dir_all(&directory)?;
    let builder = tonic_prost_build::configure().out_dir(directory).build_client(false);
    configure(builder).compile_fds(protox::compile(["kinds.proto"], ["proto"])?)?;
    Ok(())
}

/// Writes `accepted.rs`, with a module for each service in [`ACCEPTED`].
fn list_accepted() -> Result<()> {
    let mut modules = String::new();
    for services::Service { name, code } in services::accepted(Path::new(ACCEPTED))? {
        let file = out_dir()?.join(format!("{name}.rs"));
        fs::write(&file, code)?;
        // The files deny warnings of the compiler. No test calls the services. `cargo xtask check
        // clippy-shapes` lints them.
        let allowed = "dead_code, unreachable_pub, rust_2018_idioms, clippy::all, clippy::pedantic";
        let path = file.display();
        writeln!(modules, "#[allow({allowed})]\n#[path = \"{path}\"]\nmod {name};")?;
    }
    fs::write(out_dir()?.join("accepted.rs"), modules)?;
    Ok(())
}

fn out_dir() -> Result<PathBuf> {
    Ok(PathBuf::from(env::var("OUT_DIR")?))
}
