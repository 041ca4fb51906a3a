//! Typed access to the values of a file. Every error names the place and the line.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::node::{Node, Value};
use crate::error::InitError;
use crate::text::escape_control;

const UNSUPPORTED: &str = "is not supported by OpenTelemetry's SDK for Rust; ignoring it";

/// The file, and the warnings about it.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) warnings: RefCell<Vec<String>>,
}

/// A value, with its place: `tracer_provider.processors[0].batch`.
#[derive(Clone, Debug)]
pub(super) struct Item<'f> {
    file: &'f File,
    node: &'f Node,
    pub(super) place: String,
}

/// A mapping, of which every property must be read.
#[derive(Debug)]
pub(super) struct Section<'f> {
    pub(super) item: Item<'f>,
    entries: &'f [(String, Node)],
    known: Vec<&'static str>,
}

impl<'f> Item<'f> {
    pub(super) fn root(file: &'f File, node: &'f Node) -> Self {
        Item {
            file,
            node,
            place: String::new(),
        }
    }

    /// Returns an error at this place.
    pub(super) fn error(&self, problem: impl Display) -> InitError {
        InitError::new(self.message(problem))
    }

    /// Logs a warning about this place after the setup.
    pub(super) fn warn(&self, problem: impl Display) {
        self.file.warnings.borrow_mut().push(self.message(problem));
    }

    fn message(&self, problem: impl Display) -> String {
        let (file, line) = (&self.file.name, self.node.line);
        let separator = if self.place.is_empty() { "" } else { " " };
        // Names of properties may have any character.
        let message = format!("{file}:{line}: {}{separator}{problem}", self.place);
        escape_control(&message).into_owned()
    }

    fn child(&self, node: &'f Node, name: &str) -> Self {
        let separator = if self.place.is_empty() { "" } else { "." };
        Item {
            file: self.file,
            node,
            place: format!("{}{separator}{name}", self.place),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    pub(super) fn value(&self) -> &'f Value {
        &self.node.value
    }

    /// Returns the text of a scalar that is not text itself.
    pub(super) fn source(&self) -> &'f str {
        &self.node.source
    }

    /// Returns the properties. Null has none.
    pub(super) fn section(&self) -> Result<Section<'f>, InitError> {
        let entries: &[_] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => return Err(self.error("must be a mapping")),
        };
        Ok(Section {
            item: self.clone(),
            entries,
            known: Vec::new(),
        })
    }

    /// Returns the names and values of all properties, whatever they are.
    pub(super) fn entries(&self) -> Result<Vec<(&'f str, Item<'f>)>, InitError> {
        let entries = self.section()?.entries.iter();
        Ok(entries
            .map(|(name, node)| (name.as_str(), self.child(node, name)))
            .collect())
    }

    /// Returns the name and value of the only property, such as the kind of an exporter.
    pub(super) fn only(&self) -> Result<(&'f str, Item<'f>), InitError> {
        match self.section()?.entries {
            [(name, node)] => Ok((name, self.child(node, name))),
            _ => Err(self.error("must have exactly one property")),
        }
    }

    /// Returns the items of a list that is not empty.
    pub(super) fn list(&self) -> Result<Vec<Item<'f>>, InitError> {
        let Value::List(items) = &self.node.value else {
            return Err(self.error("must be a list"));
        };
        if items.is_empty() {
            return Err(self.error("must not be empty"));
        }
        let items = items.iter().enumerate();
        let items = items.map(|(index, node)| Item {
            file: self.file,
            node,
            place: format!("{}[{index}]", self.place),
        });
        Ok(items.collect())
    }

    pub(super) fn text(&self) -> Result<&'f str, InitError> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.error("must be a string")),
        }
    }

    /// Returns a name, which must not be blank.
    pub(super) fn name(&self) -> Result<&'f str, InitError> {
        match self.text()? {
            text if text.trim().is_empty() => Err(self.error("must not be empty")),
            text => Ok(text),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, InitError> {
        match self.node.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.error("must be true or false")),
        }
    }

    pub(super) fn integer(&self, range: &RangeInclusive<i64>) -> Result<i64, InitError> {
        let value = match self.node.value {
            Value::Int(value) => value,
            Value::Float(value) => whole(value).ok_or_else(|| {
                let is_large = value.fract() == 0.0;
                self.error(if is_large { "is too large" } else { "must be an integer" })
            })?,
            _ => return Err(self.error("must be an integer")),
        };
        if range.contains(&value) {
            Ok(value)
        } else if *range.end() == i64::MAX {
            Err(self.error(format_args!("must be at least {}", range.start())))
        } else {
            Err(self.error(format_args!("must be between {} and {}", range.start(), range.end())))
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a file's integers are small")]
    pub(super) fn float(&self) -> Result<f64, InitError> {
        match self.node.value {
            Value::Float(value) => Ok(value),
            Value::Int(value) => Ok(value as f64),
            _ => Err(self.error("must be a number")),
        }
    }

    /// Returns the value of the enumeration.
    pub(super) fn one_of<T: Copy>(&self, known: &[(&str, T)]) -> Result<T, InitError> {
        let text = self.text()?;
        let found = known.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.error(format_args!("is {text:?}, but must be one of {}", names.join(", ")))
        })
    }
}

/// Returns the integer that a number such as `1e3` is.
#[allow(clippy::cast_possible_truncation, reason = "it is in the range")]
fn whole(number: f64) -> Option<i64> {
    // 2^53. Above, not each integer is a number.
    const MAX: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= MAX).then_some(number as i64)
}

impl<'f> Section<'f> {
    /// Returns a property that is present, even if it is null.
    pub(super) fn present(&mut self, name: &'static str) -> Option<Item<'f>> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key == name)?;
        Some(self.item.child(node, name))
    }

    /// Returns a property that is neither missing nor null.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Item<'f>> {
        self.present(name).filter(|item| !item.is_null())
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<Item<'f>, InitError> {
        // The names that are there show a misspelled one.
        self.present(name).ok_or_else(|| match self.names() {
            names if names.is_empty() => self.item.error(format_args!("lacks the required property `{name}`")),
            names => self
                .item
                .error(format_args!("lacks the required property `{name}`; it has {names}")),
        })
    }

    /// Returns the names of all properties.
    fn names(&self) -> String {
        let names: Vec<&str> = self.entries.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&'f str>, InitError> {
        self.get(name).map(|item| item.text()).transpose()
    }

    pub(super) fn integer(&mut self, name: &'static str, min: i64) -> Result<Option<i64>, InitError> {
        self.get(name).map(|item| item.integer(&(min..=i64::MAX))).transpose()
    }

    /// Warns about a property that the SDK does not support.
    pub(super) fn unsupported(&mut self, name: &'static str) {
        if let Some(item) = self.get(name) {
            item.warn(UNSUPPORTED);
        }
    }

    /// Warns about a property that has another value than the one which is always in force.
    pub(super) fn unsupported_unless(&mut self, name: &'static str, always: bool) -> Result<(), InitError> {
        if let Some(item) = self.get(name)
            && item.boolean()? != always
        {
            item.warn(UNSUPPORTED);
        }
        Ok(())
    }

    /// Warns about other properties than those that have been read. Names such as `x-exporter` are
    /// for anchors.
    pub(super) fn ignore_others(self) {
        let others = self
            .entries
            .iter()
            .filter(|(key, _)| !self.known.contains(&key.as_str()));
        for (name, node) in others.filter(|(key, _)| !key.starts_with("x-")) {
            self.item.child(node, name).warn("is not a known property; ignoring it");
        }
    }

    /// Returns an error if there is another property than those that have been read.
    pub(super) fn finish(self) -> Result<(), InitError> {
        let unknown = self.entries.iter().find(|(key, _)| !self.known.contains(&key.as_str()));
        let Some((name, node)) = unknown else {
            return Ok(());
        };
        let known = if self.known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("known are {}", self.known.join(", "))
        };
        let item = self.item.child(node, name);
        Err(item.error(format_args!("is not a known property; {known}")))
    }
}
