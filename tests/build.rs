//! Generates the services that the tests implement, without protoc, and the modules of the test
//! binary `ui`.

use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The folder of the services that the attribute accepts.
const ACCEPTED: &str = "ui/pass";
/// The folder of those that are compiled with every order of their attributes.
const EACH_ORDER: &str = "ui/pass/each_order";

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

/// Writes `accepted.rs`, with a module for each file in [`ACCEPTED`].
///
/// A file in [`EACH_ORDER`] becomes several modules: with the attribute above `#[async_trait]`,
/// below it, and without `#[async_trait]`, unless the first line says that the file needs it.
fn list_accepted() -> Result<()> {
    let mut modules = Vec::new();
    for file in files(ACCEPTED)? {
        modules.push(module(&fs::canonicalize(file)?));
    }
    for file in files(EACH_ORDER)? {
        let above = fs::read_to_string(&file)?;
        let below = above.replace(
            "#[traced_service]\n#[tonic::async_trait]\n",
            "#[tonic::async_trait]\n#[traced_service]\n",
        );
        let mut orders = vec![("above", above.clone()), ("below", below)];
        if !above.starts_with("// Needs `#[async_trait]`") {
            orders.push(("without", above.replace("#[tonic::async_trait]\n", "")));
        }
        let name = file.file_stem().unwrap().to_string_lossy();
        for (order, code) in orders {
            let file = out_dir()?.join(format!("{name}_{order}_async_trait.rs"));
            fs::write(&file, code)?;
            modules.push(module(&file));
        }
    }
    fs::write(out_dir()?.join("accepted.rs"), modules.concat())?;
    Ok(())
}

/// Returns the Rust files of a folder, in a fixed order.
fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    Ok(files)
}

/// Returns the declaration of a module.
fn module(file: &Path) -> String {
    let name = file.file_stem().unwrap().to_string_lossy();
    // The files deny warnings of the compiler. No test calls the services.
    let allowed = "dead_code, unreachable_pub, rust_2018_idioms, clippy::all, clippy::pedantic";
    let path = file.display();
    format!("#[allow({allowed})]\n#[path = \"{path}\"]\nmod {name};\n")
}

fn out_dir() -> Result<PathBuf> {
    Ok(PathBuf::from(env::var("OUT_DIR")?))
}
