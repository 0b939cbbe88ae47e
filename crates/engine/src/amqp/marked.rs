//! Messages that carry a mark in a header: published among an application's, and found again among them.

use std::time::Duration;

use futures_util::{Stream, StreamExt, future::join_all};
use lapin::{
    BasicProperties, Confirmation,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde_json::{Map, Value};

use super::{AmqpError, Session, refused};

/// The mode of a message that a durable queue keeps on disk.
const PERSISTENT: u8 = 2;
/// Who publishes, as RabbitMQ shows it.
const PUBLISHER: &str = "fedctl";

/// What is the same of all messages that are published together.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The exchange, empty for the default one.
    pub exchange: &'a str,
    /// The routing key.
    pub key: &'a str,
    /// The body.
    pub body: &'a str,
    /// The headers besides the mark's.
    pub headers: &'a Map<String, Value>,
    /// The mark's header.
    pub header: &'a str,
    /// How long a queue keeps one that nobody consumes.
    pub expires: Duration,
}

/// How many messages a broker took, and how many of them it could not route.
#[derive(Debug, Default, Clone, Copy)]
pub struct Taken {
    pub taken: usize,
    pub unroutable: usize,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// Messages that wait for a consumer.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

impl Session {
    /// Declares a queue that only this connection sees, and that is gone with it.
    pub async fn declare_own_queue(&self, name: &str) -> Result<(), AmqpError> {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let classic = AMQPValue::LongString("classic".into());
        let arguments: FieldTable =
            std::collections::BTreeMap::from([("x-queue-type".into(), classic)]).into();
        let declared = self.channel.queue_declare(name.into(), options, arguments);
        declared.await.map(drop).map_err(refused(format!("declare queue `{name}`")))
    }

    /// How full a queue is that exists.
    pub async fn depth(&self, queue: &str) -> Result<Depth, AmqpError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        let found = declared.map_err(refused(format!("look at queue `{queue}`")))?;
        Ok(Depth { messages: found.message_count(), consumers: found.consumer_count() })
    }

    /// The marks of a queue's messages as they are delivered. Of a `shared` queue only those are acknowledged whose mark is
    /// one's own; at most so many others go back to where they were when the connection ends.
    pub async fn consume_marked<F: Fn(&str) -> bool + 'static>(
        &self,
        queue: &str,
        header: &'static str,
        shared: Option<u16>,
        is_own: F,
    ) -> Result<impl Stream<Item = String> + use<F>, AmqpError> {
        let failed = || refused(format!("consume queue `{queue}`"));
        if let Some(unacknowledged) = shared {
            let limit = self.channel.basic_qos(unacknowledged, BasicQosOptions::default());
            limit.await.map_err(failed())?;
        }
        let options = BasicConsumeOptions { no_ack: shared.is_none(), ..BasicConsumeOptions::default() };
        let consumer = self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = consumer.await.map_err(failed())?.map(Result::ok);
        let own = consumer.filter_map(move |delivery| {
            let own = delivery.and_then(|delivery| Some((mark(&delivery, header)?, delivery)));
            let own = own.filter(|(mark, _)| is_own(mark));
            async move {
                let (mark, delivery) = own?;
                if shared.is_some() {
                    delivery.ack(BasicAckOptions::default()).await.ok()?;
                }
                Some(mark)
            }
        });
        Ok(own)
    }

    /// Publishes a persistent message for each mark, and waits until the broker has confirmed or refused all.
    pub async fn publish_marked(
        &self,
        letter: &Letter<'_>,
        marks: impl Iterator<Item = String>,
    ) -> Result<Taken, AmqpError> {
        let failed = || refused("publish".to_owned());
        let mut confirms = Vec::new();
        for mark in marks {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let (exchange, key) = (letter.exchange.into(), letter.key.into());
            let (body, properties) = (letter.body.as_bytes(), letter.properties(&mark));
            let published = self.channel.basic_publish(exchange, key, options, body, properties);
            confirms.push(published.await.map_err(failed())?);
        }
        let mut taken = Taken::default();
        for confirmed in join_all(confirms).await {
            match confirmed.map_err(failed())? {
                Confirmation::Ack(returned) => {
                    taken.taken += 1;
                    taken.unroutable += usize::from(returned.is_some());
                }
                Confirmation::Nack(_) | Confirmation::NotRequested => {}
            }
        }
        Ok(taken)
    }
}

impl Letter<'_> {
    fn properties(&self, mark: &str) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in self.headers {
            headers.insert(name.as_str().into(), header_value(value));
        }
        headers.insert(self.header.into(), AMQPValue::LongString(mark.into()));
        BasicProperties::default()
            .with_headers(headers)
            .with_delivery_mode(PERSISTENT)
            .with_expiration(self.expires.as_millis().to_string().into())
            .with_message_id(mark.into())
            .with_app_id(PUBLISHER.into())
    }
}

/// A header is text, a whole number, or true or false.
fn header_value(value: &Value) -> AMQPValue {
    match value {
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => number.as_i64().map_or(AMQPValue::Void, AMQPValue::LongLongInt),
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => AMQPValue::Void,
    }
}

fn mark(delivery: &Delivery, header: &str) -> Option<String> {
    let headers = delivery.properties.headers().as_ref()?;
    if let AMQPValue::LongString(text) = headers.inner().get(header)? { Some(text.to_string()) } else { None }
}
