//! What has to hold of the environment's variables, whatever stands in them: the target `environment` in `fuzz/`.
//!
//! `cargo fuzz` looks for bytes that break a promise; here, on any compiler, they are random ones, and those of the corpus in `fuzz/corpus/`.

pub mod environment;
mod otlp;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::environment;

    /// Pieces that variables are made of.
    const PIECES: &[&str] = &[
        "OTEL_RESOURCE_ATTRIBUTES=",
        "OTEL_EXPORTER_OTLP_HEADERS=",
        "OTEL_EXPORTER_OTLP_ENDPOINT=",
        "OTEL_PROPAGATORS=",
        "OTEL_TRACES_SAMPLER=traceidratio\nOTEL_TRACES_SAMPLER_ARG=",
        "OTEL_BSP_MAX_QUEUE_SIZE=",
        "RUST_LOG=",
        "http://",
        "a",
        "=",
        ",",
        "1",
        "%",
        "\n",
    ];

    /// Pieces of what is read, and anything between them.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec());
        let anything = prop::collection::vec(any::<u8>(), 0..4);
        prop::collection::vec(prop_oneof![3 => piece, 1 => anything], 0..12).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn whatever_the_bytes_are() {
        proptest!(ProptestConfig::with_cases(1000), |(bytes in bytes())| environment::check(&bytes));
    }

    #[test]
    fn whatever_was_found_before() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/environment");
        let files: Vec<_> = corpus.read_dir().unwrap().collect();
        assert!(!files.is_empty());
        for file in files {
            environment::check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
