//! Generates the services that the tests implement, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = ["kinds.proto", "names.proto", "no_package.proto"];
    tonic_prost_build::configure().compile_fds(protox::compile(files, ["proto"])?)?;
    // Generates the services once more, with other options.
    generate("default_stubs", |builder| builder.generate_default_stubs(true))?;
    generate("arc_self", |builder| builder.use_arc_self(true))
}

/// Generates `kinds.proto` again, into `NAME/kinds.rs`, with other options.
fn generate(
    name: &str,
    configure: impl Fn(tonic_prost_build::Builder) -> tonic_prost_build::Builder,
) -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join(name);
    std::fs::create_dir_all(&directory)?;
    let builder = tonic_prost_build::configure().out_dir(directory).build_client(false);
    configure(builder).compile_fds(protox::compile(["kinds.proto"], ["proto"])?)?;
    Ok(())
}
