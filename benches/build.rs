//! Generates the service from its `.proto` file, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure().compile_fds(protox::compile(["bench.proto"], ["proto"])?)?;
    Ok(())
}
