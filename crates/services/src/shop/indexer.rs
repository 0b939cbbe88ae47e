//! The indexer: every product event of every region becomes a row of this region's store.

use axum::Router;

use super::catalogue::{Catalogue, Event, FILE};
use super::indexer_declarations;
use super::message::Product;
use crate::process::Process;
use crate::settings::Settings;
use crate::upsert::Upsert;
use fedctl_contract::log::{event, field};
use fedctl_contract::shop::{VERSION_HEADER, indexer_queue};
use fedctl_messaging::{Consume, ConsumeError, Log, Message, Subscription};

/// Also the size of a commit: the disk is waited for once a batch.
const PREFETCH: u16 = 256;

/// Applies product events.
pub struct Indexer {
    /// Where products are kept.
    pub store: Catalogue,
    pub log: Log,
}

/// What the indexer of `region` consumes.
#[must_use]
pub fn subscriptions(region: &str) -> Vec<Subscription> {
    vec![Subscription::batched(indexer_queue(region), PREFETCH)]
}

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let Settings { region, regions, store, .. } = process.settings.clone();
    let consumer = Indexer { store: Catalogue::open(store.join(FILE)).await?, log: process.log.clone() };
    let declarations = indexer_declarations(&region, &regions);
    process.run(declarations, subscriptions(&region), consumer, Router::new()).await
}

impl Consume for Indexer {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let event = event(message)?;
        for upsert in self.store.index(vec![event.clone()]).await? {
            self.log_outcome(message, &event, upsert);
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
        let logged = |(message, event): (&Message, Result<Event, ConsumeError>)| {
            let event = event?;
            if let Some(upsert) = applied.next() {
                self.log_outcome(message, &event, upsert);
            }
            Ok(())
        };
        batch.iter().zip(read).map(logged).collect()
    }
}

impl Indexer {
    fn log_outcome(&self, message: &Message, event: &Event, upsert: Upsert) {
        let mut line = self
            .log
            .info(upsert.event(event::INDEXED))
            .with_message(message)
            .with(field::PRODUCT_ID, event.product.id)
            .with(field::QUANTITY, event.product.quantity);
        if let Some(version) = event.version {
            line = line.with(field::VERSION, version);
        }
        line.write();
    }
}

fn event(message: &Message) -> Result<Event, ConsumeError> {
    Ok(Event {
        message_id: message.message_id().map(str::to_owned),
        product: Product::read(&message.json()?)?,
        version: message.integer_header(VERSION_HEADER),
    })
}
