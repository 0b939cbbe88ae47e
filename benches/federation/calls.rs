//! Messages that are answered: a call by its reply, a command by its answer, an order by its result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fedctl_messaging::{Declarations, fresh_id as fresh_message};
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{
        BasicConsumeOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use serde_json::Value;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    events::{persistent, send},
    region::{Region, fresh_id, until},
};

/// Longer than any load waits for one of its answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an answer may take before links and bindings are known everywhere.
const FIRST: Duration = Duration::from_secs(1);

/// What is asked in a region, and what the answer is.
pub struct Ask {
    pub exchange: &'static str,
    pub key: String,
    pub body: fn(&str) -> Value,
    /// What must exist in the region to ask.
    pub declarations: Declarations,
    pub answers: Answers,
    /// Whether an answer, of which this is the key and the body, is the wanted one.
    pub good: fn(&str, &Value) -> bool,
}

/// Where answers come.
pub enum Answers {
    /// In a queue, which is named as the address to answer to.
    Queue(String),
    /// As events of the same exchange, with a key of this pattern.
    Events(&'static str),
}

/// Asks, and knows answers by their correlation identifier.
pub struct Caller {
    connection: Connection,
    channel: Channel,
    ask: Ask,
    pending: Pending,
}

type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Delivery>>>>;

/// The result of a load of calls.
pub struct CallLoad {
    /// Answers a second.
    pub rate: f64,
    /// How long each one took.
    pub times: Vec<Duration>,
}

impl Caller {
    /// Connects, and waits until an answer arrives.
    pub async fn open(region: &Region, ask: Ask) -> Result<Self> {
        let connection = region.connect().await?;
        let channel = connection.create_channel().await?;
        declare(&channel, &ask.declarations).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let consuming = connection.create_channel().await?;
        let deliveries = consume(&consuming, &ask).await?;
        let pending = Pending::default();
        tokio::spawn(hand_out(consuming, deliveries, Arc::clone(&pending)));
        let caller = Self { connection, channel, ask, pending };
        let answered = async || {
            let took = timeout(FIRST, caller.once(None)).await;
            took.context("no answer within a second")?.map(|_| true)
        };
        let answers = until(Duration::from_millis(100), answered).await;
        answers.with_context(|| format!("asking `{}` in region `{}`", caller.ask.key, region.name()))?;
        Ok(caller)
    }

    /// Sends this many calls, `outstanding` at once, and a poison message before every so many of them.
    pub async fn load(&self, calls: usize, outstanding: usize, poison: Option<usize>) -> Result<CallLoad> {
        let started = Instant::now();
        let poisoned = |call: usize| poison.is_some_and(|every| call.is_multiple_of(every));
        let asked = stream::iter(0..calls).map(|call| self.once(poisoned(call).then_some(b"{not json")));
        let times: Vec<Duration> = asked.buffer_unordered(outstanding).try_collect().await?;
        Ok(CallLoad { rate: f64::from(u32::try_from(calls)?) / started.elapsed().as_secs_f64(), times })
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close(200, "OK".into()).await?)
    }

    /// From the publish to the answer.
    async fn once(&self, poison: Option<&[u8; 9]>) -> Result<Duration> {
        let Ask { exchange, key, body, good, .. } = &self.ask;
        if let Some(poison) = poison {
            send(&self.channel, exchange, key, persistent(&fresh_message()), poison).await?;
        }
        let id = fresh_message();
        let mut properties = persistent(&id);
        if let Answers::Queue(queue) = &self.ask.answers {
            properties = properties.with_reply_to(queue.as_str().into());
        }
        let (sender, answer) = oneshot::channel();
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), sender);
        let body = body(&id).to_string();
        let started = Instant::now();
        let sent = send(&self.channel, exchange, key, properties, body.as_bytes());
        let answered = async {
            let answer = timeout(PATIENCE, answer).await.with_context(|| format!("no answer to `{key}`"))?;
            Ok((answer.context("the consumer of answers has ended")?, started.elapsed()))
        };
        let ((), (answer, took)) = try_join(sent, answered).await?;
        let read: Value = serde_json::from_slice(&answer.data)?;
        if !good(answer.routing_key.as_str(), &read) {
            bail!("`{key}` was answered by `{}`: {read}", answer.routing_key);
        }
        Ok(took)
    }
}

/// Passes every answer to its caller; keeps the channel open meanwhile.
async fn hand_out(_channel: Channel, mut deliveries: Consumer, pending: Pending) {
    while let Some(Ok(delivery)) = deliveries.next().await {
        let id = delivery.properties.correlation_id().as_ref().map(lapin::types::ShortString::as_str);
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = id.and_then(|id| pending.remove(id)) {
            waits.send(delivery).ok();
        }
    }
    // callers that still wait get an error
    pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

async fn consume(channel: &Channel, ask: &Ask) -> Result<Consumer> {
    let queue = match &ask.answers {
        Answers::Queue(queue) => queue.clone(),
        Answers::Events(pattern) => {
            let queue = format!("bench.{}", fresh_id());
            let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.as_str().into(), own, FieldTable::default()).await?;
            bind(channel, &queue, ask.exchange, pattern).await?;
            queue
        }
    };
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default()).await?)
}

/// As services declare it.
async fn declare(channel: &Channel, declarations: &Declarations) -> Result<()> {
    for exchange in &declarations.exchanges {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let name = exchange.name.as_str().into();
        channel.exchange_declare(name, exchange.kind.clone(), options, FieldTable::default()).await?;
    }
    for queue in &declarations.queues {
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
    }
    for binding in &declarations.bindings {
        bind(channel, &binding.queue, &binding.exchange, &binding.key).await?;
    }
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<()> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    Ok(channel.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments).await?)
}
