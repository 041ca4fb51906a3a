//! Generates the services from their `.proto` files, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["helloworld.proto", "routeguide.proto", "geocoder.proto", "shop.proto"];
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure().compile_fds(protox::compile(files, ["proto"])?)?;
    Ok(())
}
