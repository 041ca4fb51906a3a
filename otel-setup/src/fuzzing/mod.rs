//! Checks for arbitrary environment variables: the fuzz target `environment` in `fuzz/`.
//!
//! The tests in this module run the checks without a fuzzer, on random bytes and on the corpus in
//! `fuzz/corpus/`.

pub mod environment;
mod otlp;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::environment;

    /// Fragments of the input.
    const FRAGMENTS: &[&str] = &[
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

    /// Generates sequences of fragments and random bytes.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let fragment = prop::sample::select(FRAGMENTS).prop_map(|fragment| fragment.as_bytes().to_vec());
        let anything = prop::collection::vec(any::<u8>(), 0..4);
        prop::collection::vec(prop_oneof![3 => fragment, 1 => anything], 0..12).prop_map(|parts| parts.concat())
    }

    #[test]
    fn random_bytes_pass() {
        proptest!(ProptestConfig::with_cases(1000), |(bytes in bytes())| environment::check(&bytes));
    }

    #[test]
    fn the_corpus_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/environment");
        let files: Vec<_> = corpus.read_dir().unwrap().collect();
        assert!(!files.is_empty());
        for file in files {
            environment::check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
