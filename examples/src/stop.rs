//! The signals that ask a service to shut down.

use std::io;

/// Completes on Ctrl-C, or on SIGTERM, which Kubernetes, systemd and Docker send.
///
/// Pass it to tonic's `serve_with_shutdown`. The server then completes the RPCs in progress and
/// returns, so that `main` can shut telemetry down.
///
/// # Errors
///
/// Returns an error if the process cannot listen for signals.
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
