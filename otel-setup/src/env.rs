//! Env variables, read by the rules of
//! [OpenTelemetry's specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): an empty value counts as unset, enumerations have no case, and what cannot be read is
//! told and ignored.

use std::cell::RefCell;
#[cfg(any(test, fuzzing))]
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

type Lookup = dyn Fn(&str) -> Option<OsString>;

/// The environment of a process, and what was found wrong with it.
pub(crate) struct Env {
    value_of: Box<Lookup>,
    warnings: RefCell<Vec<String>>,
}

impl Env {
    pub(crate) fn from_process() -> Self {
        Env {
            value_of: Box::new(|name| env::var_os(name)),
            warnings: RefCell::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn from_vars<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Env::from_map(variables.into())
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn from_map(variables: HashMap<String, String>) -> Self {
        Env {
            value_of: Box::new(move |name| variables.get(name).map(OsString::from)),
            warnings: RefCell::default(),
        }
    }

    /// A variable as it stands. What is not UTF-8 is told and ignored.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match (self.value_of)(name)?.into_string() {
            Ok(text) => (!text.is_empty()).then_some(text),
            Err(bytes) => {
                self.warn(name, &bytes.to_string_lossy(), "is not UTF-8; it is ignored");
                None
            }
        }
    }

    /// The first of these variables that is set: of a signal's own and the general one, say. With its name, for messages.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(crate) fn first_of<'n, const N: usize>(&self, names: [&'n str; N]) -> Option<(&'n str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// Only `true` is true. What is neither that nor `false` is told.
    pub(crate) fn boolean(&self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        let value = text.trim();
        if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
            self.warn(name, &text, "is neither \"true\" nor \"false\"; used instead: false");
        }
        value.eq_ignore_ascii_case("true")
    }

    /// A number. What is none is told, and `instead` is what is used then.
    pub(crate) fn number<N: FromStr>(&self, name: &str, instead: impl Display) -> Option<N> {
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

    /// A number above 0. What is none is told, and the default used.
    pub(crate) fn positive(&self, name: &str, default: usize) -> usize {
        match self.number(name, default) {
            Some(0) => {
                self.warn(name, "0", format_args!("is too small; used instead: {default}"));
                default
            }
            Some(number) => number,
            None => default,
        }
    }

    /// The same in milliseconds.
    pub(crate) fn positive_millis(&self, name: &str, default: Duration) -> Duration {
        let default = usize::try_from(default.as_millis()).unwrap_or(usize::MAX);
        Duration::from_millis(self.positive(name, default) as u64)
    }

    /// One of a few known words. What is none of them is told, and `instead` is what is used then.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, known: &[(&str, T)], instead: &str) -> Option<T> {
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
    pub(crate) fn warn(&self, name: &str, value: &str, what: impl Display) {
        self.warnings.borrow_mut().push(format!("{name}={value:?} {what}"));
    }

    /// Records a warning about a variable without a usable value.
    pub(crate) fn warn_unset(&self, name: &str, what: &str) {
        self.warnings.borrow_mut().push(format!("{name} {what}"));
    }

    /// What was found wrong, in order, each once.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        let mut warnings = self.warnings.into_inner();
        let mut told = std::collections::HashSet::new();
        warnings.retain(|warning| told.insert(warning.clone()));
        warnings
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_is_true() {
        for (value, is_true, is_told) in [
            ("true", true, false),
            ("TRUE", true, false),
            ("True", true, false),
            ("false", false, false),
            ("", false, false),
            ("1", false, true),
            ("yes", false, true),
        ] {
            let env = Env::from_vars([("OTEL_SDK_DISABLED", value)]);
            assert_eq!(env.boolean("OTEL_SDK_DISABLED"), is_true, "{value:?}");
            let expected = format!(r#"OTEL_SDK_DISABLED={value:?} is neither "true" nor "false"; used instead: false"#);
            let expected = if is_told { vec![expected] } else { vec![] };
            assert_eq!(env.into_warnings(), expected);
        }
        assert!(!Env::from_vars([]).boolean("OTEL_SDK_DISABLED"));
    }

    #[test]
    fn words_have_no_case_and_the_unknown_is_told() {
        let known = [("grpc", 1), ("http/protobuf", 2)];
        let read = |value: &str| {
            let env = Env::from_vars([("PROTOCOL", value)]);
            (env.one_of("PROTOCOL", &known, "grpc"), env.into_warnings())
        };
        assert_eq!(read("GRPC"), (Some(1), vec![]));
        assert_eq!(read(" http/Protobuf "), (Some(2), vec![]));
        assert_eq!(read(""), (None, vec![]));
        let warning = r#"PROTOCOL="carrier pigeon" is none of grpc, http/protobuf; used instead: grpc"#;
        assert_eq!(read("carrier pigeon"), (None, vec![warning.to_owned()]));
    }

    #[test]
    fn a_warning_is_told_once() {
        let env = Env::from_vars([("SIZE", "big")]);
        assert_eq!(env.positive("SIZE", 5), 5);
        assert_eq!(env.positive("SIZE", 5), 5);
        assert_eq!(
            env.into_warnings(),
            [r#"SIZE="big" is not a valid number; used instead: 5"#]
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf_8_is_told_and_ignored() {
        use std::os::unix::ffi::OsStringExt;

        let env = Env {
            value_of: Box::new(|_| Some(OsString::from_vec(vec![b'a', 0xff]))),
            warnings: RefCell::default(),
        };
        assert_eq!(env.text("OTEL_SERVICE_NAME"), None);
        let expected = "OTEL_SERVICE_NAME=\"a\u{fffd}\" is not UTF-8; it is ignored";
        assert_eq!(env.into_warnings(), [expected]);
    }
}
