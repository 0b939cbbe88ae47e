//! Consuming a queue: every message is processed and then acknowledged, retried, or dead-lettered.

mod acks;
mod retry;
mod subscription;

use std::{
    future::Future,
    iter::{self, from_fn},
    sync::Arc,
};

use anyhow::Context;
use futures_util::{FutureExt, Stream, StreamExt, future::join_all, stream::FuturesUnordered};
use lapin::{Consumer, message::Delivery, types::DeliveryTag};
use tokio::task::consume_budget;
use tokio_util::sync::CancellationToken;

use crate::{
    log::Log,
    message::Message,
    metrics::QueueCounters,
    publisher::{PublishError, Publisher},
};
use acks::AckBatcher;
pub use subscription::Subscription;
use subscription::{Attached, Mode};

/// Why a message was not processed. The text becomes the reason in the headers of its dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// It will never succeed: it is dead-lettered at once.
    #[error("{0}")]
    Permanent(String),
    /// It may succeed later: it is retried a few times, without holding up others, and then dead-lettered.
    #[error("{0}")]
    Retryable(String),
}

impl From<PublishError> for ConsumeError {
    fn from(error: PublishError) -> Self {
        Self::Retryable(error.to_string())
    }
}

/// What a service does with its messages.
///
/// A message is acknowledged only after `Ok`, or once its dead letter is confirmed. It may be redelivered at any time,
/// also after `Ok`, if the session ends before the acknowledgement: processing must be idempotent.
/// [`Message::identity`] stays the same over the retries of one delivery.
pub trait Consume: Send + Sync + 'static {
    fn consume(&self, message: &Message) -> impl Future<Output = Result<(), ConsumeError>> + Send;

    /// Processes a batch of messages, in the queue's order; one result each, in that order.
    fn consume_all(&self, batch: &[Message]) -> impl Future<Output = Vec<Result<(), ConsumeError>>> + Send {
        join_all(batch.iter().map(|message| self.consume(message)))
    }
}

/// How the processing of a message ended: with a tag to acknowledge, with none if the message is left to the broker
/// because the service stops, or with an error that has to end the session.
type Settled = anyhow::Result<Option<DeliveryTag>>;

/// The task that consumes one queue.
pub(crate) struct ConsumerTask<C> {
    pub queue: Arc<str>,
    pub dead_letter_queue: Arc<str>,
    pub consumer: Arc<C>,
    pub publisher: Publisher,
    pub counters: QueueCounters,
    pub log: Log,
    pub stop: CancellationToken,
}

impl<C: Consume> ConsumerTask<C> {
    /// Consumes until it is stopped, and then until nothing is in flight.
    pub async fn run(self, attached: Attached) -> anyhow::Result<()> {
        let Attached { channel, consumers, mode, limit } = attached;
        let tags: Vec<_> = consumers.iter().map(Consumer::tag).collect();
        let mut deliveries = subscription::merge(consumers);
        let mut acks = AckBatcher::new(channel.clone());
        let mut in_flight = FuturesUnordered::new();
        loop {
            // what is ready costs nothing of the task's budget: a full queue would starve the other tasks
            consume_budget().await;
            let settled = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(first) = in_flight.next() => with_ready(first, &mut in_flight).collect(),
                first = deliveries.next() => {
                    let first = first.with_context(|| self.cancelled())?;
                    let received = with_ready(first, &mut deliveries).take(limit);
                    let messages = received.map(|delivery| self.receive(delivery, &mut acks));
                    match mode {
                        Mode::Batched => {
                            let batch = messages.collect::<anyhow::Result<_>>()?;
                            let (settled, failed) = self.process_batch(batch, &mut in_flight).await;
                            for (message, error) in failed {
                                in_flight.push(self.retry(message.into(), error).boxed().right_future());
                            }
                            settled
                        }
                        Mode::Concurrent => {
                            for message in messages {
                                in_flight.push(self.process(message?.into()).left_future());
                            }
                            Vec::new()
                        }
                    }
                }
            };
            acks.acknowledge(settled)?;
        }
        let (cancelled, settled) = drive_while(subscription::cancel(&channel, tags), &mut in_flight).await;
        acks.acknowledge(settled)?;
        cancelled?;
        while let Some(first) = in_flight.next().await {
            acks.acknowledge(with_ready(first, &mut in_flight).collect())?;
        }
        Ok(())
    }

    fn cancelled(&self) -> String {
        format!("the broker cancelled a consumer of queue `{}`", self.queue)
    }

    fn receive(&self, delivery: lapin::Result<Delivery>, acks: &mut AckBatcher) -> anyhow::Result<Message> {
        let delivery = delivery.with_context(|| format!("consuming queue `{}`", self.queue))?;
        acks.track(delivery.delivery_tag);
        Ok(Message::new(&self.queue, delivery))
    }

    /// Processes a batch while the retries in flight continue: returns what is settled of both, and what failed.
    async fn process_batch(
        &self,
        batch: Vec<Message>,
        in_flight: &mut (impl Stream<Item = Settled> + Unpin),
    ) -> (Vec<Settled>, Vec<(Message, ConsumeError)>) {
        let (results, mut settled) = drive_while(self.consumer.consume_all(&batch), in_flight).await;
        let (mut processed, mut failed) = (0, Vec::new());
        settled.reserve(batch.len());
        for (message, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    processed += 1;
                    settled.push(Ok(Some(message.delivery_tag)));
                }
                Err(error) => failed.push((message, error)),
            }
        }
        self.counters.consumed.inc_by(processed);
        (settled, failed)
    }

    /// Processes one message, with the retries that it takes.
    async fn process(&self, message: Box<Message>) -> Settled {
        match self.attempt(&message).await {
            Ok(()) => Ok(Some(message.delivery_tag)),
            // boxed, because it is rare and large
            Err(error) => self.retry(message, error).boxed().await,
        }
    }

    async fn attempt(&self, message: &Message) -> Result<(), ConsumeError> {
        self.consumer.consume(message).await?;
        self.counters.consumed.inc();
        Ok(())
    }
}

/// `first`, and what `stream` has without waiting.
fn with_ready<S: Stream + Unpin>(first: S::Item, stream: &mut S) -> impl Iterator<Item = S::Item> {
    iter::once(first).chain(from_fn(|| stream.next().now_or_never().flatten()))
}

/// Drives `work` together with the retries in flight; returns its result and what has settled in the meantime. If the
/// retries were not polled, they would hold their places in the queue of the store or publisher that `work` waits for.
async fn drive_while<T>(
    work: impl Future<Output = T>,
    in_flight: &mut (impl Stream<Item = Settled> + Unpin),
) -> (T, Vec<Settled>) {
    tokio::pin!(work);
    let mut settled = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(one) = in_flight.next() => settled.push(one),
            done = &mut work => return (done, settled),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, future::ready, time::Duration};

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_batch_gets_through_a_line_in_which_a_retry_waits_before_it() {
        let (line, mut counter) = mpsc::channel(1);
        let send = async |tag| line.send(tag).await.map(|()| Some(tag)).map_err(anyhow::Error::from);
        let mut in_flight = FuturesUnordered::from_iter([1, 2, 3].map(&send));
        // one is through, the others wait in the line
        assert_eq!(in_flight.next().await.unwrap().unwrap(), Some(1));
        assert!(in_flight.next().now_or_never().is_none());
        let work = async { tokio::join!(send(4), async { while counter.recv().await != Some(4) {} }).0 };
        let worked = timeout(Duration::from_secs(5), drive_while(work, &mut in_flight)).await;
        let (done, settled) = worked.expect("the batch waits for ever");
        let settled: BTreeSet<_> = settled.into_iter().map(Result::unwrap).collect();
        assert_eq!((done.unwrap(), settled), (Some(4), BTreeSet::from([Some(2), Some(3)])));
    }

    #[tokio::test]
    async fn a_batch_is_processed_though_something_in_flight_fails() {
        let mut in_flight =
            FuturesUnordered::from_iter([ready(Err(anyhow::anyhow!("dead-lettering"))), ready(Ok(Some(1)))]);
        let (done, settled) = drive_while(tokio::task::yield_now(), &mut in_flight).await;
        assert_eq!((done, settled.iter().filter(|one| one.is_ok()).count(), settled.len()), ((), 1, 2));
    }
}
