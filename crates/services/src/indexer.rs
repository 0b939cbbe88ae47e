//! The indexer: every product event of every region becomes a row of this region's store.

use axum::Router;

use super::catalogue::{Catalogue, Event, FILE, Indexed};
use super::contract::{self, Product};
use super::{Program, Settings};
use fedctl_messaging::consume::{Consume, Fault, Subscription};
use fedctl_messaging::log::Log;
use fedctl_messaging::message::Message;

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
    vec![Subscription::in_batches(contract::indexer_queue(region), PREFETCH)]
}

pub(super) async fn run(program: Program) -> anyhow::Result<()> {
    let Settings { region, regions, store, .. } = program.settings.clone();
    let consumer = Indexer { store: Catalogue::open(store.join(FILE)).await?, log: program.log.clone() };
    let wiring = contract::indexer_wiring(&region, &regions);
    program.run(wiring, subscriptions(&region), consumer, Router::new()).await
}

impl Consume for Indexer {
    async fn consume(&self, message: &Message) -> Result<(), Fault> {
        let event = event(message)?;
        for indexed in self.store.index(vec![event.clone()]).await? {
            self.tell(message, &event, indexed);
        }
        Ok(())
    }

    /// One transaction for the batch; an unreadable message takes no part in it.
    async fn consume_all(&self, batch: &[Message]) -> Vec<Result<(), Fault>> {
        let read: Vec<Result<Event, Fault>> = batch.iter().map(event).collect();
        let events = read.iter().flatten().cloned().collect();
        let mut applied = match self.store.index(events).await {
            Ok(applied) => applied.into_iter(),
            Err(error) => {
                let fault = Fault::from(error);
                return read.into_iter().map(|event| event.and(Err(fault.clone()))).collect();
            }
        };
        let tell = |(message, event): (&Message, Result<Event, Fault>)| {
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
            .about(message)
            .with("product_id", event.product.id)
            .with("quantity", event.product.quantity);
        if let Some(version) = event.version {
            line = line.with("version", version);
        }
        line.write();
    }
}

fn event(message: &Message) -> Result<Event, Fault> {
    Ok(Event {
        message_id: message.message_id().map(str::to_owned),
        product: Product::read(&message.json()?)?,
        version: message.integer_header(contract::VERSION_HEADER),
    })
}
