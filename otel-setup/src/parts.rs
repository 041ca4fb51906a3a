//! The processors of spans and of log records, which end at the same time.
//!
//! The SDK shuts those of a provider down one after another. One whose receiver is away would take
//! the time of the others, and their last items would be lost.

use std::fmt::Debug;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::signal::Signal;

/// A processor.
pub(crate) trait Part: Debug + Send + Sync {
    fn flush(&self);

    fn shut_down(&self, timeout: Duration);
}

/// The processors of a setup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts(Vec<(Signal, Arc<dyn Part>)>);

impl Parts {
    pub(crate) fn add(&mut self, signal: Signal, part: impl Part + 'static) {
        self.0.push((signal, Arc::new(part)));
    }

    pub(crate) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// Returns the parts of a signal, or none if there is just one: the SDK calls it itself.
    pub(crate) fn of(&self, signal: Signal) -> Self {
        let parts = self.0.iter().filter(|(of, _)| *of == signal);
        let parts: Vec<_> = parts.cloned().collect();
        Parts(if parts.len() > 1 { parts } else { Vec::new() })
    }

    /// Calls all parts at the same time, and waits for them.
    pub(crate) fn call(self, work: impl Fn(&dyn Part) + Copy + Send + 'static) {
        let threads = self.0.into_iter().map(|(_, part)| {
            let on_thread = Arc::clone(&part);
            let thread = thread::Builder::new().name("otel-shutdown".to_owned());
            thread.spawn(move || work(&*on_thread)).map_err(|_| part)
        });
        for thread in threads.collect::<Vec<_>>() {
            match thread {
                // A panic is reported by what waits for the exporter.
                Ok(thread) => drop(thread.join()),
                Err(part) => work(&*part),
            }
        }
    }
}
