//! The processors of spans and of log records, which end at the same time.
//!
//! The SDK shuts those of a provider down one after another. One whose receiver is away would take
//! the time of the others, and their last items would be lost.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::shutdown::spawn;
use crate::signal::Signal;

/// The task of processors and providers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Flush,
    ShutDown(Duration),
}

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

    /// Lets all parts do it at the same time, and waits for them.
    pub(crate) fn run(self, task: Task) {
        let work = |part: Arc<dyn Part>| {
            move || match task {
                Task::Flush => part.flush(),
                Task::ShutDown(timeout) => part.shut_down(timeout),
            }
        };
        let mut threads = Vec::new();
        for (_, part) in self.0 {
            match spawn(Box::new(work(Arc::clone(&part)))) {
                Ok(thread) => threads.push(thread),
                Err(_) => work(part)(),
            }
        }
        for thread in threads {
            // A panic is reported by what waits for the exporter.
            let _ = thread.join();
        }
    }
}
