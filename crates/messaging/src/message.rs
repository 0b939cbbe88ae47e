//! A message as received and a message to be sent.

use std::borrow::Cow;
use std::sync::Arc;

use lapin::BasicProperties;
use lapin::message::BasicReturnMessage;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::consumer::ConsumeError;
use super::log::Fields;

/// Bytes that an AMQP property of type short string can hold.
const SHORT_STRING: usize = 255;
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to.";

/// A fresh identifier: a UUID of version 7, so that identifiers sort by time.
#[must_use]
pub fn fresh_id() -> String {
    Uuid::now_v7().to_string()
}

/// A received message, apart from its acknowledgement, which is the session's business.
#[derive(Debug, Clone)]
pub struct Message {
    /// The queue it came from.
    pub queue: Arc<str>,
    /// The exchange of the last publish; empty after queue federation, which uses the default exchange.
    pub exchange: ShortString,
    /// The routing key of the last publish.
    pub key: ShortString,
    /// Whether the broker has handed it out before.
    pub redelivered: bool,
    /// Its properties, headers included.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Vec<u8>,
    /// Its identifier where it came without one.
    given: Option<String>,
}

impl Message {
    pub(super) fn new(queue: &Arc<str>, delivery: lapin::message::Delivery) -> Self {
        Self {
            queue: Arc::clone(queue),
            exchange: delivery.exchange,
            key: delivery.routing_key,
            redelivered: delivery.redelivered,
            given: delivery.properties.message_id().is_none().then(fresh_id),
            properties: delivery.properties,
            body: delivery.data,
        }
    }

    /// The `message_id` property.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.properties.message_id().as_ref().map(ShortString::as_str)
    }

    /// The `message_id`, or else an identifier that holds for this one delivery and its retries here.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.message_id().or(self.given.as_deref()).unwrap_or_default()
    }

    /// The `correlation_id` property.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    /// The `reply_to` property.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        self.properties.reply_to().as_ref().map(ShortString::as_str)
    }

    /// Whether its answer goes straight to a consumer, by the broker's direct reply-to: there is no queue for it,
    /// and no way out of that broker.
    #[must_use]
    pub fn wants_direct_reply(&self) -> bool {
        self.reply_to().is_some_and(|key| key.starts_with(DIRECT_REPLY_TO))
    }

    /// The key it was first published with: queue federation replaces the key and keeps the first in a header.
    #[must_use]
    pub fn original_routing_key(&self) -> Cow<'_, str> {
        match self.header("x-original-routing-key") {
            Some(AMQPValue::LongString(key)) => String::from_utf8_lossy(key.as_bytes()),
            _ => self.key.as_str().into(),
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// A header that holds an integer of any width.
    #[must_use]
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

    /// The regions it came through by federation, the first one first; empty when it was published here.
    ///
    /// Exchange federation names clusters; queue federation only gives a URI, of which this is the host.
    #[must_use]
    pub fn hops(&self) -> Vec<String> {
        let Some(AMQPValue::FieldArray(hops)) = self.header("x-received-from") else { return Vec::new() };
        hops.as_slice().iter().rev().filter_map(hop).collect()
    }

    /// A header that holds text.
    #[must_use]
    pub fn text_header(&self, name: &str) -> Option<String> {
        read_text(self.header(name)?)
    }

    /// A header that lists texts: an array, or one text with commas between them.
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

    /// The body as JSON.
    ///
    /// # Errors
    /// [`ConsumeError::Permanent`] when it is none.
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
    match value {
        AMQPValue::LongString(value) => Some(text(value)),
        AMQPValue::ShortString(value) => Some(value.to_string()),
        _ => None,
    }
}

fn text(value: &LongString) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// A message to be sent: persistent JSON. One without an identifier gets one of its own when it is published.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
    /// Fields for the line that is logged once the broker has confirmed it; no line when `None`.
    pub(super) notes: Option<Fields>,
}

impl Outgoing {
    /// A message with `body` as JSON for `exchange` and routing key `key`.
    #[must_use]
    pub fn json(exchange: &str, key: impl Into<String>, body: &impl Serialize) -> Self {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2);
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            exchange: exchange.to_owned(),
            key: key.into(),
            properties,
            body,
            notes: Some(Fields::default()),
        }
    }

    /// Sets the correlation identifier.
    #[must_use]
    pub fn with_correlation_id(mut self, id: Option<&str>) -> Self {
        if let Some(id) = id {
            self.properties = self.properties.with_correlation_id(id.into());
        }
        self
    }

    /// The correlation identifier.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    /// Sets the message identifier, for a message that may be sent again and must be known as the same.
    #[must_use]
    pub fn with_message_id(mut self, id: &str) -> Self {
        self.properties = self.properties.with_message_id(id.into());
        self
    }

    /// Makes it the answer to `request`: it has the request's correlation identifier, and an identifier that is
    /// the same however often the request is answered.
    #[must_use]
    pub fn in_reply_to(self, request: &Message) -> Self {
        self.with_correlation_id(request.correlation_id()).caused_by(request.identity(), "reply")
    }

    /// Sets the message identifier to one that follows from the message of identifier `cause`, so that it is
    /// the same however often it is sent because of that one; `part` keeps apart what several send.
    #[must_use]
    pub fn caused_by(self, cause: &str, part: &str) -> Self {
        let id = format!("{cause}.{part}");
        if id.len() <= SHORT_STRING { self.with_message_id(&id) } else { self }
    }

    /// Sets `reply_to`.
    #[must_use]
    pub fn with_reply_to(mut self, key: &str) -> Self {
        self.properties = self.properties.with_reply_to(key.into());
        self
    }

    /// Whether a queue must take it. The broker hands a direct reply to who waits for it, and yet returns it, as
    /// unroutable, where it is mandatory. Source: <https://www.rabbitmq.com/docs/direct-reply-to>.
    pub(super) fn is_mandatory(&self) -> bool {
        !(self.exchange.is_empty() && self.key.starts_with(DIRECT_REPLY_TO))
    }

    /// Whether it is this that the broker gave back.
    pub(super) fn is(&self, returned: &BasicReturnMessage) -> bool {
        (returned.exchange.as_str(), returned.routing_key.as_str()) == (&self.exchange, &self.key)
            && returned.properties.message_id() == self.properties.message_id()
            && returned.data == self.body
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: AMQPValue) -> Self {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        headers.insert(name.into(), value);
        self.properties = self.properties.with_headers(headers);
        self
    }

    /// Adds a field to the line that is logged when the broker has confirmed the message.
    #[must_use]
    pub fn with_log_field(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.notes.get_or_insert_default().add(name, value);
        self
    }

    /// These are the fields of that line, and no others.
    #[must_use]
    pub fn with_log_fields(self, notes: Fields) -> Self {
        Self { notes: Some(notes), ..self }
    }

    /// Gives it an identifier of its own where it has none.
    pub(super) fn with_own_id(self) -> Self {
        if self.properties.message_id().is_some() { self } else { self.with_message_id(&fresh_id()) }
    }

    /// `message` for the dead-letter queue: as it was, with headers that say why and from where. One that came without an
    /// identifier keeps the one under which it was tried, so that it is known when somebody sends it once more.
    pub(super) fn dead_lettered(message: &Message, dead_letter_queue: &str, reason: &str) -> Self {
        let mut headers: FieldTable = message.properties.headers().clone().unwrap_or_default();
        let said = [
            ("x-parked-reason", reason),
            ("x-parked-exchange", message.exchange.as_str()),
            ("x-parked-routing-key", message.key.as_str()),
            ("x-parked-queue", &message.queue),
        ];
        for (name, value) in said {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        Self {
            exchange: String::new(),
            key: dead_letter_queue.to_owned(),
            properties: message
                .properties
                .clone()
                .with_headers(headers)
                .with_message_id(message.identity().into()),
            body: message.body.clone(),
            notes: None,
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
        let mut delivery =
            lapin::message::Delivery::mock(1, "".into(), "fed.q".into(), false, b"{}".to_vec());
        delivery.properties = BasicProperties::default().with_headers(table);
        Message::new(&"fed.q".into(), delivery)
    }

    #[test]
    fn hops_are_told_oldest_first_by_cluster_or_else_by_host() {
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
    fn a_federated_queue_message_tells_its_first_routing_key() {
        let key = AMQPValue::LongString("order_product".into());
        assert_eq!(received(&[("x-original-routing-key", key)]).original_routing_key(), "order_product");
        assert_eq!(received(&[]).original_routing_key(), "fed.q");
    }

    #[test]
    fn a_dead_lettered_message_is_known_when_it_is_sent_once_more() {
        let message = received(&[]);
        let dead_lettered = Outgoing::dead_lettered(&message, "dead-letters", "poison");
        assert_eq!(
            dead_lettered.properties.message_id().as_ref().map(ShortString::as_str),
            Some(message.identity())
        );
    }
}
