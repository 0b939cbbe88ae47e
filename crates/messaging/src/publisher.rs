//! Publishing with confirms, from anywhere in a service, over whatever session there is.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use futures_util::{FutureExt, future::maybe_done};
use lapin::{
    Channel, Connection,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    declarations::{RESTORED_WITHIN, is_not_found},
    log::Log,
    message::Outgoing,
    metrics::Metrics,
};

/// How many messages may be in flight, and how many more may wait.
const WINDOW: usize = 64;
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// How often a message may find its exchange missing: more often, and nobody declares it.
const MISSING_EXCHANGES: u32 = 3;

/// Why a message may not be where it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// Certainly not sent.
    #[error("not connected to the broker")]
    NoSession,
    /// Certainly in no queue.
    #[error(
        "no queue is bound to exchange `{exchange}` with routing key `{routing_key}`: the broker says {reply_code} \
         {reply_text}"
    )]
    Unroutable { exchange: String, routing_key: String, reply_code: u16, reply_text: String },
    /// The session ended, or the broker refused, before there was a confirm: perhaps sent.
    #[error("the broker did not confirm the message")]
    Unconfirmed,
}

type Published = Result<(), PublishError>;

struct Job {
    message: Outgoing,
    caller: oneshot::Sender<Published>,
}

/// A confirm, and the return that came with it.
struct Confirmed {
    is_ack: bool,
    returned: Option<Box<BasicReturnMessage>>,
}

/// Publishes over the present session. Cheap to clone.
///
/// Every message is mandatory and confirmed: `Ok` means that a queue has it. A caller that is dropped does not take its
/// message back. For a direct reply, which no queue ever has, `Ok` means that the broker accepted it. While an exchange
/// that was deleted comes back, messages wait.
#[derive(Clone)]
pub struct Publisher {
    jobs: watch::Sender<Option<mpsc::Sender<Box<Job>>>>,
    held_until: watch::Sender<Instant>,
    log: Log,
    pub(crate) metrics: Metrics,
}

impl Publisher {
    /// A publisher that has no session yet.
    #[must_use]
    pub fn new(log: Log, metrics: Metrics) -> Self {
        let held_until = watch::Sender::new(Instant::now());
        Self { jobs: watch::Sender::new(None), held_until, log, metrics }
    }

    /// Publishes `message`, waits for the broker's confirm, and logs `published`.
    pub fn publish(&self, message: Outgoing) -> impl Future<Output = Published> {
        let (caller, published) = oneshot::channel();
        // made here, so that the caller's future holds a pointer and not the message
        let job = Box::new(Job { message: message.with_own_id(), caller });
        async {
            let jobs = self.jobs.borrow().clone().ok_or(PublishError::NoSession)?;
            jobs.send(job).await.map_err(|_| PublishError::NoSession)?;
            drop(jobs);
            published.await.unwrap_or(Err(PublishError::Unconfirmed))
        }
    }

    /// Starts publishing over `connection`; the task ends with an error when the session is broken.
    pub(crate) async fn attach(
        &self,
        connection: &Arc<Connection>,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
        let channel = open(connection).await?;
        let (sender, receiver) = mpsc::channel(WINDOW);
        let publishing = tokio::spawn(publish_all(Arc::clone(connection), channel, receiver, self.clone()));
        self.jobs.send_replace(Some(sender));
        Ok(publishing)
    }

    /// Accepts no more messages; the task of [`Publisher::attach`] ends when the accepted ones are confirmed.
    pub(crate) fn detach(&self) {
        self.jobs.send_replace(None);
    }

    /// Holds all messages back, because an exchange was deleted: what is published before every consumer's queue is bound
    /// again would reach only some of them, and no error would tell.
    pub(crate) fn hold(&self, error: &anyhow::Error) {
        self.held_until.send_replace(Instant::now() + RESTORED_WITHIN);
        self.log.warn("exchange_deleted").with("reason", format!("{error:#}")).write();
    }

    async fn released(&self) {
        let mut held_until = self.held_until.subscribe();
        loop {
            let until = *held_until.borrow_and_update();
            if until <= Instant::now() {
                break;
            }
            let _ = timeout_at(until, held_until.changed()).await;
        }
    }

    /// Reports what the broker has confirmed, and leaves the rest in the window; the error is why.
    #[expect(clippy::vec_box, reason = "the messages come from their channel like this")]
    fn settle(
        &self,
        window: &mut Vec<Box<Job>>,
        results: Vec<anyhow::Result<Confirmed>>,
    ) -> anyhow::Result<()> {
        let (mut jobs, mut confirmed, mut failed) = (Vec::with_capacity(window.len()), Vec::new(), Ok(()));
        let mut unsent = Vec::new();
        for (job, result) in window.drain(..).zip(results) {
            match result {
                Ok(one) => {
                    jobs.push(job);
                    confirmed.push(one);
                }
                Err(error) => {
                    // of the messages of a channel that is closed, only some are told why
                    if failed.is_ok() || is_not_found(&error) {
                        failed = Err(error);
                    }
                    unsent.push(job);
                }
            }
        }
        *window = unsent;
        let results = match_returns(&jobs, confirmed);
        for (job, published) in jobs.into_iter().zip(results) {
            self.report(*job, published);
        }
        failed
    }

    fn report(&self, Job { message, caller }: Job, published: Published) {
        match &published {
            Ok(()) => {
                log_published(&self.log, &message);
                self.metrics.count_published(message.exchange);
            }
            Err(PublishError::Unroutable { .. }) => {
                self.log
                    .warn("unroutable")
                    .with("exchange", message.exchange.as_str())
                    .with("routing_key", message.routing_key.as_str())
                    .with("correlation_id", message.correlation_id())
                    .write();
                self.metrics.count_returned(message.exchange);
            }
            Err(PublishError::NoSession | PublishError::Unconfirmed) => {}
        }
        let _ = caller.send(published);
    }
}

async fn open(connection: &Connection) -> anyhow::Result<Channel> {
    let channel = connection.create_channel().await.context("opening a channel")?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.context("opening a channel")?;
    Ok(channel)
}

/// Publishes until there are no more messages and the last is confirmed.
///
/// Messages that come while others are in flight wait until those are confirmed, and then go together: the busier the
/// service, the more messages share a write, a confirm, and the switches between threads for both.
///
/// The broker closes the channel on which something is published to an exchange that does not exist. What it has not
/// confirmed by then is published again, once the exchange is there again.
async fn publish_all(
    connection: Arc<Connection>,
    mut channel: Channel,
    mut jobs: mpsc::Receiver<Box<Job>>,
    publisher: Publisher,
) -> anyhow::Result<()> {
    let mut window = Vec::with_capacity(WINDOW);
    while jobs.recv_many(&mut window, WINDOW).await > 0 {
        let mut missing = 0;
        while !window.is_empty() {
            publisher.released().await;
            let late = |_| anyhow!("the broker did not confirm a message within {CONFIRM_WITHIN:?}");
            let results = timeout(CONFIRM_WITHIN, publish_window(&channel, &window)).await.map_err(late)?;
            let Err(error) = publisher.settle(&mut window, results) else { continue };
            missing += 1;
            if missing > MISSING_EXCHANGES || !is_not_found(&error) {
                return Err(error);
            }
            publisher.hold(&error);
            channel = open(&connection).await?;
        }
    }
    Ok(())
}

/// Sends these and waits for all their confirms.
async fn publish_window(channel: &Channel, jobs: &[Box<Job>]) -> Vec<anyhow::Result<Confirmed>> {
    let mut sending: Vec<_> =
        jobs.iter().map(|job| Box::pin(maybe_done(publish(channel, &job.message)))).collect();
    for one in &mut sending {
        one.now_or_never();
    }
    let mut results = Vec::with_capacity(sending.len());
    // the last is mostly confirmed with or after the others, so that nothing has to wake this task for them
    for one in sending.iter_mut().rev() {
        one.as_mut().await;
        results.extend(one.as_mut().take_output());
    }
    results.reverse();
    results
}

async fn publish(channel: &Channel, message: &Outgoing) -> anyhow::Result<Confirmed> {
    let options = BasicPublishOptions { mandatory: message.is_mandatory(), ..BasicPublishOptions::default() };
    let (exchange, routing_key) = (message.exchange.as_str().into(), message.routing_key.as_str().into());
    let properties = message.properties.clone();
    let sent = channel.basic_publish(exchange, routing_key, options, &message.body, properties).await;
    let confirmation = sent.context("publishing")?.await.context("waiting for a confirm")?;
    Ok(Confirmed { is_ack: confirmation.is_ack(), returned: confirmation.take_message().map(Box::new) })
}

/// The result of each message, once all are confirmed.
///
/// The broker returns a message before it confirms it, but a return has no delivery tag: lapin 4.12 hands it to
/// whichever confirm resolves next. So what comes with a confirm may be another message of the same window.
fn match_returns(jobs: &[Box<Job>], mut confirmed: Vec<Confirmed>) -> Vec<Published> {
    let mut returned: Vec<_> = confirmed.iter_mut().filter_map(|one| one.returned.take()).collect();
    let mut result =
        |job: &Job, is_ack| match returned.iter().position(|one| job.message.was_returned_as(one)) {
            Some(at) => Err(unroutable(&job.message, &returned.swap_remove(at))),
            None if is_ack => Ok(()),
            None => Err(PublishError::Unconfirmed),
        };
    jobs.iter().zip(confirmed).map(|(job, confirmed)| result(job, confirmed.is_ack)).collect()
}

fn unroutable(message: &Outgoing, returned: &BasicReturnMessage) -> PublishError {
    PublishError::Unroutable {
        exchange: message.exchange.clone(),
        routing_key: message.routing_key.clone(),
        reply_code: returned.reply_code,
        reply_text: returned.reply_text.to_string(),
    }
}

fn log_published(log: &Log, message: &Outgoing) {
    let Some(fields) = &message.log_fields else { return };
    let mut line = log.info("published").with_fields(fields);
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
    line.with("exchange", message.exchange.as_str())
        .with("routing_key", message.routing_key.as_str())
        .write();
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, message::Delivery};

    use super::*;

    /// A message with this identifier, acknowledged; with its confirm came the return of the one named.
    fn confirmed(id: &str, returned: Option<&str>) -> (Box<Job>, Confirmed) {
        let returned = returned.map(|id| {
            let mut delivery = Delivery::mock(0, "".into(), "key".into(), false, b"null".to_vec());
            delivery.properties = BasicProperties::default().with_message_id(id.into());
            Box::new(BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() })
        });
        let message = Outgoing::json("", "key", &()).with_message_id(id);
        (Box::new(Job { message, caller: oneshot::channel().0 }), Confirmed { is_ack: true, returned })
    }

    /// Identifiers with `+` for a message that is in a queue and `-` for one that is in none.
    fn summary(window: Vec<(Box<Job>, Confirmed)>) -> String {
        let (jobs, confirmed): (Vec<_>, Vec<_>) = window.into_iter().unzip();
        let summary: Vec<String> = jobs
            .iter()
            .zip(match_returns(&jobs, confirmed))
            .map(|(job, result)| {
                let id = job.message.properties.message_id().as_ref().map(ToString::to_string);
                format!("{}{}", id.unwrap_or_default(), if result.is_ok() { '+' } else { '-' })
            })
            .collect();
        summary.join(" ")
    }

    #[test]
    fn a_return_is_reported_for_its_own_message_whichever_confirm_it_came_with() {
        assert_eq!(summary(vec![confirmed("a", None), confirmed("b", Some("b"))]), "a+ b-");
        let others = vec![confirmed("a", Some("b")), confirmed("b", Some("c")), confirmed("c", None)];
        assert_eq!(summary(others), "a+ b- c-");
        assert_eq!(summary(vec![confirmed("a", Some("x"))]), "a+", "a message that was not sent here");
    }

    #[test]
    fn what_the_broker_refuses_is_not_in_a_queue() {
        let (job, _) = confirmed("a", None);
        let refused = Confirmed { is_ack: false, returned: None };
        assert_eq!(summary(vec![(job, refused), confirmed("b", None)]), "a- b+");
    }
}
