//! What the chain's services share: a message's effect once, and the event that follows from it.

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::order::Order;
use crate::process::Process;
use fedctl_contract::checkout::EVENTS;
use fedctl_contract::log::{event, field};
use fedctl_messaging::{
    ConsumeError, Fields, Log, Message, Outgoing, Publisher, Store, StoreError, fresh_id, mark_processed,
    processed_outcome,
};

/// The consumer's name in its store: each service of the chain has a file and one queue of its own.
const CONSUMER: &str = "chain";

/// An event that follows from a message: the same, identifier included, however often the message comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    message_id: String,
    key: String,
    body: Map<String, Value>,
}

impl Event {
    /// An event about `order`.
    #[must_use]
    pub fn about(order: &Order, key: &str) -> Self {
        Self { message_id: fresh_id(), key: key.to_owned(), body: order.body() }
    }

    /// Adds a field to the body.
    #[must_use]
    pub fn with_field(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body.insert(field.to_owned(), value.into());
        self
    }
}

/// What a service of the chain works with. Cheap to clone.
#[derive(Clone)]
pub struct ChainContext {
    /// What it keeps.
    pub store: Store,
    /// Where its events go.
    pub publisher: Publisher,
    pub log: Log,
}

impl ChainContext {
    /// Opens the store `file` of a program's region.
    pub(super) async fn open(process: &Process, file: &str, tables: &'static str) -> anyhow::Result<Self> {
        let store = Store::open(process.settings.store.join(file), tables).await?;
        Ok(Self { store, publisher: process.publisher.clone(), log: process.log.clone() })
    }

    /// Does the work that a message asks for, unless it was done before: then there is no result.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed, and the message is not remembered.
    pub async fn process_once<T: Send + 'static>(
        &self,
        message: &Message,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let id = message.identity().to_owned();
        let worked = move |transaction: &Transaction<'_>| {
            mark_processed(transaction, CONSUMER, &id, None)?.then(|| work(transaction)).transpose()
        };
        let done = self.store.write(worked).await?;
        if done.is_none() {
            self.log_duplicate(message);
        }
        Ok(done)
    }

    /// Whether a message was processed before.
    pub async fn is_processed(&self, message: &Message) -> Result<bool, StoreError> {
        let id = message.identity().to_owned();
        self.store
            .write(move |transaction| Ok(processed_outcome(transaction, CONSUMER, &id)?.is_some()))
            .await
    }

    /// As [`ChainContext::process_once`], for work that an event may follow from: that is kept too, and what was done is
    /// logged by the word for the event's key. Publishes the event, also when it was published before: whether it was
    /// confirmed then cannot be known, and its identifier makes a second one harmless.
    ///
    /// # Errors
    /// [`ConsumeError`]: of the store, when nothing is changed, or of the publisher.
    pub async fn process_and_publish(
        &self,
        message: &Message,
        work: impl FnOnce(&Transaction<'_>) -> Result<Option<Event>, StoreError> + Send + 'static,
        logged_as: impl FnOnce(&str) -> &'static str,
    ) -> Result<(), ConsumeError> {
        let id = message.identity().to_owned();
        let worked = move |transaction: &Transaction<'_>| {
            if let Some(event) = processed_outcome(transaction, CONSUMER, &id)? {
                return Ok((event.as_deref().map(serde_json::from_str).transpose()?, false));
            }
            let event = work(transaction)?;
            let kept = event.as_ref().map(serde_json::to_string).transpose()?;
            mark_processed(transaction, CONSUMER, &id, kept.as_deref())?;
            Ok((event, true))
        };
        let (follows, now) = self.store.write(worked).await?;
        if !now {
            self.log_duplicate(message);
        }
        let Some(Event { message_id, key, body }) = follows else {
            if now {
                self.log.info(event::EVENT_IGNORED).with_message(message).write();
            }
            return Ok(());
        };
        // `region` is where a line was written
        let notes: Fields = body.iter().filter(|(name, _)| *name != "region").collect();
        if now {
            self.log.info(logged_as(&key)).with_message(message).with_fields(&notes).write();
        }
        let event = Outgoing::json(EVENTS, key, &body)
            .with_message_id(&message_id)
            .with_correlation_id(message.correlation_id())
            .with_log_fields(notes);
        Ok(self.publisher.publish(event).await?)
    }

    /// Logs that another region processes an order.
    pub fn log_left_to(&self, home: &str, message: &Message, order: &Order) {
        self.log
            .info(event::LEFT_TO_HOME)
            .with_message(message)
            .with(field::ORDER_ID, order.order_id.as_str())
            .with(field::HOME, home)
            .write();
    }

    /// Logs that a message was processed before.
    pub fn log_duplicate(&self, message: &Message) {
        self.log.info(event::DUPLICATE_SKIPPED).with_message(message).write();
    }
}
