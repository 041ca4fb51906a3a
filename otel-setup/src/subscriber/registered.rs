//! Detects layers that are added to a subscriber in a way that does not work.
//!
//! A layer that is added twice would record everything twice, and panic: both keep their data in
//! the same place of a span. So only the first one records.
//!
//! A layer with a filter of its own needs to be part of the subscriber when that is built. One that
//! a `reload::Layer` gets later records nothing, and panics in debug builds. It gets no id then,
//! since only `Layer::on_layer` could give it one: [tokio-rs/tracing#1629], open as of
//! tracing-subscriber 0.3.23. A layer around the filter could avoid the panic, but it would need
//! `unsafe` to show the subscriber that there is a filter (`Layer::downcast_raw`).
//!
//! [tokio-rs/tracing#1629]: https://github.com/tokio-rs/tracing/issues/1629

use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Whether a layer has been registered with a subscriber, as the only one of its kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_registered: AtomicBool,
    is_second: AtomicBool,
    was_logged: AtomicBool,
}

/// A layer that notes its registration, next to the layer in question, which is of the kind `K`.
pub(super) struct Witness<K> {
    registration: Registration,
    kind: PhantomData<fn(K)>,
}

impl<K> Witness<K> {
    pub(super) fn new(registration: &Registration) -> Self {
        Witness {
            registration: registration.clone(),
            kind: PhantomData,
        }
    }
}

impl<S: Subscriber, K: 'static> Layer<S> for Witness<K> {
    fn on_layer(&mut self, subscriber: &mut S) {
        let subscriber: &dyn Subscriber = subscriber;
        let flags = &self.registration.0;
        let flag = if subscriber.is::<Self>() {
            &flags.is_second
        } else {
            &flags.is_registered
        };
        flag.store(true, Ordering::Relaxed);
    }
}

impl Flags {
    /// Reports once that the layer records nothing.
    fn log(&self) {
        if self.was_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let why = if self.is_second.load(Ordering::Relaxed) {
            "a layer of otel-setup was added to a subscriber that has one of its kind already; the second one records \
             nothing; add each layer once"
        } else {
            "a layer of otel-setup was added to a subscriber that had already been built, by a `reload::Layer`; it \
             records nothing, since layers with filters must be there when the subscriber is built; add it then, and \
             reload a filter around it: `.with_filter(reload_layer)`"
        };
        // `tracing` is in the middle of a registration, and `eprintln!` panics if stderr is closed.
        let _ = writeln!(io::stderr(), "{why}");
    }
}

/// A filter that rejects nothing, unless its layer is not registered, which it reports once.
impl<S> Filter<S> for Registration {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.is_registered.load(Ordering::Relaxed)
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        if self.0.is_registered.load(Ordering::Relaxed) {
            return Interest::always();
        }
        self.0.log();
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
