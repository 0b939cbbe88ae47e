//! The indexer: every product event of every region becomes a row of this region's store.

use axum::Router;

use super::catalogue::{Catalogue, Event, FILE, Indexed};
use super::contract::{self, Product};
use super::{Program, Settings};
use fedctl_messaging::{Consume, ConsumeError, Log, Message, Subscription};

/// Also the size of a commit: the disk is waited for once a batch.
const PREFETCH: u16 = 256;

/// Applies product events.
pub struct Indexer {
    /// Where products are kept.
    pub store: Catalogue,
    /// Where what was done is told.
    pub log: Log,
}

/// What the indexer of `region` consumes.
#[must_use]
pub fn subscriptions(region: &str) -> Vec<Subscription> {
    vec![Subscription::batched(contract::indexer_queue(region), PREFETCH)]
}

pub(super) async fn run(program: Program) -> anyhow::Result<()> {
    let Settings { region, regions, store, .. } = program.settings.clone();
    let consumer = Indexer { store: Catalogue::open(store.join(FILE)).await?, log: program.log.clone() };
    let declarations = contract::indexer_declarations(&region, &regions);
    program.run(declarations, subscriptions(&region), consumer, Router::new()).await
}

impl Consume for Indexer {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let event = event(message)?;
        for indexed in self.store.index(vec![event.clone()]).await? {
            self.tell(message, &event, indexed);
        }
        Ok(())
    }

    /// One transaction for the batch; an unreadable message takes no part in it.
    async fn consume_all(&self, batch: &[Message]) -> Vec<Result<(), ConsumeError>> {
        let read: Vec<Result<Event, ConsumeError>> = batch.iter().map(event).collect();
        let events = read.iter().flatten().cloned().collect();
        let mut applied = match self.store.index(events).await {
            Ok(applied) => applied.into_iter(),
            Err(error) => {
                let fault = ConsumeError::from(error);
                return read.into_iter().map(|event| event.and(Err(fault.clone()))).collect();
            }
        };
        let tell = |(message, event): (&Message, Result<Event, ConsumeError>)| {
            let event = event?;
            if let Some(indexed) = applied.next() {
                self.tell(message, &event, indexed);
            }
            Ok(())
        };
        batch.iter().zip(read).map(tell).collect()
    }
}

impl Indexer {
    fn tell(&self, message: &Message, event: &Event, indexed: Indexed) {
        let word = match indexed {
            Indexed::Applied => "indexed",
            Indexed::Duplicate => "duplicate_skipped",
            Indexed::Stale => "stale_skipped",
        };
        let mut line = self
            .log
            .info(word)
            .with_message(message)
            .with("product_id", event.product.id)
            .with("quantity", event.product.quantity);
        if let Some(version) = event.version {
            line = line.with("version", version);
        }
        line.write();
    }
}

fn event(message: &Message) -> Result<Event, ConsumeError> {
    Ok(Event {
        message_id: message.message_id().map(str::to_owned),
        product: Product::read(&message.json()?)?,
        version: message.integer_header(contract::VERSION_HEADER),
    })
}
