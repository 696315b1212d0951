//! From SIGTERM or Ctrl-C to an orderly end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// A token that is cancelled by SIGTERM or SIGINT. A second SIGINT (Ctrl-C again) ends the process at
/// once; a second SIGTERM does not, for supervisors send several.
pub fn stop_on_signal(tasks: &mut tokio::task::JoinSet<()>) -> Result<CancellationToken, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("signals: {error}")));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tasks.spawn(async move {
        let mut interrupts = 0;
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => interrupts += 1,
            }
            if interrupts > 1 {
                tracing::warn!("interrupted twice: ending at once");
                std::process::abort();
            }
            if !token.is_cancelled() {
                tracing::info!("told to stop: finishing what is under way");
                token.cancel();
            }
        }
    });
    Ok(stop)
}
