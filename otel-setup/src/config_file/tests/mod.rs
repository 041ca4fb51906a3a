//! Tests of whole files.

mod faults;
mod ignored;
mod properties;
mod values;

use super::Config;

fn parse(text: &str) -> Result<Config, String> {
    let config = Config::parse("otel.yaml", text, &|_| None);
    config.map_err(|error| error.to_string())
}

fn load(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}
