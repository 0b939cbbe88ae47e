//! Publishing with confirms, from anywhere in a service, over whatever session there is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::log::Log;
use super::message::Outgoing;
use super::metrics::{Counter, Metrics};

/// lapin 4.12 gives a returned message to whichever confirm resolves next: with 200 publishes in flight on one
/// channel, up to 410 of 10,000 were told of another's fate. So a channel never has two in flight, and some
/// channels side by side make the speed.
const CHANNELS: usize = 4;
const WAITING: usize = 64;
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// Why a message may not be where it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// There is no session with the broker: certainly not sent.
    #[error("no session with the broker")]
    NoSession,
    /// The broker found no queue for it: certainly in none.
    #[error(
        "no queue is bound to exchange `{exchange}` with routing key `{routing_key}`: the broker says {reason}"
    )]
    Unroutable {
        /// The exchange published to.
        exchange: String,
        /// The key published with.
        routing_key: String,
        /// The broker's words.
        reason: String,
    },
    /// The session ended, or the broker refused, before there was a confirm: perhaps sent.
    #[error("the broker did not confirm the message")]
    Unconfirmed,
}

struct Job {
    message: Outgoing,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes over the present session. Cheap to clone.
///
/// Every message is mandatory and confirmed: `Ok` means a queue has it. A caller that goes away does not
/// take its message back. For a direct reply, which no queue ever has, `Ok` means that the broker took it.
#[derive(Clone)]
pub struct Publisher {
    jobs: watch::Sender<Option<mpsc::Sender<Job>>>,
    log: Log,
    pub(super) metrics: Metrics,
}

impl Publisher {
    /// A publisher without a session.
    #[must_use]
    pub fn new(log: Log, metrics: Metrics) -> Self {
        Self { jobs: watch::Sender::new(None), log, metrics }
    }

    /// Publishes `message`, waits for the broker's confirm, and logs `published`.
    ///
    /// # Errors
    /// [`PublishError`], which says whether the message may have arrived.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        let (done, confirmed) = oneshot::channel();
        let jobs = self.jobs.borrow().clone().ok_or(PublishError::NoSession)?;
        jobs.send(Job { message, done }).await.map_err(|_| PublishError::NoSession)?;
        drop(jobs);
        confirmed.await.unwrap_or(Err(PublishError::Unconfirmed))
    }

    /// Starts publishing over `connection`; a task that ends with an error means the session is broken.
    pub(super) async fn attach(&self, connection: &Connection) -> lapin::Result<JoinSet<anyhow::Result<()>>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut tasks = JoinSet::new();
        for _ in 0..CHANNELS {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            tasks.spawn(work(channel, Arc::clone(&receiver), self.clone()));
        }
        self.jobs.send_replace(Some(sender));
        Ok(tasks)
    }

    /// Takes no more messages; the tasks of [`Publisher::attach`] end when the accepted ones are confirmed.
    pub(super) fn detach(&self) {
        self.jobs.send_replace(None);
    }
}

async fn work(
    channel: Channel,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    publisher: Publisher,
) -> anyhow::Result<()> {
    loop {
        let job = jobs.lock().await.recv().await;
        let Some(Job { message, done }) = job else { return Ok(()) };
        let fate = tokio::time::timeout(CONFIRM_WITHIN, send(&channel, &message))
            .await
            .map_err(|_| anyhow!("the broker did not confirm a message within {CONFIRM_WITHIN:?}"))??;
        match &fate {
            Ok(()) => {
                publisher.metrics.count(Counter::PUBLISHED, &message.exchange);
                note(&publisher.log, &message);
            }
            Err(PublishError::Unroutable { .. }) => {
                publisher.metrics.count(Counter::RETURNED, &message.exchange);
                publisher
                    .log
                    .warn("unroutable")
                    .with("exchange", message.exchange.as_str())
                    .with("routing_key", message.key.as_str())
                    .with("correlation_id", message.correlation_id())
                    .write();
            }
            Err(_) => {}
        }
        let _ = done.send(fate);
    }
}

/// The outer error ends the session, the inner one is the message's own.
async fn send(channel: &Channel, message: &Outgoing) -> anyhow::Result<Result<(), PublishError>> {
    let options = BasicPublishOptions { mandatory: message.is_mandatory(), ..BasicPublishOptions::default() };
    let (exchange, key) = (message.exchange.as_str().into(), message.key.as_str().into());
    let confirm = channel
        .basic_publish(exchange, key, options, &message.body, message.properties.clone())
        .await
        .context("publishing")?;
    Ok(match confirm.await.context("waiting for a confirm")? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            Err(PublishError::Unroutable {
                exchange: message.exchange.clone(),
                routing_key: message.key.clone(),
                reason: format!("{} {}", returned.reply_code, returned.reply_text),
            })
        }
        Confirmation::Nack(None) | Confirmation::NotRequested => Err(PublishError::Unconfirmed),
    })
}

fn note(log: &Log, message: &Outgoing) {
    let Some(notes) = &message.notes else { return };
    let mut line = log.info("published").with_all(notes);
    let ids = [
        ("correlation_id", message.properties.correlation_id()),
        ("message_id", message.properties.message_id()),
        ("reply_to", message.properties.reply_to()),
    ];
    for (name, id) in ids {
        if let Some(id) = id {
            line = line.with(name, id.as_str());
        }
    }
    line.with("exchange", message.exchange.as_str()).with("routing_key", message.key.as_str()).write();
}
