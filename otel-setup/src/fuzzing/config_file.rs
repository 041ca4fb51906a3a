//! The target `config_file`: the text of a configuration file.

use crate::config_file::Config;

/// Checks that a file is read or refused, and that errors and warnings name the file.
///
/// # Panics
///
/// If a check fails.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Variables with short names are set, to text that would be more than a value if it were read
    // as YAML.
    let lookup = |name: &str| (name.len() < 4).then(|| format!("{name}: [$${{A}}]").into());
    match Config::parse("fuzz.yaml", &text, &lookup) {
        Ok(config) => {
            for warning in config.into_warnings() {
                assert!(warning.starts_with("fuzz.yaml:"), "{warning}");
            }
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz.yaml:"), "{error}"),
    }
}
