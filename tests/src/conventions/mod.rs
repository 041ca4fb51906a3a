//! Judges telemetry against OpenTelemetry's semantic conventions, and our registry beside them.

mod facts;
mod judge;
mod otlp;
mod registry;

use std::collections::BTreeMap;

pub use judge::Judge;

/// The version of the conventions in `tests/conventions`.
pub const VERSION: &str = "1.45.0";

/// Facts of the conventions, without their sentences.
#[derive(Clone, Debug, Default)]
pub struct Conventions {
    attributes: BTreeMap<String, Attribute>,
    /// Definitions by signal and name, such as `metric` and `rpc.server.call.duration`.
    definitions: BTreeMap<(String, String), Definition>,
    /// The status codes that are errors, by the side of the call.
    failures: BTreeMap<String, Vec<String>>,
}

/// An attribute, in whatever signal it is.
#[derive(Clone, Debug)]
struct Attribute {
    /// For example `string[]`; in a template, the type of each attribute.
    value: String,
    is_template: bool,
    /// The values that it may have, or none if it may have all.
    members: Vec<String>,
    stability: String,
}

/// A span, a metric, an event, or a part of a resource.
#[derive(Clone, Debug, Default)]
struct Definition {
    /// The kind of a span, or the instrument of a metric.
    form: String,
    unit: String,
    stability: String,
    attributes: BTreeMap<String, Use>,
}

/// An attribute in a signal.
#[derive(Clone, Debug)]
struct Use {
    level: String,
    /// The values that it may have in this signal, or none if it may have all of the attribute.
    members: Vec<String>,
}

impl Conventions {
    /// Returns the conventions, and the registry of `docs/registry` beside them.
    #[must_use]
    pub fn with_registry() -> Self {
        let mut conventions = facts::read();
        registry::add_to(&mut conventions);
        conventions
    }

    fn definition(&self, signal: &str, name: &str) -> Option<&Definition> {
        self.definitions.get(&(signal.to_owned(), name.to_owned()))
    }

    /// Returns an attribute, and its name in the conventions: that of a template has no key.
    fn attribute<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a Attribute)> {
        if let Some(attribute) = self.attributes.get(name).filter(|found| !found.is_template) {
            return Some((name, attribute));
        }
        let template = |(prefix, attribute): &(&'a String, &Attribute)| {
            attribute.is_template
                && name
                    .strip_prefix(&***prefix)
                    .is_some_and(|key| key.starts_with('.') && key.len() > 1)
        };
        let (prefix, attribute) = self.attributes.iter().find(template)?;
        Some((prefix, attribute))
    }
}
