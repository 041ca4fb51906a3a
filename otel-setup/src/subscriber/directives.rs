//! Filter directives, such as those of `RUST_LOG`.

use tracing_subscriber::filter::LevelFilter;
#[cfg(feature = "env-filter")]
use tracing_subscriber::filter::{Directive, EnvFilter};
#[cfg(not(feature = "env-filter"))]
use tracing_subscriber::filter::{Targets, Targets as Directive};

use crate::env::Env;

/// Valid directives of a filter. An empty list means `info`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directives(String);

impl Directives {
    pub(crate) fn from_env(env: &Env) -> Self {
        const VARIABLE: &str = "RUST_LOG";
        Directives::parse(VARIABLE, &env.text(VARIABLE).unwrap_or_default(), env)
    }

    /// Parses a list of directives. Warns of invalid ones.
    pub(crate) fn parse(source: &str, list: &str, env: &Env) -> Self {
        let mut valid = Vec::new();
        for directive in list.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let problem = match directive.parse::<Directive>() {
                // `Targets` takes the name of a span for a part of the target.
                Ok(_) if cfg!(not(feature = "env-filter")) && directive.contains('[') => {
                    "requires the Cargo feature `env-filter` of otel-setup".to_owned()
                }
                Ok(_) => {
                    valid.push(directive);
                    continue;
                }
                Err(error) => error.to_string(),
            };
            let problem = format_args!("has an invalid directive {directive:?}: {problem}; ignoring it");
            env.warn(source, list, problem);
        }
        Directives(valid.join(","))
    }

    #[cfg(any(test, fuzzing))]
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "env-filter")]
    pub(super) fn filter(&self) -> EnvFilter {
        EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .parse_lossy(&self.0)
    }

    /// Returns a filter without directives for spans and fields, which is less to compile.
    #[cfg(not(feature = "env-filter"))]
    pub(super) fn filter(&self) -> Targets {
        let filter = Some(&self.0).filter(|directives| !directives.is_empty());
        let filter = filter.and_then(|directives| directives.parse().ok());
        filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    /// Collects the targets and levels of events.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            let text = format!("{} {}", metadata.target(), metadata.level());
            self.0.lock().unwrap().push(text);
        }
    }

    /// Returns the events that pass a filter, and the warnings.
    fn heard(list: &str) -> (Vec<String>, Vec<String>) {
        let env = Env::from_vars([("RUST_LOG", list)]);
        let heard = Heard::default();
        let layer = heard.clone().with_filter(Directives::from_env(&env).filter());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "shop", "");
            tracing::info!(target: "shop::cart", "");
            tracing::info!(target: "other", "");
            tracing::error!(target: "other", "");
        });
        let events = heard.0.lock().unwrap().clone();
        (events, env.into_warnings())
    }

    #[test]
    fn directives_of_targets_select_events() {
        for (list, expected) in [
            ("", &["shop::cart INFO", "other INFO", "other ERROR"][..]),
            ("info", &["shop::cart INFO", "other INFO", "other ERROR"]),
            ("warn,shop=debug", &["shop DEBUG", "shop::cart INFO", "other ERROR"]),
            ("shop::cart=info", &["shop::cart INFO"]),
            ("trace,other=off", &["shop DEBUG", "shop::cart INFO"]),
            ("off", &[]),
        ] {
            let (events, warnings) = heard(list);
            assert_eq!(events, expected, "{list:?}");
            assert_eq!(warnings, [] as [&str; 0], "{list:?}");
        }
    }

    #[test]
    fn an_invalid_directive_is_ignored_with_a_warning() {
        let (events, warnings) = heard("shop=loud,other=error");
        assert_eq!(events, ["other ERROR"]);
        let expected = r#"RUST_LOG="shop=loud,other=error" has an invalid directive "shop=loud": "#;
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:?}");
    }
}
