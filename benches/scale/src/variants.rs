//! All variants that are measured.

use std::fmt;
use std::str::FromStr;

/// A way to trace an RPC, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Bare,
    /// The SDK alone: a span and a duration, without an instrumentation.
    Sdk,
    Attribute,
    AttributeAndLayer,
    Competitor,
}

impl Variant {
    pub(crate) const ALL: [Variant; 5] = [
        Variant::Bare,
        Variant::Sdk,
        Variant::Attribute,
        Variant::AttributeAndLayer,
        Variant::Competitor,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Bare => "bare",
            Variant::Attribute => "attribute",
            Variant::AttributeAndLayer => "attribute + ServerLayer",
            Variant::Sdk => "the SDK alone",
            // The cheapest crate with spans and metrics.
            Variant::Competitor => "opentelemetry-instrumentation-tower 0.19.0",
        }
    }

    /// Whether bound instruments change the variant.
    pub(crate) fn can_be_bound(self) -> bool {
        matches!(self, Variant::Sdk | Variant::Attribute | Variant::AttributeAndLayer)
    }

    pub(crate) fn is_traced(self) -> bool {
        self != Variant::Bare
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Variant::ALL.into_iter().find(|variant| variant.name() == name);
        found.ok_or_else(|| format!("no variant {name}"))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
