//! Checks for arbitrary configurations: the fuzz targets `environment` and `config_file`.
//!
//! The tests in this module run the checks without a fuzzer, on random bytes and on the corpus in
//! `fuzz/corpus/`.

#[cfg(feature = "config-file")]
pub mod config_file;
pub mod environment;
mod otlp;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    #[cfg(feature = "config-file")]
    use super::config_file;
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
        for (target, check) in [
            ("environment", environment::check as fn(&[u8])),
            #[cfg(feature = "config-file")]
            ("config_file", config_file::check),
        ] {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../fuzz/corpus")
                .join(target);
            let files: Vec<_> = corpus.read_dir().unwrap().collect();
            assert!(!files.is_empty(), "{target}");
            for file in files {
                check(&std::fs::read(file.unwrap().path()).unwrap());
            }
        }
    }

    /// Sequences of fragments and random bytes, as the content of a file.
    #[cfg(feature = "config-file")]
    #[test]
    fn random_files_pass() {
        let fragment = prop::sample::select(FILE_FRAGMENTS).prop_map(|fragment| fragment.as_bytes().to_vec());
        let anything = prop::collection::vec(any::<u8>(), 0..4);
        let parts = prop::collection::vec(prop_oneof![5 => fragment, 1 => anything], 0..12);
        proptest!(ProptestConfig::with_cases(1000), |(parts in parts)| {
            config_file::check(&[b"file_format: \"1.0\"\n".as_slice(), &parts.concat()].concat());
        });
    }

    #[cfg(feature = "config-file")]
    const FILE_FRAGMENTS: &[&str] = &[
        "tracer_provider:\n",
        "  processors:\n",
        "    - batch: {exporter: {otlp_grpc: ",
        "meter_provider: {readers: [",
        "resource: {attributes: [{name: ",
        "propagator: {composite_list: ",
        "instrumentation/development: {rust: {otel_runtime: ",
        "${A}",
        "${A:-",
        "$$",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ": ",
        ", ",
        "- ",
        "&a ",
        "*a",
        "\n",
        "1",
    ];
}
