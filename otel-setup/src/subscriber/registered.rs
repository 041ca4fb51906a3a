//! Detects layers that are added to a subscriber in a way that does not work.
//!
//! A layer with a filter of its own needs to be part of the subscriber when that is built. One that
//! a `reload::Layer` gets later records nothing, and panics in debug builds. It gets no id then,
//! since only `Layer::on_layer` could give it one: [tokio-rs/tracing#1629], open as of
//! tracing-subscriber 0.3.23. A layer around the filter could avoid the panic, but it would need
//! `unsafe` to show the subscriber that there is a filter (`Layer::downcast_raw`).
//!
//! [tokio-rs/tracing#1629]: https://github.com/tokio-rs/tracing/issues/1629

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Whether a layer has been registered with a subscriber.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_registered: AtomicBool,
    is_logged: AtomicBool,
}

/// A layer that notes its registration, next to the layer in question.
pub(super) struct Witness(pub(super) Registration);

impl<S: Subscriber> Layer<S> for Witness {
    fn on_layer(&mut self, _: &mut S) {
        self.0.0.is_registered.store(true, Ordering::Relaxed);
    }
}

/// A filter that rejects nothing, and reports once that it is not registered.
impl<S> Filter<S> for Registration {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        if self.0.is_registered.load(Ordering::Relaxed) {
            return Interest::always();
        }
        if !self.0.is_logged.swap(true, Ordering::Relaxed) {
            // `tracing` is in the middle of a registration. `eprintln!` would panic if stderr is
            // closed.
            let _ = writeln!(
                io::stderr(),
                "a layer of otel-setup was added to a subscriber that had already been built, by a `reload::Layer`; \
                 it records nothing, since layers with filters must be there when the subscriber is built; add it then, \
                 and reload a filter around it: `.with_filter(reload_layer)`"
            );
        }
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
