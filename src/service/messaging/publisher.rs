//! Publishing with confirms, from anywhere in a service, over whatever session there is.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::log::Log;
use super::message::Outgoing;
use super::metrics::{Counter, Metrics};

/// How many messages may be under way at once.
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
async fn work(channel: Channel, mut jobs: mpsc::Receiver<Job>, publisher: Publisher) -> anyhow::Result<()> {
    let (mut flying, mut fates) = (FuturesUnordered::new(), Fates::default());
    loop {
        tokio::select! {
            Some(landed) = flying.next() => {
                let mut landed = vec![landed?];
                while let Some(Some(next)) = flying.next().now_or_never() {
                    landed.push(next?);
                }
                for (job, fate) in fates.sort(landed, flying.is_empty()) {
                    publisher.tell(job, fate);
                }
            }
            Some(job) = jobs.recv(), if flying.len() < WINDOW => flying.push(fly(&channel, job)),
            else => return Ok(()),
        }
    }
}

/// An error ends the session.
async fn fly(channel: &Channel, job: Job) -> anyhow::Result<(Job, Confirmation)> {
    let message = &job.message;
    let options = BasicPublishOptions { mandatory: message.is_mandatory(), ..BasicPublishOptions::default() };
    let (exchange, key) = (message.exchange.as_str().into(), message.key.as_str().into());
    let confirmed = async {
        let publish =
            channel.basic_publish(exchange, key, options, &message.body, message.properties.clone());
        publish.await.context("publishing")?.await.context("waiting for a confirm")
    };
    let confirmed = timeout(CONFIRM_WITHIN, confirmed).await;
    let late = || anyhow!("the broker did not confirm a message within {CONFIRM_WITHIN:?}");
    Ok((job, confirmed.map_err(|_| late())??))
}

/// Finds out which message was returned, of several under way on one channel.
///
/// The broker returns a message before it confirms it, but lapin 4.12 hands the return, which it keeps in a line, to
/// whichever confirm resolves next. So what a confirm brings may be about another message; and only where it brings
/// nothing is the line known to be empty, and all that was confirmed until then to be in its queues.
#[derive(Default)]
struct Fates {
    /// Confirmed, and perhaps returned: their confirms brought another's return.
    unsure: Vec<(Job, bool)>,
    /// Returned, and not yet confirmed as far as is known.
    returned: Vec<BasicReturnMessage>,
}

impl Fates {
    /// The fates that are known when these have landed: all of them, where it is the `last` that were under way.
    fn sort(&mut self, landed: Vec<(Job, Confirmation)>, last: bool) -> Vec<(Job, Result<(), PublishError>)> {
        let mut open: Vec<(Job, bool, bool)> = Vec::new();
        let mut emptied = last;
        let before = std::mem::take(&mut self.unsure);
        for (job, confirmation) in landed {
            let acknowledged = confirmation.is_ack();
            let brought = confirmation.take_message();
            emptied |= brought.is_none();
            open.push((job, acknowledged, last || brought.is_none()));
            self.returned.extend(brought);
        }
        open.extend(before.into_iter().map(|(job, acknowledged)| (job, acknowledged, emptied)));
        let mut known = Vec::new();
        for (job, acknowledged, sure) in open {
            let returned = self.returned.iter().position(|returned| job.message.is(returned));
            if let Some(returned) = returned {
                let unroutable = unroutable(&job.message, &self.returned.swap_remove(returned));
                known.push((job, Err(unroutable)));
            } else if sure {
                known.push((job, if acknowledged { Ok(()) } else { Err(PublishError::Unconfirmed) }));
            } else {
                self.unsure.push((job, acknowledged));
            }
        }
        known
    }
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

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::message::Delivery;

    use super::*;

    /// A message with this identifier, confirmed; its confirm brings the return of the one named.
    fn landed(id: &str, brought: Option<&str>) -> (Job, Confirmation) {
        let brought = brought.map(|id| {
            let mut delivery = Delivery::mock(0, "".into(), "key".into(), false, Vec::new());
            delivery.properties = BasicProperties::default().with_message_id(id.into());
            BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
        });
        let message = Outgoing::json("", "key", &()).identified(id);
        (Job { message, done: oneshot::channel().0 }, Confirmation::Ack(brought))
    }

    /// Identifiers with `+` for a message that is in a queue and `-` for one that is in none, in their order.
    fn known(fates: &mut Fates, landed: Vec<(Job, Confirmation)>, last: bool) -> String {
        let mut known: Vec<String> = fates
            .sort(landed, last)
            .into_iter()
            .map(|(job, fate)| {
                let id = job.message.properties.message_id().as_ref().map(ToString::to_string);
                format!("{}{}", id.unwrap_or_default(), if fate.is_ok() { '+' } else { '-' })
            })
            .collect();
        known.sort();
        known.join(" ")
    }

    #[test]
    fn a_return_is_told_to_who_sent_the_message_whichever_confirm_brings_it() {
        let mut fates = Fates::default();
        assert_eq!(known(&mut fates, vec![landed("a", None), landed("b", Some("b"))], false), "a+ b-");
        assert_eq!(known(&mut fates, vec![landed("c", Some("d"))], false), "", "c may be returned yet");
        assert_eq!(known(&mut fates, vec![landed("d", Some("c"))], false), "c- d-");
        assert_eq!(known(&mut fates, vec![landed("e", Some("f"))], false), "");
        assert_eq!(known(&mut fates, vec![landed("f", None)], false), "e+ f-");
    }

    #[test]
    fn what_lands_together_is_sorted_in_any_order() {
        let mut fates = Fates::default();
        assert_eq!(known(&mut fates, vec![landed("b", None), landed("a", Some("b"))], false), "b-");
        assert_eq!(known(&mut fates, vec![landed("c", None)], false), "a+ c+");
    }

    #[test]
    fn with_nothing_under_way_every_fate_is_known() {
        let mut fates = Fates::default();
        assert_eq!(known(&mut fates, vec![landed("a", Some("b"))], false), "");
        assert_eq!(known(&mut fates, vec![landed("b", Some("c")), landed("c", Some("x"))], true), "a+ b- c-");
    }
}
