//! Lines on stdout.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::registry::LookupSpan;

use super::super::super::console::stdout_has_colour;
use super::human::{Human, HumanFields};
use super::json::{Json, NoFields};

/// How events are written to stdout, one a line.
///
/// [`Builder::log_lines`](super::super::Builder::log_lines) chooses. `RUST_LOG` says which events these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLines {
    /// For people.
    #[default]
    Human,
    /// For programs: JSON.
    Json,
    /// Not at all.
    Off,
}

impl LogLines {
    pub(super) fn layer<S>(self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        // Stdout takes each line whole, and at once. That nobody reads it any more is no reason to say so on stderr, where nobody may read either.
        let layer = fmt::layer().with_writer(io::stdout).log_internal_errors(false);
        match self {
            LogLines::Human => {
                let human = Human::new(stdout_has_colour());
                Some(layer.event_format(human).fmt_fields(HumanFields).boxed())
            }
            LogLines::Json => Some(layer.event_format(Json).fmt_fields(NoFields).boxed()),
            LogLines::Off => None,
        }
    }
}
