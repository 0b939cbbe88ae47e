//! Consuming a queue: each message is worked off and then acknowledged, tried again, or parked.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection, Consumer};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backoff::backoff;
use super::log::Log;
use super::message::{Message, Outgoing};
use super::metrics::Counter;
use super::publisher::{PublishError, Publisher};

/// Further tries of a message whose failure may pass, before it is parked: about 1.5 s of pauses.
const TRIES: u32 = 4;

/// A queue to consume.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The queue.
    pub queue: String,
    /// How many messages may be in hand.
    pub prefetch: u16,
    /// How many are worked off together, and the next ones after them; none where each is for itself.
    pub(super) batch: Option<usize>,
}

impl Subscription {
    /// Messages that are there at once are worked off together, and in the queue's order: for what is short, and
    /// cheaper in numbers.
    #[must_use]
    pub fn in_batches(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), prefetch, batch: Some(prefetch.into()) }
    }

    /// Each message is begun when it comes, in whatever order they end: for what may take long.
    #[must_use]
    pub fn side_by_side(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), prefetch, batch: None }
    }
}

/// Why a message was not worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It never will be: it is parked with this reason.
    Poison(String),
    /// It may be later: it is tried again a few times, without holding up others, and then parked.
    Transient(String),
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Self {
        Self::Transient(error.to_string())
    }
}

/// What a service does with its messages.
///
/// A message is acknowledged after `Ok` only, and parked, confirmed, before a fault is acknowledged. It may
/// come again at any time, also after `Ok` (when the session ends before the acknowledgement): work must be
/// repeatable. [`Message::identity`] stays the same over the tries within one delivery.
pub trait Consume: Send + Sync + 'static {
    /// Works off one message.
    fn consume(&self, message: &Message) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Works off the messages that are there at once, in the queue's order; one result each, in that order.
    fn consume_all(&self, batch: &[Message]) -> impl Future<Output = Vec<Result<(), Fault>>> + Send {
        join_all(batch.iter().map(|message| self.consume(message)))
    }
}

/// Starts to consume.
pub(super) async fn subscribe(
    connection: &Connection,
    subscription: &Subscription,
) -> anyhow::Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(subscription.prefetch, BasicQosOptions::default()).await?;
    let queue = subscription.queue.as_str();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let deliveries = channel
        .basic_consume(queue.into(), "".into(), options, arguments)
        .await
        .with_context(|| format!("consuming queue `{queue}`"))?;
    Ok((channel, deliveries))
}

/// One queue's way to its consumer.
pub(super) struct Feed<C> {
    pub queue: Arc<str>,
    pub parking: Arc<str>,
    pub consumer: Arc<C>,
    pub publisher: Publisher,
    pub log: Log,
    pub stop: CancellationToken,
}

impl<C> Clone for Feed<C> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            parking: Arc::clone(&self.parking),
            consumer: Arc::clone(&self.consumer),
            publisher: self.publisher.clone(),
            log: self.log.clone(),
            stop: self.stop.clone(),
        }
    }
}

/// A message that failed once, and how.
type Failed = (Message, Acker, Fault);

impl<C: Consume> Feed<C> {
    /// Consumes until it is stopped, and then until nothing is in hand.
    pub async fn run(
        self,
        channel: Channel,
        deliveries: Consumer,
        batch: Option<usize>,
    ) -> anyhow::Result<()> {
        let tag = deliveries.tag();
        let mut batches = deliveries.ready_chunks(batch.unwrap_or(1));
        let mut apart = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = apart.join_next() => ended??,
                messages = batches.next() => match messages {
                    Some(messages) if batch.is_none() => drop(apart.spawn(self.clone().finish(messages))),
                    Some(messages) => for failed in self.take(messages, apart.is_empty()).await? {
                        apart.spawn(self.clone().settle(failed));
                    },
                    None => bail!("the broker cancelled the consumer of queue `{}`", self.queue),
                },
            }
        }
        channel.basic_cancel(tag, BasicCancelOptions::default()).await.context("cancelling a consumer")?;
        while let Some(ended) = apart.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Works off a batch, and acknowledges what was; the rest is returned. Where none before them is open, one
    /// acknowledgement may be for all.
    async fn take(&self, batch: Vec<lapin::Result<Delivery>>, first: bool) -> anyhow::Result<Vec<Failed>> {
        let (mut messages, mut ackers) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in batch {
            let delivery = delivery.with_context(|| format!("consuming queue `{}`", self.queue))?;
            ackers.push(delivery.acker.clone());
            messages.push(Message::new(&self.queue, delivery));
        }
        let results = self.consumer.consume_all(&messages).await;
        let (mut done, mut failed) = (Vec::with_capacity(ackers.len()), Vec::new());
        for ((message, acker), result) in messages.into_iter().zip(ackers).zip(results) {
            match result {
                Ok(()) => done.push(acker),
                Err(fault) => failed.push((message, acker, fault)),
            }
        }
        match done.last() {
            Some(last) if first && failed.is_empty() => acknowledge(last, true).await?,
            _ => drop(try_join_all(done.iter().map(|acker| acknowledge(acker, false))).await?),
        }
        self.count(Counter::CONSUMED, done.len());
        Ok(failed)
    }

    /// Brings messages to their end, whatever it takes.
    async fn finish(self, batch: Vec<lapin::Result<Delivery>>) -> anyhow::Result<()> {
        let failed = self.take(batch, false).await?;
        try_join_all(failed.into_iter().map(|failed| self.clone().settle(failed))).await.map(drop)
    }

    fn count(&self, counter: Counter, times: usize) {
        self.publisher.metrics.count(counter, &self.queue, times);
    }

    /// Brings a message that failed once to its end: worked off at a later try, or parked; or left to the
    /// broker, unacknowledged, when the service stops while it waits.
    async fn settle(self, (message, acker, mut fault): Failed) -> anyhow::Result<()> {
        for failures in 0..TRIES {
            if matches!(fault, Fault::Poison(_)) {
                break;
            }
            if timeout(backoff(failures), self.stop.cancelled()).await.is_ok() {
                return Ok(());
            }
            self.count(Counter::RETRIED, 1);
            match self.consumer.consume(&message).await {
                Ok(()) => {
                    acknowledge(&acker, false).await?;
                    self.count(Counter::CONSUMED, 1);
                    return Ok(());
                }
                Err(again) => fault = again,
            }
        }
        let (Fault::Poison(reason) | Fault::Transient(reason)) = fault;
        let parking = &self.parking;
        self.publisher
            .publish(Outgoing::parked(&message, parking, &reason))
            .await
            .with_context(|| format!("parking a message in queue `{parking}`"))?;
        self.count(Counter::PARKED, 1);
        self.log.warn("parked").about(&message).with("reason", reason).with("parking", &**parking).write();
        acknowledge(&acker, false).await
    }
}

/// Acknowledges a message, or with `multiple` also all before it that are open on its channel.
async fn acknowledge(acker: &Acker, multiple: bool) -> anyhow::Result<()> {
    let taken = acker.ack(BasicAckOptions { multiple }).await.context("acknowledging")?;
    if taken { Ok(()) } else { bail!("the channel was gone before a message could be acknowledged") }
}
