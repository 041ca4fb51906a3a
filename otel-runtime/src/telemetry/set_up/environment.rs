//! Environment variables, read by the rules of
//! [OpenTelemetry's specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): an empty value counts as unset, enumerations have no case, and what cannot be read is
//! told and ignored.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

type Lookup = dyn Fn(&str) -> Option<OsString>;

/// The environment of a process, and what was found wrong with it.
pub(super) struct Environment {
    value_of: Box<Lookup>,
    warnings: RefCell<Vec<String>>,
}

impl Environment {
    pub(super) fn of_this_process() -> Self {
        Environment {
            value_of: Box::new(|name| env::var_os(name)),
            warnings: RefCell::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), OsString::from(value)));
        Environment {
            value_of: Box::new(move |name| {
                let (_, value) = variables.iter().find(|(known, _)| known == name)?;
                Some(value.clone())
            }),
            warnings: RefCell::default(),
        }
    }

    /// A variable as it stands. What is not UTF-8 is told and ignored.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match (self.value_of)(name)?.into_string() {
            Ok(text) => (!text.is_empty()).then_some(text),
            Err(bytes) => {
                self.warn(name, &bytes.to_string_lossy(), "is not UTF-8; it is ignored");
                None
            }
        }
    }

    /// The first of these variables that is set: of a signal's own and the general one, say. With its name, for messages.
    pub(super) fn first_of<'n, const N: usize>(&self, names: [&'n str; N]) -> Option<(&'n str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// Only `true` is true. What is neither that nor `false` is told.
    pub(super) fn boolean(&self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        let value = text.trim();
        if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
            self.warn(name, &text, "is neither \"true\" nor \"false\"; used instead: false");
        }
        value.eq_ignore_ascii_case("true")
    }

    /// A number. What is none is told, and `instead` is what is used then.
    pub(super) fn number<N: FromStr>(&self, name: &str, instead: impl Display) -> Option<N> {
        let text = self.text(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.warn(
                name,
                &text,
                format_args!("is not a valid number; used instead: {instead}"),
            );
        }
        number
    }

    /// A duration, in milliseconds.
    pub(super) fn milliseconds(&self, name: &str, instead: Duration) -> Option<Duration> {
        self.number(name, instead.as_millis()).map(Duration::from_millis)
    }

    /// One of a few known words. What is none of them is told, and `instead` is what is used then.
    pub(super) fn one_of<T: Copy>(&self, name: &str, known: &[(&str, T)], instead: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.trim();
        let found = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            let words = words.join(", ");
            self.warn(name, &text, format_args!("is none of {words}; used instead: {instead}"));
        }
        found.map(|(_, value)| *value)
    }

    /// Keeps a warning until there is somebody to tell it to.
    pub(super) fn warn(&self, name: &str, value: &str, what: impl Display) {
        self.warnings.borrow_mut().push(format!("{name}={value:?} {what}"));
    }

    /// What was found wrong, in order, each once.
    pub(super) fn into_warnings(self) -> Vec<String> {
        let mut warnings = self.warnings.into_inner();
        let mut told = std::collections::HashSet::new();
        warnings.retain(|warning| told.insert(warning.clone()));
        warnings
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
