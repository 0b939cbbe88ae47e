//! Retries of a message that failed, and its dead-lettering.

use anyhow::Context;
use tokio::time::timeout;

use super::{Consume, ConsumeError, ConsumerTask, Settled};
use crate::{
    backoff::backoff,
    message::{Message, Outgoing},
};

/// Retries of a message before it is dead-lettered: 1.35 to 2.7 s of pauses.
const RETRIES: u32 = 7;

impl<C: Consume> ConsumerTask<C> {
    /// Settles a message that failed once: processed at a later attempt, dead-lettered, or left to the broker.
    pub(super) async fn retry(&self, message: Box<Message>, mut error: ConsumeError) -> Settled {
        for failures in 0..RETRIES {
            if matches!(error, ConsumeError::Permanent(_)) {
                break;
            }
            if timeout(backoff(failures), self.stop.cancelled()).await.is_ok() {
                return Ok(None);
            }
            self.counters.retried.inc();
            match self.attempt(&message).await {
                Ok(()) => return Ok(Some(message.delivery_tag)),
                Err(again) => error = again,
            }
        }
        self.dead_letter(&message, &error.to_string()).await
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Settled {
        let queue = &*self.dead_letter_queue;
        self.publisher
            .publish(Outgoing::dead_lettered(message, queue, reason))
            .await
            .with_context(|| format!("dead-lettering a message to queue `{queue}`"))?;
        self.counters.dead_lettered.inc();
        self.log
            .warn("dead_lettered")
            .with_message(message)
            .with("reason", reason)
            .with("dead_letter_queue", queue)
            .write();
        Ok(Some(message.delivery_tag))
    }
}
