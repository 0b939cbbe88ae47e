//! Ctrl-C and SIGTERM.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use fedctl_model::outcome::Outcome;

/// Cancelled by the first signal; the second ends the program at once.
pub struct Stop {
    /// Cancelled when the program should end.
    pub token: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        let stop = Self {
            token: CancellationToken::new(),
            code: Arc::new(AtomicU8::new(Outcome::Interrupted.code())),
        };
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (token, code) = (stop.token.clone(), Arc::clone(&stop.code));
        tokio::spawn(async move {
            loop {
                let outcome = tokio::select! {
                    _ = interrupt.recv() => Outcome::Interrupted,
                    _ = terminate.recv() => Outcome::Terminated,
                };
                if token.is_cancelled() {
                    std::process::exit(i32::from(outcome.code()));
                }
                code.store(outcome.code(), Ordering::Relaxed);
                token.cancel();
            }
        });
        Ok(stop)
    }

    /// How a command ends that was stopped.
    pub fn outcome(&self) -> Outcome {
        if self.code.load(Ordering::Relaxed) == Outcome::Terminated.code() {
            Outcome::Terminated
        } else {
            Outcome::Interrupted
        }
    }
}
