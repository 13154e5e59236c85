//! When to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::Error;

/// Ends when the process is asked to stop: by SIGTERM, or by Ctrl-C. For [`crate::Source::run`].
///
/// # Errors
/// When signals cannot be waited for.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
