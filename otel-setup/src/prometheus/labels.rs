//! The labels of one series.

use std::borrow::Cow;
use std::ops::Range;

use opentelemetry::{InstrumentationScope, KeyValue, Value};

use crate::prometheus::names::{is_plain_label, push_label_name};

const SCOPE_PREFIX: &str = "otel_scope_";

/// Collects the labels of one series after the other, and reuses its memory.
pub(crate) struct Labels<'a> {
    escapes: bool,
    names: String,
    found: Vec<Label<'a>>,
}

struct Label<'a> {
    name: Range<usize>,
    /// The key of the attribute. It orders values that share a name.
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> Labels<'a> {
    /// `escapes`: whether names are limited to ASCII letters, digits and underscores.
    pub(crate) fn new(escapes: bool) -> Self {
        Labels {
            escapes,
            names: String::new(),
            found: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.found.clear();
    }

    /// Adds the attributes of a data point or of the resource.
    pub(crate) fn push_attributes(&mut self, attributes: impl Iterator<Item = (&'a str, &'a Value)>) {
        for (key, value) in attributes {
            self.push(Cow::Borrowed(key), value.as_str());
        }
    }

    /// Adds the attributes of a histogram's data point.
    ///
    /// `le` is the label of the bucket boundaries. Prometheus renames conflicting labels to
    /// `exported_…`, and so is an attribute `le`.
    pub(crate) fn push_histogram_attributes(&mut self, attributes: impl Iterator<Item = &'a KeyValue>) {
        for attribute in attributes {
            let start = self.names.len();
            self.push(Cow::Borrowed(attribute.key.as_str()), attribute.value.as_str());
            if &self.names[start..] == "le" {
                self.names.insert_str(start, "exported_");
                if let Some(label) = self.found.last_mut() {
                    label.name.end = self.names.len();
                }
            }
        }
    }

    /// Adds the instrumentation scope.
    ///
    /// Clause "Instrumentation Scope": `otel_scope_name`, `otel_scope_version`,
    /// `otel_scope_schema_url`, and the attributes with the prefix `otel_scope_`. "Scope attributes
    /// that […] would conflict with `otel_scope_name`, `otel_scope_version`, or
    /// `otel_scope_schema_url` MUST be dropped."
    pub(crate) fn push_scope(&mut self, scope: &'a InstrumentationScope) {
        let (version, schema_url) = (scope.version(), scope.schema_url());
        let named = [
            ("otel_scope_name", Some(scope.name())),
            ("otel_scope_version", version),
            ("otel_scope_schema_url", schema_url),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                self.push(Cow::Borrowed(name), Cow::Borrowed(value));
            }
        }
        let first = self.found.len();
        for attribute in scope.attributes() {
            let (start, length) = (self.names.len(), self.found.len());
            let key = format!("{SCOPE_PREFIX}{}", attribute.key);
            // The last of several attributes with one key counts, as in the other exporters.
            if let Some(earlier) = self.found[first..].iter_mut().find(|earlier| earlier.key == key) {
                earlier.value = attribute.value.as_str();
                continue;
            }
            self.push(Cow::Owned(key), attribute.value.as_str());
            if named.iter().any(|(name, _)| self.names[start..] == **name) {
                self.names.truncate(start);
                self.found.truncate(length);
            }
        }
    }

    fn push(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        let start = self.names.len();
        // The label `__name__` is the name of the metric itself.
        if self.escapes || ["", "__name__"].contains(&key.as_ref()) {
            push_label_name(&mut self.names, &key);
        } else {
            self.names.push_str(&key);
        }
        let name = start..self.names.len();
        self.found.push(Label { name, key, value });
    }

    /// Appends the labels to `text`, as `name="value",name="value"`.
    ///
    /// Clause "Metric Attributes", on keys that become the same name: "the values MUST be
    /// concatenated together, separated by `;`, and ordered by the lexicographical order of the
    /// original keys". An empty value counts as no label, so it is left out.
    pub(crate) fn write(&mut self, text: &mut String) {
        let names = &self.names;
        let name = |label: &Label<'_>| &names[label.name.clone()];
        self.found
            .sort_by(|a, b| (name(a), a.key.as_ref()).cmp(&(name(b), b.key.as_ref())));
        let mut separator = "";
        for same in self.found.chunk_by(|a, b| name(a) == name(b)) {
            if same.iter().all(|label| label.value.is_empty()) {
                continue;
            }
            text.push_str(separator);
            separator = ",";
            push_name(text, name(&same[0]));
            text.push_str("=\"");
            // The first of several attributes with one key counts: the SDK aggregates by it.
            for (index, of_key) in same.chunk_by(|a, b| a.key == b.key).enumerate() {
                if index > 0 {
                    text.push(';');
                }
                push_escaped(text, &of_key[0].value);
            }
            text.push('"');
        }
    }
}

fn push_name(text: &mut String, name: &str) {
    if is_plain_label(name) {
        text.push_str(name);
    } else {
        push_quoted(text, name);
    }
}

/// Appends a name in quotes, as names with characters beyond ASCII letters, digits and underscores
/// need it.
pub(crate) fn push_quoted(text: &mut String, name: &str) {
    text.push('"');
    push_escaped(text, name);
    text.push('"');
}

/// Appends a value with its backslashes, quotes and line feeds escaped.
pub(crate) fn push_escaped(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(index) = rest.find(['\\', '"', '\n']) {
        text.push_str(&rest[..index]);
        text.push_str(match rest.as_bytes()[index] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[index + 1..];
    }
    text.push_str(rest);
}

/// Appends a description. OpenMetrics escapes quotes in it, too.
pub(crate) fn push_help(out: &mut String, help: &str, escapes_quotes: bool) {
    for c in help.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if escapes_quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}
