//! A message as received and a message to be sent.

use std::{borrow::Cow, sync::Arc};

use lapin::{
    BasicProperties,
    message::{BasicReturnMessage, Delivery},
    types::{AMQPValue, DeliveryTag, FieldTable, LongString, ShortString},
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{consumer::ConsumeError, log::Fields};

/// Bytes that an AMQP property of type short string can hold.
const SHORT_STRING: usize = 255;
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to.";

/// A fresh identifier: a UUID of version 7, so that identifiers sort by time.
#[must_use]
pub fn fresh_id() -> String {
    Uuid::now_v7().to_string()
}

/// A received message. Its acknowledgement is the session's business.
#[derive(Debug, Clone)]
pub struct Message {
    pub queue: Arc<str>,
    /// The exchange of the last publish; empty after queue federation, which uses the default exchange.
    pub exchange: ShortString,
    /// The routing key of the last publish; see [`Message::original_routing_key`].
    pub routing_key: ShortString,
    /// Whether the broker has delivered it before.
    pub redelivered: bool,
    /// Headers included.
    pub properties: BasicProperties,
    pub body: Vec<u8>,
    pub(crate) delivery_tag: DeliveryTag,
    /// Set if the message has none of its own.
    generated_id: Option<String>,
}

impl Message {
    pub(crate) fn new(queue: &Arc<str>, delivery: Delivery) -> Self {
        Self {
            queue: Arc::clone(queue),
            exchange: delivery.exchange,
            routing_key: delivery.routing_key,
            redelivered: delivery.redelivered,
            generated_id: delivery.properties.message_id().is_none().then(fresh_id),
            properties: delivery.properties,
            body: delivery.data,
            delivery_tag: delivery.delivery_tag,
        }
    }

    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.properties.message_id().as_ref().map(ShortString::as_str)
    }

    /// The `message_id`, or else an identifier that holds for this one delivery and its retries.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.message_id().or(self.generated_id.as_deref()).unwrap_or_default()
    }

    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        self.properties.reply_to().as_ref().map(ShortString::as_str)
    }

    /// Whether its reply goes straight to a consumer, by the broker's direct reply-to: there is no queue for it, and it
    /// cannot leave that broker.
    #[must_use]
    pub fn wants_direct_reply(&self) -> bool {
        self.reply_to().is_some_and(|key| key.starts_with(DIRECT_REPLY_TO))
    }

    /// The key it was first published with: queue federation replaces the key, and keeps the first one in a header.
    #[must_use]
    pub fn original_routing_key(&self) -> Cow<'_, str> {
        match self.header("x-original-routing-key") {
            Some(AMQPValue::LongString(key)) => String::from_utf8_lossy(key.as_bytes()),
            _ => self.routing_key.as_str().into(),
        }
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// A header that holds an integer of any width.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is not an integer")]
    pub fn integer_header(&self, name: &str) -> Option<i64> {
        match *self.header(name)? {
            AMQPValue::ShortShortInt(n) => Some(n.into()),
            AMQPValue::ShortShortUInt(n) => Some(n.into()),
            AMQPValue::ShortInt(n) => Some(n.into()),
            AMQPValue::ShortUInt(n) => Some(n.into()),
            AMQPValue::LongInt(n) => Some(n.into()),
            AMQPValue::LongUInt(n) => Some(n.into()),
            AMQPValue::LongLongInt(n) => Some(n),
            _ => None,
        }
    }

    /// The brokers it came through by federation, the first one first; empty when it was published here.
    ///
    /// Exchange federation names clusters; queue federation gives only a URI, of which this is the host.
    #[must_use]
    pub fn hops(&self) -> Vec<String> {
        let Some(AMQPValue::FieldArray(hops)) = self.header("x-received-from") else { return Vec::new() };
        hops.as_slice().iter().rev().filter_map(hop).collect()
    }

    #[must_use]
    pub fn text_header(&self, name: &str) -> Option<String> {
        read_text(self.header(name)?)
    }

    /// A header that lists texts: an array, or one text with commas.
    #[must_use]
    pub fn list_header(&self, name: &str) -> Vec<String> {
        match self.header(name) {
            Some(AMQPValue::FieldArray(list)) => list.as_slice().iter().filter_map(read_text).collect(),
            Some(list) => {
                read_text(list).iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
            }
            None => Vec::new(),
        }
    }

    /// The body as JSON; [`ConsumeError::Permanent`] if it is not.
    pub fn json(&self) -> Result<Value, ConsumeError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ConsumeError::Permanent(format!("not valid JSON: {error}")))
    }
}

fn hop(entry: &AMQPValue) -> Option<String> {
    let AMQPValue::FieldTable(entry) = entry else { return None };
    let field = |name: &str| match entry.inner().get(name) {
        Some(AMQPValue::LongString(value)) => Some(text(value)),
        _ => None,
    };
    field("cluster-name").or_else(|| url::Url::parse(&field("uri")?).ok()?.host_str().map(str::to_owned))
}

fn read_text(value: &AMQPValue) -> Option<String> {
    if let AMQPValue::ShortString(value) = value {
        return Some(value.to_string());
    }
    let AMQPValue::LongString(value) = value else { return None };
    Some(text(value))
}

fn text(value: &LongString) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// A message to be sent: persistent JSON. It gets an identifier when it is published, unless it has one.
#[derive(Debug)]
pub struct Outgoing {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
    /// For the line that is logged once the broker has confirmed the message; no line when `None`.
    pub(crate) log_fields: Option<Fields>,
}

impl Outgoing {
    #[must_use]
    pub fn json(exchange: &str, routing_key: impl Into<String>, body: &impl Serialize) -> Self {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2);
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            exchange: exchange.to_owned(),
            routing_key: routing_key.into(),
            properties,
            body,
            log_fields: Some(Fields::default()),
        }
    }

    #[must_use]
    pub fn with_correlation_id(mut self, id: Option<&str>) -> Self {
        if let Some(id) = id {
            self.properties = self.properties.with_correlation_id(id.into());
        }
        self
    }

    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    /// For a message that may be sent again and must be recognised as the same.
    #[must_use]
    pub fn with_message_id(mut self, id: &str) -> Self {
        self.properties = self.properties.with_message_id(id.into());
        self
    }

    /// Makes it the reply to `request`: it has the request's correlation identifier, and an identifier that is the same
    /// however often the request is answered.
    #[must_use]
    pub fn in_reply_to(self, request: &Message) -> Self {
        self.with_correlation_id(request.correlation_id()).caused_by(request.identity(), "reply")
    }

    /// Derives the message identifier from that of the message that caused it, so that it is the same however often it is
    /// sent because of that one; `part` distinguishes several of them.
    #[must_use]
    pub fn caused_by(self, cause: &str, part: &str) -> Self {
        let id = format!("{cause}.{part}");
        if id.len() <= SHORT_STRING { self.with_message_id(&id) } else { self }
    }

    #[must_use]
    pub fn with_reply_to(mut self, key: &str) -> Self {
        self.properties = self.properties.with_reply_to(key.into());
        self
    }

    /// Whether a queue must take it. The broker delivers a direct reply to its consumer, and returns it as unroutable all
    /// the same if it is mandatory. Source: <https://www.rabbitmq.com/docs/direct-reply-to>.
    pub(crate) fn is_mandatory(&self) -> bool {
        !(self.exchange.is_empty() && self.routing_key.starts_with(DIRECT_REPLY_TO))
    }

    pub(crate) fn was_returned_as(&self, returned: &BasicReturnMessage) -> bool {
        (returned.exchange.as_str(), returned.routing_key.as_str()) == (&self.exchange, &self.routing_key)
            && returned.properties.message_id() == self.properties.message_id()
            && returned.data == self.body
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: AMQPValue) -> Self {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        headers.insert(name.into(), value);
        self.properties = self.properties.with_headers(headers);
        self
    }

    /// Adds a field to the line that is logged once the broker has confirmed the message.
    #[must_use]
    pub fn with_log_field(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.log_fields.get_or_insert_default().add(name, value);
        self
    }

    /// Replaces the fields of that line.
    #[must_use]
    pub fn with_log_fields(self, fields: Fields) -> Self {
        Self { log_fields: Some(fields), ..self }
    }

    pub(crate) fn with_own_id(self) -> Self {
        if self.properties.message_id().is_some() { self } else { self.with_message_id(&fresh_id()) }
    }

    /// `message` as it was, for the dead-letter queue, with headers that say why and from where. One that came without an
    /// identifier keeps the one under which it was tried, so that it is recognised if it is published again.
    pub(crate) fn dead_lettered(message: &Message, dead_letter_queue: &str, reason: &str) -> Self {
        let mut headers: FieldTable = message.properties.headers().clone().unwrap_or_default();
        let added = [
            ("x-parked-reason", reason),
            ("x-parked-exchange", message.exchange.as_str()),
            ("x-parked-routing-key", message.routing_key.as_str()),
            ("x-parked-queue", &message.queue),
        ];
        for (name, value) in added {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = message.properties.clone().with_headers(headers);
        Self {
            exchange: String::new(),
            routing_key: dead_letter_queue.to_owned(),
            properties: properties.with_message_id(message.identity().into()),
            body: message.body.clone(),
            log_fields: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn table(fields: &[(&str, &str)]) -> AMQPValue {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        AMQPValue::FieldTable(table)
    }

    fn received(headers: &[(&str, AMQPValue)]) -> Message {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let mut delivery = Delivery::mock(1, "".into(), "fed.q".into(), false, b"{}".to_vec());
        delivery.properties = BasicProperties::default().with_headers(table);
        Message::new(&"fed.q".into(), delivery)
    }

    #[test]
    fn hops_are_listed_oldest_first_by_cluster_or_else_by_host() {
        let from = FieldArray::from(vec![
            table(&[("cluster-name", "asia"), ("uri", "amqp://asia-broker/%2F")]),
            table(&[("uri", "amqp://europe-broker:5672/%2F")]),
        ]);
        let message = received(&[("x-received-from", AMQPValue::FieldArray(from))]);
        assert_eq!(message.hops(), ["europe-broker", "asia"]);
    }

    #[test]
    fn a_list_is_an_array_or_a_text_with_commas() {
        let long = |text: &str| AMQPValue::LongString(text.into());
        let array = AMQPValue::FieldArray(FieldArray::from(vec![long("a"), long("b"), AMQPValue::Void]));
        for list in [array, long("a,b")] {
            assert_eq!(received(&[("list", list)]).list_header("list"), ["a", "b"]);
        }
        assert!(received(&[("list", AMQPValue::Void)]).list_header("list").is_empty());
        assert!(received(&[]).list_header("list").is_empty());
    }

    #[test]
    fn a_message_federated_by_queue_knows_its_first_routing_key() {
        let key = AMQPValue::LongString("first".into());
        assert_eq!(received(&[("x-original-routing-key", key)]).original_routing_key(), "first");
        assert_eq!(received(&[]).original_routing_key(), "fed.q");
    }

    #[test]
    fn a_dead_lettered_message_is_recognised_when_it_is_published_again() {
        let message = received(&[]);
        let dead_lettered = Outgoing::dead_lettered(&message, "dead-letters", "poison");
        assert_eq!(
            dead_lettered.properties.message_id().as_ref().map(ShortString::as_str),
            Some(message.identity())
        );
    }
}
