//! The writer and the shutdown that the three exporters share.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use crate::text::{Paint, stdout_supports_color};

/// A handle to an exporter of format `F`. Clones share the exporter.
pub(super) struct Handle<F>(Arc<Mutex<Console<F>>>);

/// The state of an exporter.
pub(super) struct Console<F> {
    pub(super) format: F,
    pub(super) paint: Paint,
    pub(super) resource: Resource,
    writer: Box<dyn Write + Send>,
    shut_down: bool,
}

impl<F> Clone for Handle<F> {
    fn clone(&self) -> Self {
        Handle(Arc::clone(&self.0))
    }
}

impl<F> Handle<F> {
    pub(super) fn stdout(format: F) -> Self {
        Handle(Arc::new(Mutex::new(Console {
            format,
            paint: Paint {
                color: stdout_supports_color(),
            },
            resource: Resource::builder_empty().build(),
            writer: Box::new(io::stdout()),
            shut_down: false,
        })))
    }

    pub(super) fn set_writer(&self, writer: impl Write + Send + 'static) {
        let mut console = self.lock();
        console.writer = Box::new(writer);
        console.paint.color = false;
    }

    pub(super) fn set_color(&self, color: bool) {
        self.lock().paint.color = color;
    }

    pub(super) fn set_resource(&self, resource: &Resource) {
        self.lock().resource = resource.clone();
    }

    /// Writes the text that the closure returns.
    ///
    /// # Errors
    ///
    /// If the exporter is shut down, or if the writer fails.
    pub(super) fn export(
        &self,
        text: impl FnOnce(&mut Console<F>) -> Result<String, serde_json::Error>,
    ) -> OTelSdkResult {
        let mut console = self.lock();
        if console.shut_down {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let text = text(&mut console).map_err(failure)?;
        console.write(&text)
    }

    /// Shuts down, and writes the text that the closure returns. Later calls do nothing.
    pub(super) fn shut_down(&self, text: impl FnOnce(&mut Console<F>) -> String) -> OTelSdkResult {
        let mut console = self.lock();
        if std::mem::replace(&mut console.shut_down, true) {
            return Ok(());
        }
        let text = text(&mut console);
        console.write(&text)
    }

    fn lock(&self) -> MutexGuard<'_, Console<F>> {
        // A panicking writer leaves the state consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Console<F> {
    /// Writes the text with one call, so that the lines of several exporters do not mix.
    ///
    /// Unlike `print!`, it returns the error of a closed pipe, as in `program | head`, instead of
    /// panicking.
    fn write(&mut self, text: &str) -> OTelSdkResult {
        if text.is_empty() {
            return Ok(());
        }
        let result = self.writer.write_all(text.as_bytes());
        result.and_then(|()| self.writer.flush()).map_err(failure)
    }
}

fn failure(error: impl std::error::Error) -> OTelSdkError {
    OTelSdkError::InternalFailure(format!("cannot write to the console: {error}"))
}
