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
            match directive.parse::<Directive>() {
                Ok(_) => valid.push(directive),
                Err(error) => {
                    let problem = format_args!("has an invalid directive {directive:?}: {error}; ignoring it");
                    env.warn(source, list, problem);
                }
            }
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
