//! One connection to the region's broker, kept up: connect, declare, consume, and start again on any error.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::backoff;
use super::log::Log;
use super::message::{Message, Outgoing};
use super::metrics::Counter;
use super::publisher::{PublishError, Publisher};
use super::wiring::Wiring;
use crate::secret::Secret;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const FINISH_WITHIN: Duration = Duration::from_secs(5);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// A session that lived this long was a good one: the next failure is a first failure again.
const GOOD_AFTER: Duration = Duration::from_secs(2);
/// Further tries of a message whose failure may pass, before it is parked: about 1.5 s of pauses.
const TRIES: u32 = 4;
/// lapin keeps 32 frames of buffer in each direction; the broker's own 128 KiB would cost 8 MiB.
const FRAME_MAX: u32 = 16 * 1024;

/// A queue to consume.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The queue.
    pub queue: String,
    /// How many messages may be in hand; also the largest batch.
    pub prefetch: u16,
}

/// What one service wants of its session.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The connection's name, as the broker shows it.
    pub name: String,
    /// What must exist.
    pub wiring: Wiring,
    /// What is consumed.
    pub subscriptions: Vec<Subscription>,
    /// The durable queue for messages that cannot be worked off; declared too.
    pub parking: String,
    /// Seconds between heartbeats, where the URI does not say.
    pub heartbeat: u16,
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

/// Healthy, or the reason why not.
pub type Health = Result<(), String>;

/// A session with the broker.
pub struct Session {
    uri: AMQPUri,
    spec: Arc<Spec>,
    publisher: Publisher,
    health: watch::Sender<Health>,
    log: Log,
}

impl Session {
    /// Prepares a session; nothing is connected before [`Session::run`].
    ///
    /// # Errors
    /// When `uri` is no AMQP URI. The error does not show it.
    pub fn new(uri: &Secret, mut spec: Spec, publisher: Publisher, log: Log) -> anyhow::Result<Self> {
        let mut uri: AMQPUri = uri
            .expose()
            .parse()
            .map_err(|_: String| anyhow!("the AMQP URI is not valid (it is not shown)"))?;
        uri.query.heartbeat.get_or_insert(spec.heartbeat);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        spec.wiring.queues.push(spec.parking.clone());
        let health = watch::Sender::new(Err("not connected yet".to_owned()));
        Ok(Self { uri, spec: Arc::new(spec), publisher, health, log })
    }

    /// Whether all consumers are attached, and why not, as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Keeps the session up until `stop`; then finishes what is in hand, for at most 5 s, and closes.
    ///
    /// What is not finished by then stays unacknowledged, so the broker hands it out again.
    pub async fn run(self, consumer: Arc<impl Consume>, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stop.cancelled() => break,
            };
            let begun = Instant::now();
            let ended = match connected {
                Ok(connection) => self.serve(connection, &consumer, &stop).await,
                Err(error) => Err(error),
            };
            let Err(error) = ended else { break };
            if begun.elapsed() > GOOD_AFTER {
                failures = 0;
            }
            let pause = backoff(failures);
            failures += 1;
            let reason = self.shown(&error);
            self.log
                .warn("disconnected")
                .with("reason", reason.as_str())
                .with("retry_in_ms", u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
                .write();
            self.set_health(Err(reason));
            let _ = timeout(pause, stop.cancelled()).await;
        }
        self.set_health(Err("stopped".to_owned()));
    }

    fn set_health(&self, health: Health) {
        let _before = self.health.send_replace(health);
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(self.spec.name.as_str().into());
        timeout(CONNECT_WITHIN, Connection::connect_uri(self.uri.clone(), properties))
            .await
            .map_err(|_| anyhow!("no answer within {CONNECT_WITHIN:?}"))?
            .context("connecting")
    }

    async fn serve(
        &self,
        connection: Connection,
        consumer: &Arc<impl Consume>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let ended = self.work(&connection, consumer, stop).await;
        self.publisher.detach();
        let _ = timeout(CLOSE_WITHIN, connection.close(200, "OK".into())).await;
        ended
    }

    async fn work<C: Consume>(
        &self,
        connection: &Connection,
        consumer: &Arc<C>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        self.spec.wiring.declare(connection).await?;
        let mut publishers = self.publisher.attach(connection).await.context("opening channels")?;
        let mut consumers = JoinSet::new();
        for subscription in &self.spec.subscriptions {
            let feed = Feed {
                queue: subscription.queue.as_str().into(),
                spec: Arc::clone(&self.spec),
                consumer: Arc::clone(consumer),
                publisher: self.publisher.clone(),
                log: self.log.clone(),
                stop: stop.clone(),
            };
            let (channel, deliveries) = subscribe(connection, subscription).await?;
            consumers.spawn(feed.run(channel, deliveries, usize::from(subscription.prefetch)));
        }
        self.set_health(Ok(()));
        self.log.info("connected").with("broker", self.broker()).write();
        tokio::select! {
            Some(ended) = consumers.join_next() => ended??,
            Some(ended) = publishers.join_next() => ended??,
            () = stop.cancelled() => {}
        }
        let finish = async {
            while let Some(ended) = consumers.join_next().await {
                ended??;
            }
            self.publisher.detach();
            while let Some(ended) = publishers.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        };
        timeout(FINISH_WITHIN, finish).await.unwrap_or(Ok(()))
    }

    fn broker(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }

    /// The error with its causes, and without the password, whatever a broker or library put into it.
    fn shown(&self, error: &anyhow::Error) -> String {
        let text = format!("{}: {error:#}", self.broker());
        match self.uri.authority.userinfo.password.as_str() {
            "" => text,
            password => text.replace(password, "***"),
        }
    }
}

async fn subscribe(
    connection: &Connection,
    subscription: &Subscription,
) -> anyhow::Result<(Channel, lapin::Consumer)> {
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
struct Feed<C> {
    queue: Arc<str>,
    spec: Arc<Spec>,
    consumer: Arc<C>,
    publisher: Publisher,
    log: Log,
    stop: CancellationToken,
}

impl<C> Clone for Feed<C> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            spec: Arc::clone(&self.spec),
            consumer: Arc::clone(&self.consumer),
            publisher: self.publisher.clone(),
            log: self.log.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<C: Consume> Feed<C> {
    async fn run(self, channel: Channel, deliveries: lapin::Consumer, most: usize) -> anyhow::Result<()> {
        let tag = deliveries.tag();
        let mut batches = deliveries.ready_chunks(most);
        let mut late = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(settled) = late.join_next() => settled??,
                batch = batches.next() => match batch {
                    Some(batch) => self.take(batch, &mut late).await?,
                    None => bail!("the broker cancelled the consumer of queue `{}`", self.queue),
                },
            }
        }
        channel.basic_cancel(tag, BasicCancelOptions::default()).await.context("cancelling a consumer")?;
        while let Some(settled) = late.join_next().await {
            settled??;
        }
        Ok(())
    }

    async fn take(
        &self,
        batch: Vec<lapin::Result<lapin::message::Delivery>>,
        late: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let (mut messages, mut ackers) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in batch {
            let delivery = delivery.with_context(|| format!("consuming queue `{}`", self.queue))?;
            ackers.push(delivery.acker.clone());
            messages.push(Message::new(&self.queue, delivery));
        }
        let results = self.consumer.consume_all(&messages).await;
        let mut done = Vec::with_capacity(ackers.len());
        for ((message, acker), result) in messages.into_iter().zip(ackers).zip(results) {
            match result {
                Ok(()) => done.push(acker),
                Err(fault) => drop(late.spawn(self.clone().settle(message, acker, fault))),
            }
        }
        for acknowledged in join_all(done.iter().map(acknowledge)).await {
            acknowledged?;
            self.count(Counter::CONSUMED);
        }
        Ok(())
    }

    fn count(&self, counter: Counter) {
        self.publisher.metrics.count(counter, &self.queue);
    }

    /// Brings a message that failed once to its end: worked off at a later try, or parked; or left to the
    /// broker, unacknowledged, when the service stops while it waits.
    async fn settle(self, message: Message, acker: Acker, mut fault: Fault) -> anyhow::Result<()> {
        for failures in 0..TRIES {
            if matches!(fault, Fault::Poison(_)) {
                break;
            }
            if timeout(backoff(failures), self.stop.cancelled()).await.is_ok() {
                return Ok(());
            }
            self.count(Counter::RETRIED);
            match self.consumer.consume(&message).await {
                Ok(()) => {
                    acknowledge(&acker).await?;
                    self.count(Counter::CONSUMED);
                    return Ok(());
                }
                Err(again) => fault = again,
            }
        }
        let (Fault::Poison(reason) | Fault::Transient(reason)) = fault;
        let parking = &self.spec.parking;
        self.publisher
            .publish(Outgoing::parked(&message, parking, &reason))
            .await
            .with_context(|| format!("parking a message in queue `{parking}`"))?;
        self.count(Counter::PARKED);
        self.log.warn("parked").about(&message).with("reason", reason).with("parking", &**parking).write();
        acknowledge(&acker).await
    }
}

async fn acknowledge(acker: &Acker) -> anyhow::Result<()> {
    let taken = acker.ack(BasicAckOptions::default()).await.context("acknowledging")?;
    if taken { Ok(()) } else { bail!("the channel was gone before a message could be acknowledged") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::messaging::metrics::Metrics;

    fn heartbeat(uri: &str) -> Option<u16> {
        let spec = Spec {
            name: "test".to_owned(),
            wiring: Wiring::default(),
            subscriptions: Vec::new(),
            parking: "dead-letters.test".to_owned(),
            heartbeat: 30,
        };
        let log = Log::to("asia", "test", |_| {});
        let publisher = Publisher::new(log.clone(), Metrics::default());
        Session::new(&Secret::new(uri), spec, publisher, log).unwrap().uri.query.heartbeat
    }

    #[test]
    fn the_uri_has_the_last_word_on_heartbeats() {
        assert_eq!(heartbeat("amqp://broker"), Some(30));
        assert_eq!(heartbeat("amqp://broker?heartbeat=5"), Some(5));
    }
}
