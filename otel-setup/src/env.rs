//! Environment variables, read by the rules of [OpenTelemetry's
//! specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
//! an empty value counts as unset, enum values are case-insensitive, and an invalid value is
//! ignored with a warning.

use std::cell::RefCell;
#[cfg(any(test, fuzzing))]
use std::collections::HashMap;
use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

type Lookup = dyn Fn(&str) -> Option<OsString>;

/// The environment of a process, and the warnings about its variables.
pub(crate) struct Env {
    lookup: Box<Lookup>,
    warnings: RefCell<Vec<String>>,
    /// The places of a configuration file that messages name instead of variables.
    #[cfg(feature = "config-file")]
    places: Vec<(String, String)>,
    /// Whether the variables are those of a configuration file.
    #[cfg(feature = "config-file")]
    is_of_file: bool,
}

/// Variables of the specification with the settings of a section of a configuration file.
#[cfg(feature = "config-file")]
#[derive(Debug, Default)]
pub(crate) struct EnvPairs {
    values: std::collections::HashMap<String, String>,
    places: Vec<(String, String)>,
}

#[cfg(feature = "config-file")]
impl EnvPairs {
    /// Sets a variable, if there is a value.
    pub(crate) fn set(&mut self, name: &str, value: Option<impl ToString>) {
        self.values
            .extend(value.map(|value| (name.to_owned(), value.to_string())));
    }

    /// Sets the place that messages name instead of the variable.
    pub(crate) fn place(&mut self, name: &str, place: String) {
        self.places.push((name.to_owned(), place));
    }

    /// Returns an environment with these variables of OpenTelemetry, and no others of it.
    pub(crate) fn into_env(mut self) -> Env {
        // A name may be the beginning of another one.
        self.places.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let values = self.values;
        let mut env = Env::new(move |name| match values.get(name) {
            Some(value) => Some(value.into()),
            None if name.starts_with("OTEL_") => None,
            None => env::var_os(name),
        });
        env.places = self.places;
        env.is_of_file = true;
        env
    }
}

impl Env {
    pub(crate) fn from_process() -> Self {
        Env::new(|name| env::var_os(name))
    }

    #[cfg(test)]
    pub(crate) fn from_vars<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Env::from_map(variables.into())
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn from_map(variables: HashMap<String, String>) -> Self {
        Env::new(move |name| variables.get(name).map(OsString::from))
    }

    fn new(lookup: impl Fn(&str) -> Option<OsString> + 'static) -> Self {
        Env {
            lookup: Box::new(lookup),
            warnings: RefCell::default(),
            #[cfg(feature = "config-file")]
            places: Vec::new(),
            #[cfg(feature = "config-file")]
            is_of_file: false,
        }
    }

    /// Replaces the names of variables in a message by places of the configuration file.
    #[cfg(feature = "config-file")]
    pub(crate) fn in_places(&self, message: String) -> String {
        let places = self.places.iter();
        places.fold(message, |message, (name, place)| message.replace(name, place))
    }

    /// Returns the variable's value. A value that is not UTF-8 is ignored with a warning.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match (self.lookup)(name)?.into_string() {
            Ok(text) => (!text.is_empty()).then_some(text),
            Err(bytes) => {
                self.warn(name, &bytes.to_string_lossy(), "is not valid UTF-8; ignoring it");
                None
            }
        }
    }

    /// Returns the variable's value as a path, which need not be UTF-8.
    #[cfg(feature = "config-file")]
    pub(crate) fn path(&self, name: &str) -> Option<std::path::PathBuf> {
        let value = (self.lookup)(name)?;
        (!value.is_empty()).then(|| value.into())
    }

    /// Returns the name of a setting that has an effect: the variable, or its place in the
    /// configuration file. With such a file, other variables have none.
    #[cfg_attr(not(any(feature = "otlp", feature = "prometheus")), allow(dead_code))]
    #[cfg_attr(
        not(feature = "config-file"),
        allow(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "each variable has an effect"
        )
    )]
    pub(crate) fn setting(&self, variable: &str) -> Option<String> {
        #[cfg(feature = "config-file")]
        if self.is_of_file {
            let place = self.in_places(variable.to_owned());
            return (place != variable).then_some(place);
        }
        Some(variable.to_owned())
    }

    /// Returns the name and value of the first of these variables that is set.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(crate) fn first_set<'n, const N: usize>(&self, names: [&'n str; N]) -> Option<(&'n str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// Returns whether the variable is `true`. A value other than `true` and `false` counts as
    /// `false`, with a warning.
    pub(crate) fn boolean(&self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        let value = text.trim();
        if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
            self.warn(name, &text, "is neither \"true\" nor \"false\"; using false");
        }
        value.eq_ignore_ascii_case("true")
    }

    /// Parses a number. An invalid one is `None`, with a warning that names the fallback.
    pub(crate) fn number<N: FromStr>(&self, name: &str, fallback: &dyn Display) -> Option<N> {
        let text = self.text(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.warn(name, &text, format_args!("is not a valid number; using {fallback}"));
        }
        number
    }

    /// Parses a number above 0. An invalid one is `None`, with a warning that names the fallback.
    pub(crate) fn positive<N>(&self, name: &str, fallback: &dyn Display) -> Option<N>
    where
        N: FromStr + Default + PartialEq,
    {
        let number = self.number(name, fallback)?;
        if number == N::default() {
            self.warn(name, "0", format_args!("is not greater than 0; using {fallback}"));
            return None;
        }
        Some(number)
    }

    /// Parses a number of milliseconds above 0. If it is unset or invalid, returns the default.
    pub(crate) fn positive_millis(&self, name: &str, default: Duration) -> Duration {
        let millis = self.positive(name, &default.as_millis());
        millis.map_or(default, Duration::from_millis)
    }

    /// Looks the value up among the known ones. An unknown one is `None`, with a warning that names
    /// the fallback.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, known: &[(&str, T)], fallback: &str) -> Option<T> {
        let place = self.place_of(name, &mut known.iter().map(|(word, _)| *word), fallback)?;
        known.get(place).map(|(_, value)| *value)
    }

    /// Compiled once, not for each type of value.
    fn place_of(&self, name: &str, known: &mut dyn Iterator<Item = &str>, fallback: &str) -> Option<usize> {
        let text = self.text(name)?;
        let words: Vec<&str> = known.collect();
        let place = words.iter().position(|word| word.eq_ignore_ascii_case(text.trim()));
        if place.is_none() {
            let words = words.join(", ");
            self.warn(name, &text, format_args!("is not one of {words}; using {fallback}"));
        }
        place
    }

    /// Records a warning about a variable's value. It is logged once there is a subscriber.
    pub(crate) fn warn(&self, name: &str, value: &str, problem: impl Display) {
        self.warnings.borrow_mut().push(format!("{name}={value:?} {problem}"));
    }

    /// Records a warning about a variable that is unset or empty.
    pub(crate) fn warn_unset(&self, name: &str, problem: &str) {
        self.warnings.borrow_mut().push(format!("{name} {problem}"));
    }

    /// Returns the warnings in order, without duplicates.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        let mut warnings = self.warnings.take();
        #[cfg(feature = "config-file")]
        for warning in &mut warnings {
            *warning = self.in_places(std::mem::take(warning));
        }
        let mut seen = HashSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
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
        for (value, is_true, is_invalid) in [
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
            let expected = format!(r#"OTEL_SDK_DISABLED={value:?} is neither "true" nor "false"; using false"#);
            let expected = if is_invalid { vec![expected] } else { vec![] };
            assert_eq!(env.into_warnings(), expected);
        }
        assert!(!Env::from_vars([]).boolean("OTEL_SDK_DISABLED"));
    }

    #[test]
    fn enum_values_are_case_insensitive_and_unknown_ones_warn() {
        let known = [("grpc", 1), ("http/protobuf", 2)];
        let read = |value: &str| {
            let env = Env::from_vars([("PROTOCOL", value)]);
            (env.one_of("PROTOCOL", &known, "grpc"), env.into_warnings())
        };
        assert_eq!(read("GRPC"), (Some(1), vec![]));
        assert_eq!(read(" http/Protobuf "), (Some(2), vec![]));
        assert_eq!(read(""), (None, vec![]));
        let warning = r#"PROTOCOL="carrier pigeon" is not one of grpc, http/protobuf; using grpc"#;
        assert_eq!(read("carrier pigeon"), (None, vec![warning.to_owned()]));
    }

    #[test]
    fn warnings_are_deduplicated() {
        let env = Env::from_vars([("SIZE", "big")]);
        assert_eq!(env.positive::<usize>("SIZE", &5), None);
        assert_eq!(env.positive::<usize>("SIZE", &5), None);
        assert_eq!(env.into_warnings(), [r#"SIZE="big" is not a valid number; using 5"#]);
    }

    #[cfg(unix)]
    #[test]
    fn invalid_utf_8_is_ignored_with_a_warning() {
        use std::os::unix::ffi::OsStringExt;

        let env = Env::new(|_| Some(OsString::from_vec(vec![b'a', 0xff])));
        assert_eq!(env.text("OTEL_SERVICE_NAME"), None);
        let expected = "OTEL_SERVICE_NAME=\"a\u{fffd}\" is not valid UTF-8; ignoring it";
        assert_eq!(env.into_warnings(), [expected]);
    }
}
