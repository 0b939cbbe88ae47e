//! Consuming a queue: each message is worked off and then acknowledged, tried again, or parked.

use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::iter::{self, from_fn};
use std::num::NonZeroU16;
use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, once, select_all};
use futures_util::{FutureExt, Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{DeliveryTag, FieldTable};
use lapin::{Channel, Connection, Consumer};
use tokio::task::consume_budget;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backoff::backoff;
use super::log::Log;
use super::message::{Message, Outgoing};
use super::metrics::Counter;
use super::publisher::{PublishError, Publisher};

/// Retries of a message before it is dead-lettered: about 1.3 s of pauses on average.
const TRIES: u32 = 7;

/// A queue to consume.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The queue.
    pub queue: String,
    /// How many consumers of it there are.
    pub consumers: u16,
    /// How many messages each of them may have in hand.
    pub prefetch: u16,
    /// How many are worked off together, and the next ones after them; none where each is for itself.
    pub(super) batch: Option<usize>,
}

impl Subscription {
    /// Messages that are there at once are worked off together, and in the queue's order: for what is short, and
    /// cheaper in numbers.
    #[must_use]
    pub fn in_batches(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), consumers: 1, prefetch, batch: Some(prefetch.into()) }
    }

    /// Each message is begun when it comes, in whatever order they end: for what may take long.
    #[must_use]
    pub fn side_by_side(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), consumers: 1, prefetch, batch: None }
    }

    /// Side by side, and the broker counts `workers` consumers with one message in hand each.
    #[must_use]
    pub fn by_workers(queue: impl Into<String>, workers: NonZeroU16) -> Self {
        Self { consumers: workers.get(), ..Self::side_by_side(queue, 1) }
    }
}

/// Why a message was not worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumeError {
    /// It never will be: it is parked with this reason.
    Permanent(String),
    /// It may be later: it is tried again a few times, without holding up others, and then parked.
    Retryable(String),
}

impl From<PublishError> for ConsumeError {
    fn from(error: PublishError) -> Self {
        Self::Retryable(error.to_string())
    }
}

/// What a service does with its messages.
///
/// A message is acknowledged after `Ok` only, and parked, confirmed, before a fault is acknowledged. It may
/// come again at any time, also after `Ok` (when the session ends before the acknowledgement): work must be
/// repeatable. [`Message::identity`] stays the same over the tries within one delivery.
pub trait Consume: Send + Sync + 'static {
    /// Works off one message.
    fn consume(&self, message: &Message) -> impl Future<Output = Result<(), ConsumeError>> + Send;

    /// Works off the messages that are there at once, in the queue's order; one result each, in that order.
    fn consume_all(&self, batch: &[Message]) -> impl Future<Output = Vec<Result<(), ConsumeError>>> + Send {
        join_all(batch.iter().map(|message| self.consume(message)))
    }
}

/// Starts to consume.
pub(super) async fn subscribe(
    connection: &Connection,
    subscription: &Subscription,
) -> anyhow::Result<(Channel, Vec<Consumer>)> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(subscription.prefetch, BasicQosOptions::default()).await?;
    let queue = subscription.queue.as_str();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consume = |_| channel.basic_consume(queue.into(), "".into(), options, arguments.clone());
    let consumers = try_join_all((0..subscription.consumers).map(consume)).await;
    let consumers = consumers.with_context(|| format!("consuming queue `{queue}`"))?;
    Ok((channel, consumers))
}

/// How a message came to its end: what to acknowledge, none where it is left to the broker since the service stops, or
/// why the session has to end.
type Settled = anyhow::Result<Option<DeliveryTag>>;

/// One queue's way to its consumer.
pub(super) struct ConsumerTask<C> {
    pub queue: Arc<str>,
    pub dead_letter_queue: Arc<str>,
    pub consumer: Arc<C>,
    pub publisher: Publisher,
    pub log: Log,
    pub stop: CancellationToken,
}

impl<C: Consume> ConsumerTask<C> {
    /// Consumes until it is stopped, and then until nothing is in hand.
    pub async fn run(
        self,
        channel: Channel,
        consumers: Vec<Consumer>,
        subscription: Subscription,
    ) -> anyhow::Result<()> {
        let Subscription { prefetch, batch, .. } = subscription;
        let tags: Vec<_> = consumers.iter().map(Consumer::tag).collect();
        let most = batch.unwrap_or(usize::from(prefetch) * consumers.len());
        let with_its_end = |consumer: Consumer| consumer.map(Some).chain(once(ready(None)));
        // ends with the first of them
        let deliveries = select_all(consumers.into_iter().map(with_its_end)).scan((), |(), one| ready(one));
        tokio::pin!(deliveries);
        let (feed, mut apart) = (&self, FuturesUnordered::new());
        let mut hand = AckBatcher { channel, open: UnackedTags::default() };
        loop {
            // what is there at once spends nothing of the task's budget: else a full queue lets nobody have a turn
            consume_budget().await;
            let ended = tokio::select! {
                biased;
                () = feed.stop.cancelled() => break,
                Some(ended) = apart.next() => all_ended(ended, &mut apart),
                first = deliveries.next() => {
                    let Some(first) = first else {
                        bail!("the broker cancelled a consumer of queue `{}`", feed.queue);
                    };
                    let further = from_fn(|| deliveries.next().now_or_never().flatten());
                    let at_once = iter::once(first).chain(further).take(most);
                    let taken = at_once.map(|delivery| feed.take(delivery, &mut hand.open));
                    if batch.is_some() {
                        let work = feed.process(taken.collect::<Result<_, _>>()?);
                        let ((done, failed), mut ended) = drive_while(work, &mut apart).await;
                        for (tag, message, fault) in failed {
                            apart.push(feed.finish(tag, Box::new(message), Some(fault)));
                        }
                        ended.extend(done.into_iter().map(|tag| Ok(Some(tag))));
                        ended
                    } else {
                        for taken in taken {
                            let (tag, message) = taken?;
                            apart.push(feed.finish(tag, Box::new(message), None));
                        }
                        Vec::new()
                    }
                }
            };
            hand.acknowledge(ended)?;
        }
        let cancel = |tag| hand.channel.basic_cancel(tag, BasicCancelOptions::default());
        let cancelling = try_join_all(tags.into_iter().map(cancel));
        let (cancelled, ended) = drive_while(cancelling, &mut apart).await;
        hand.acknowledge(ended)?;
        cancelled.context("cancelling a consumer")?;
        while let Some(ended) = apart.next().await {
            hand.acknowledge(all_ended(ended, &mut apart))?;
        }
        Ok(())
    }

    fn take(
        &self,
        delivery: lapin::Result<Delivery>,
        open: &mut UnackedTags,
    ) -> anyhow::Result<(DeliveryTag, Message)> {
        let delivery = delivery.with_context(|| format!("consuming queue `{}`", self.queue))?;
        let tag = delivery.delivery_tag;
        open.take(tag);
        Ok((tag, Message::new(&self.queue, delivery)))
    }

    /// Works off a batch: gives what is done, and what failed.
    async fn process(
        &self,
        taken: Vec<(DeliveryTag, Message)>,
    ) -> (Vec<DeliveryTag>, Vec<(DeliveryTag, Message, ConsumeError)>) {
        let (tags, messages): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
        let results = self.consumer.consume_all(&messages).await;
        let (mut done, mut failed) = (Vec::with_capacity(tags.len()), Vec::new());
        for ((tag, message), result) in tags.into_iter().zip(messages).zip(results) {
            match result {
                Ok(()) => done.push(tag),
                Err(fault) => failed.push((tag, message, fault)),
            }
        }
        self.count(Counter::CONSUMED, done.len());
        (done, failed)
    }

    /// Brings a message to its end, whatever it takes; with its first fault where it was tried before.
    async fn finish(&self, tag: DeliveryTag, message: Box<Message>, fault: Option<ConsumeError>) -> Settled {
        let tried = match fault {
            Some(fault) => Err(fault),
            None => self.consumer.consume(&message).await,
        };
        match tried {
            Ok(()) => {
                self.count(Counter::CONSUMED, 1);
                Ok(Some(tag))
            }
            // rare, and large
            Err(fault) => Box::pin(self.settle(tag, message, fault)).await,
        }
    }

    /// Brings a message that failed once to its end: worked off at a later try, or parked.
    async fn settle(&self, tag: DeliveryTag, message: Box<Message>, mut fault: ConsumeError) -> Settled {
        for failures in 0..TRIES {
            if matches!(fault, ConsumeError::Permanent(_)) {
                break;
            }
            if timeout(backoff(failures), self.stop.cancelled()).await.is_ok() {
                return Ok(None);
            }
            self.count(Counter::RETRIED, 1);
            match self.consumer.consume(&message).await {
                Ok(()) => {
                    self.count(Counter::CONSUMED, 1);
                    return Ok(Some(tag));
                }
                Err(again) => fault = again,
            }
        }
        let (ConsumeError::Permanent(reason) | ConsumeError::Retryable(reason)) = fault;
        let dead_letter_queue = &self.dead_letter_queue;
        self.publisher
            .publish(Outgoing::dead_lettered(&message, dead_letter_queue, &reason))
            .await
            .with_context(|| format!("dead-lettering a message to queue `{dead_letter_queue}`"))?;
        self.count(Counter::DEAD_LETTERED, 1);
        self.log
            .warn("dead_lettered")
            .with_message(&message)
            .with("reason", reason)
            .with("dead_letter_queue", &**dead_letter_queue)
            .write();
        Ok(Some(tag))
    }

    fn count(&self, counter: Counter, times: usize) {
        self.publisher.metrics.count(counter, &self.queue, times);
    }
}

/// Does `work` while what is apart goes on, and gives with it what of that has ended. What is apart may hold places in a
/// line, for the store or the publisher, that `work` stands in too: left alone meanwhile, it would never give them back.
async fn drive_while<T>(
    work: impl Future<Output = T>,
    apart: &mut (impl Stream<Item = Settled> + Unpin),
) -> (T, Vec<Settled>) {
    tokio::pin!(work);
    let mut ended = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(one) = apart.next() => ended.push(one),
            done = &mut work => return (done, ended),
        }
    }
}

/// What has ended until now, this one first.
fn all_ended(first: Settled, apart: &mut (impl Stream<Item = Settled> + Unpin)) -> Vec<Settled> {
    iter::once(first).chain(from_fn(|| apart.next().now_or_never().flatten())).collect()
}

/// A channel and its messages that are not acknowledged.
struct AckBatcher {
    channel: Channel,
    open: UnackedTags,
}

impl AckBatcher {
    /// Acknowledges these: as many as can be with one acknowledgement, each of the others with its own. They are on
    /// their way then; where they cannot be sent the connection ends, and with it the deliveries. Gives the first
    /// error of one that has not come to its end.
    fn acknowledge(&mut self, ended: Vec<Settled>) -> anyhow::Result<()> {
        let (mut done, mut failed) = (Vec::with_capacity(ended.len()), Ok(()));
        for one in ended {
            match one {
                Ok(tag) => done.extend(tag),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        let (together, apart) = self.open.release(done);
        let together = together.map(|tag| (tag, true));
        for (tag, multiple) in together.into_iter().chain(apart.into_iter().map(|tag| (tag, false))) {
            let sent = self.channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
            sent.transpose().context("acknowledging")?;
        }
        failed
    }
}

/// The deliveries of a channel that are not acknowledged.
///
/// The broker counts what it delivers on a channel, but what goes to one consumer may be taken before what went to
/// another: what was counted and is not taken yet is open too.
#[derive(Default)]
struct UnackedTags {
    tags: BTreeSet<DeliveryTag>,
    last: DeliveryTag,
}

impl UnackedTags {
    fn take(&mut self, tag: DeliveryTag) {
        self.tags.extend(self.last + 1..=tag);
        self.last = self.last.max(tag);
    }

    /// Takes out what has ended: the last one that came before all that are still open, and those after it.
    fn release(&mut self, ended: Vec<DeliveryTag>) -> (Option<DeliveryTag>, BTreeSet<DeliveryTag>) {
        let mut ended = BTreeSet::from_iter(ended);
        for tag in &ended {
            self.tags.remove(tag);
        }
        let apart = self.tags.first().map(|oldest| ended.split_off(oldest)).unwrap_or_default();
        (ended.pop_last(), apart)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_batch_gets_through_a_line_in_which_what_is_tried_again_stands_before_it() {
        let (line, mut counter) = mpsc::channel(1);
        let send = async |tag| line.send(tag).await.map(|()| Some(tag)).map_err(anyhow::Error::from);
        let mut apart = FuturesUnordered::from_iter([1, 2, 3].map(&send));
        // one is through, the others stand in the line
        assert_eq!(apart.next().await.unwrap().unwrap(), Some(1));
        assert!(apart.next().now_or_never().is_none());
        let work = async { tokio::join!(send(4), async { while counter.recv().await != Some(4) {} }).0 };
        let worked = timeout(Duration::from_secs(5), drive_while(work, &mut apart)).await;
        let (done, ended) = worked.expect("the batch waits for ever");
        let ended: BTreeSet<_> = ended.into_iter().map(Result::unwrap).collect();
        assert_eq!((done.unwrap(), ended), (Some(4), BTreeSet::from([Some(2), Some(3)])));
    }

    #[tokio::test]
    async fn a_batch_is_worked_off_though_something_beside_it_fails() {
        let mut apart =
            FuturesUnordered::from_iter([ready(Err(anyhow::anyhow!("dead-lettering"))), ready(Ok(Some(1)))]);
        let (done, ended) = drive_while(tokio::task::yield_now(), &mut apart).await;
        assert_eq!((done, ended.iter().filter(|one| one.is_ok()).count(), ended.len()), ((), 1, 2));
    }

    #[test]
    fn one_acknowledgement_is_never_for_a_message_that_is_still_in_hand() {
        let mut open = UnackedTags::default();
        (1..=6).for_each(|tag| open.take(tag));
        for (ended, together, apart) in [
            (vec![3, 2], None, vec![2, 3]),
            (vec![5, 1], Some(1), vec![5]),
            (vec![], None, vec![]),
            (vec![6, 4], Some(6), vec![]),
        ] {
            let released = open.release(ended.clone());
            assert_eq!(released, (together, BTreeSet::from_iter(apart)), "{ended:?}");
        }
    }

    #[test]
    fn one_acknowledgement_is_never_for_a_message_that_another_consumer_has_yet_to_take() {
        let mut open = UnackedTags::default();
        open.take(2);
        open.take(4);
        assert_eq!(open.release(vec![2]), (None, BTreeSet::from([2])));
        open.take(1);
        assert_eq!(open.release(vec![1, 4]), (Some(1), BTreeSet::from([4])));
        open.take(3);
        assert_eq!(open.release(vec![3]), (Some(3), BTreeSet::new()));
    }
}
