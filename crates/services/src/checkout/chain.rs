//! What the chain's services share: a message's effect once, and the event that follows from it.

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EVENTS;
use super::order::Order;
use crate::Program;
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

    /// Says one thing more.
    #[must_use]
    pub fn saying(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body.insert(field.to_owned(), value.into());
        self
    }
}

/// What a service of the chain works with. Cheap to clone.
#[derive(Clone)]
pub struct Means {
    /// What it keeps.
    pub store: Store,
    /// Where its events go.
    pub publisher: Publisher,
    /// Where what was done is told.
    pub log: Log,
}

impl Means {
    /// Opens the store `file` of a program's region.
    pub(super) async fn open(program: &Program, file: &str, tables: &'static str) -> anyhow::Result<Self> {
        let store = Store::open(program.settings.store.join(file), tables).await?;
        Ok(Self { store, publisher: program.publisher.clone(), log: program.log.clone() })
    }

    /// Does the work that a message asks for, unless it was done before: then there is no result.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed, and the message is not remembered.
    pub async fn once<T: Send + 'static>(
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
            self.skipped(message);
        }
        Ok(done)
    }

    /// Whether a message was worked off before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn knows(&self, message: &Message) -> Result<bool, StoreError> {
        let id = message.identity().to_owned();
        self.store
            .write(move |transaction| Ok(processed_outcome(transaction, CONSUMER, &id)?.is_some()))
            .await
    }

    /// As [`Means::once`], for work that an event follows from: that is kept too, and what was done is logged by
    /// the word for the event's key. Publishes the event, also when it was published before: whether it got out
    /// then cannot be known, and its identifier makes a second one harmless.
    ///
    /// # Errors
    /// [`ConsumeError`]: of the store, when nothing is changed, or of the publisher.
    pub async fn follow(
        &self,
        message: &Message,
        work: impl FnOnce(&Transaction<'_>) -> Result<Event, StoreError> + Send + 'static,
        logged_as: impl FnOnce(&str) -> &'static str,
    ) -> Result<(), ConsumeError> {
        let id = message.identity().to_owned();
        let worked = move |transaction: &Transaction<'_>| {
            if let Some(event) = processed_outcome(transaction, CONSUMER, &id)? {
                return Ok((serde_json::from_str(&event.unwrap_or_default())?, false));
            }
            let event = work(transaction)?;
            mark_processed(transaction, CONSUMER, &id, Some(&serde_json::to_string(&event)?))?;
            Ok((event, true))
        };
        let (Event { message_id, key, body }, now) = self.store.write(worked).await?;
        // `region` is where a line was written
        let notes: Fields = body.iter().filter(|(name, _)| *name != "region").collect();
        if now {
            self.log.info(logged_as(&key)).with_message(message).with_fields(&notes).write();
        } else {
            self.skipped(message);
        }
        let event = Outgoing::json(EVENTS, key, &body)
            .with_message_id(&message_id)
            .with_correlation_id(message.correlation_id())
            .with_log_fields(notes);
        Ok(self.publisher.publish(event).await?)
    }

    /// Tells that a message was worked off before.
    pub fn skipped(&self, message: &Message) {
        self.log.info("duplicate_skipped").with_message(message).write();
    }
}
