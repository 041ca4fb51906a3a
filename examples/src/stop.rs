//! Signals that stop a service.

use std::io;

/// Waits for Ctrl-C, or for SIGTERM, which Kubernetes, systemd and Docker send.
///
/// Pass it to tonic's `serve_with_shutdown`: the server ends after the RPCs in progress, and `main`
/// continues with the shutdown of telemetry.
///
/// # Errors
///
/// Returns an error if the process cannot listen to signals.
pub async fn requested() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
