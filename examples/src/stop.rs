//! How a service is told to end.

use std::io;

/// Ends with Ctrl-C, or with SIGTERM, which is what Kubernetes, systemd and Docker send.
///
/// Give it to tonic's `serve_with_shutdown`: the server lets the RPCs come to their end, and `main`
/// goes on to the shutdown of telemetry.
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
