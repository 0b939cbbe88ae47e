//! Publishing with confirms, from anywhere in a service, over whatever session there is.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::FutureExt;
use futures_util::future::maybe_done;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Connection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::log::Log;
use super::message::Outgoing;
use super::metrics::{Counter, Metrics};

/// How many messages may be under way at once, and how many more may wait.
const WINDOW: usize = 64;
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

/// What a confirm says, and what it brings.
struct Confirmed {
    taken: bool,
    returned: Option<Box<BasicReturnMessage>>,
}

/// Publishes over the present session. Cheap to clone.
///
/// Every message is mandatory and confirmed: `Ok` means a queue has it. A caller that goes away does not
/// take its message back. For a direct reply, which no queue ever has, `Ok` means that the broker took it.
#[derive(Clone)]
pub struct Publisher {
    jobs: watch::Sender<Option<mpsc::Sender<Box<Job>>>>,
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
    pub fn publish(&self, message: Outgoing) -> impl Future<Output = Result<(), PublishError>> {
        let (done, confirmed) = oneshot::channel();
        // made here, so that whoever waits for it holds a pointer and not the message
        let job = Box::new(Job { message: message.with_own_id(), done });
        async {
            let jobs = self.jobs.borrow().clone().ok_or(PublishError::NoSession)?;
            jobs.send(job).await.map_err(|_| PublishError::NoSession)?;
            drop(jobs);
            confirmed.await.unwrap_or(Err(PublishError::Unconfirmed))
        }
    }

    /// Starts publishing over `connection`; it ends with an error when the session is broken.
    pub(super) async fn attach(
        &self,
        connection: &Connection,
    ) -> lapin::Result<JoinHandle<anyhow::Result<()>>> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (sender, receiver) = mpsc::channel(WINDOW);
        let working = tokio::spawn(work(channel, receiver, self.clone()));
        self.jobs.send_replace(Some(sender));
        Ok(working)
    }

    /// Takes no more messages; the task of [`Publisher::attach`] ends when the accepted ones are confirmed.
    pub(super) fn detach(&self) {
        self.jobs.send_replace(None);
    }

    fn tell(&self, Job { message, done }: Job, fate: Result<(), PublishError>) {
        match &fate {
            Ok(()) => {
                self.metrics.count(Counter::PUBLISHED, &message.exchange, 1);
                note(&self.log, &message);
            }
            Err(PublishError::Unroutable { .. }) => {
                self.metrics.count(Counter::RETURNED, &message.exchange, 1);
                self.log
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

/// Publishes over one channel until there are no more messages and the last is confirmed.
///
/// What comes while others are under way waits until they are confirmed, and then goes together: the busier the service,
/// the more messages share a write, a confirm, and the switches between threads for both.
async fn work(
    channel: Channel,
    mut jobs: mpsc::Receiver<Box<Job>>,
    publisher: Publisher,
) -> anyhow::Result<()> {
    let mut together = Vec::with_capacity(WINDOW);
    while jobs.recv_many(&mut together, WINDOW).await > 0 {
        let confirmed = timeout(CONFIRM_WITHIN, send(&channel, &together)).await;
        let late = || anyhow!("the broker did not confirm a message within {CONFIRM_WITHIN:?}");
        let fates = fates(&together, confirmed.map_err(|_| late())??);
        for (job, fate) in together.drain(..).zip(fates) {
            publisher.tell(*job, fate);
        }
    }
    Ok(())
}

/// Sends these and waits for all their confirms. An error ends the session.
async fn send(channel: &Channel, jobs: &[Box<Job>]) -> anyhow::Result<Vec<Confirmed>> {
    let mut sending: Vec<_> = jobs.iter().map(|job| Box::pin(maybe_done(confirmed(channel, job)))).collect();
    for one in &mut sending {
        one.now_or_never();
    }
    let mut all = Vec::with_capacity(sending.len());
    // the last is mostly confirmed with or after the others, so that nothing has to wake this task for them
    for one in sending.iter_mut().rev() {
        one.as_mut().await;
        all.extend(one.as_mut().take_output().transpose()?);
    }
    all.reverse();
    Ok(all)
}

async fn confirmed(channel: &Channel, Job { message, .. }: &Job) -> anyhow::Result<Confirmed> {
    let options = BasicPublishOptions { mandatory: message.is_mandatory(), ..BasicPublishOptions::default() };
    let (exchange, key) = (message.exchange.as_str().into(), message.key.as_str().into());
    let properties = message.properties.clone();
    let sent = channel.basic_publish(exchange, key, options, &message.body, properties).await;
    let confirmation = sent.context("publishing")?.await.context("waiting for a confirm")?;
    Ok(Confirmed { taken: confirmation.is_ack(), returned: confirmation.take_message().map(Box::new) })
}

/// What became of each message, when all are confirmed.
///
/// The broker returns a message before it confirms it, but lapin 4.12 hands the return, which it keeps in a line, to
/// whichever confirm resolves next. So what a confirm brings may be about another message of those that went together.
fn fates(jobs: &[Box<Job>], mut confirmed: Vec<Confirmed>) -> Vec<Result<(), PublishError>> {
    let mut returned: Vec<_> = confirmed.iter_mut().filter_map(|one| one.returned.take()).collect();
    let told = jobs.iter().zip(confirmed).map(|(job, confirmed)| {
        match returned.iter().position(|returned| job.message.is(returned)) {
            Some(at) => Err(unroutable(&job.message, &returned.swap_remove(at))),
            None if confirmed.taken => Ok(()),
            None => Err(PublishError::Unconfirmed),
        }
    });
    told.collect()
}

fn unroutable(message: &Outgoing, returned: &BasicReturnMessage) -> PublishError {
    PublishError::Unroutable {
        exchange: message.exchange.clone(),
        routing_key: message.key.clone(),
        reason: format!("{} {}", returned.reply_code, returned.reply_text),
    }
}

fn note(log: &Log, message: &Outgoing) {
    let Some(notes) = &message.notes else { return };
    let mut line = log.info("published").with_fields(notes);
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

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::message::Delivery;

    use super::*;

    /// A message with this identifier, acknowledged; its confirm brings the return of the one named.
    fn landed(id: &str, brought: Option<&str>) -> (Box<Job>, Confirmed) {
        let returned = brought.map(|id| {
            let mut delivery = Delivery::mock(0, "".into(), "key".into(), false, b"null".to_vec());
            delivery.properties = BasicProperties::default().with_message_id(id.into());
            Box::new(BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() })
        });
        let message = Outgoing::json("", "key", &()).with_message_id(id);
        (Box::new(Job { message, done: oneshot::channel().0 }), Confirmed { taken: true, returned })
    }

    /// Identifiers with `+` for a message that is in a queue and `-` for one that is in none.
    fn told(landed: Vec<(Box<Job>, Confirmed)>) -> String {
        let (jobs, confirmed): (Vec<_>, Vec<_>) = landed.into_iter().unzip();
        let told: Vec<String> = jobs
            .iter()
            .zip(fates(&jobs, confirmed))
            .map(|(job, fate)| {
                let id = job.message.properties.message_id().as_ref().map(ToString::to_string);
                format!("{}{}", id.unwrap_or_default(), if fate.is_ok() { '+' } else { '-' })
            })
            .collect();
        told.join(" ")
    }

    #[test]
    fn a_return_is_told_to_who_sent_the_message_whichever_confirm_brings_it() {
        assert_eq!(told(vec![landed("a", None), landed("b", Some("b"))]), "a+ b-");
        let others = vec![landed("a", Some("b")), landed("b", Some("c")), landed("c", None)];
        assert_eq!(told(others), "a+ b- c-");
        assert_eq!(told(vec![landed("a", Some("x"))]), "a+", "of a message that nobody here sent");
    }

    #[test]
    fn what_the_broker_refuses_is_not_in_a_queue() {
        let (job, _) = landed("a", None);
        let refused = Confirmed { taken: false, returned: None };
        assert_eq!(told(vec![(job, refused), landed("b", None)]), "a- b+");
    }
}
