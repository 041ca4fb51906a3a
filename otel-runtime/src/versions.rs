//! Messages about versions that do not go together: of OpenTelemetry, and of this crate.

use std::num::Wrapping;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::Extensions;

use crate::semconv;

/// The version of `opentelemetry` whose providers record the RPCs.
const OPENTELEMETRY: &str = "0.33";

/// The mark that a layer leaves in a request for other versions of this crate.
///
/// A type of this crate is another type in each version, so this is one of the standard library's.
/// The array holds the name and the version of the crate. Nobody else puts a `Wrapping` of one into
/// a request. Never change this type: every version must find it.
type LayerMark = Wrapping<[&'static str; 2]>;

const MARK: LayerMark = Wrapping([semconv::SCOPE_NAME, semconv::SCOPE_VERSION]);

/// Logs that the tracer of an instrumentation is a no-op.
#[cold]
pub(crate) fn log_no_tracer() {
    tracing::debug!(
        target: "otel_runtime",
        "RPCs have no spans, because no tracer provider of opentelemetry {OPENTELEMETRY} is installed; \
        providers of another version are not found (logged once)"
    );
}

/// The marks that a layer leaves in requests.
#[derive(Debug, Default)]
pub(crate) struct Marks(AtomicU32);

impl Marks {
    /// Number of requests that a layer marks. A method that always fails is never known, and the
    /// requests of such methods must not pay for the mark forever.
    const MAX: u32 = 100;

    /// Marks a request that the layer records, if it is among the first whose method is not known.
    #[cold]
    pub(crate) fn mark(&self, extensions: &mut Extensions) {
        if self.0.load(Ordering::Relaxed) < Self::MAX {
            self.0.fetch_add(1, Ordering::Relaxed);
            warn_of_other_layer(extensions);
            extensions.insert(MARK);
        }
    }
}

/// Warns if a layer of another version of this crate records the request, too.
#[cold]
pub(crate) fn warn_of_other_layer(extensions: &Extensions) {
    static WARNED: AtomicBool = AtomicBool::new(false);

    if let Some(mark @ Wrapping([semconv::SCOPE_NAME, other])) = extensions.get::<LayerMark>()
        && *mark != MARK
        && !WARNED.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(
            target: "otel_runtime",
            "RPCs are recorded twice, by a layer of otel-runtime {other} and by otel-runtime {}; \
            use one version, `cargo tree --duplicates` shows which crates need which (logged once)",
            semconv::SCOPE_VERSION
        );
    }
}
