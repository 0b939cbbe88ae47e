//! The products service's consumers: orders, in the master region only, and the answers to tax requests.

use lapin::types::AMQPValue;

use super::api::{self, Api};
use super::catalogue::{Catalogue, FILE, Ordered, Updated};
use super::declarations;
use super::message::Order;
use crate::process::Process;
use crate::settings::Settings;
use fedctl_contract::log::{event, field};
use fedctl_contract::shop::{
    ORDER_QUEUE, PRODUCT_EVENTS, PRODUCT_UPDATED, VERSION_HEADER, federated_queue, taxes_reply_key,
};
use fedctl_messaging::{Consume, ConsumeError, Log, Message, Outgoing, Publisher, Subscription};

const PREFETCH: u16 = 32;

/// Processes orders and tax replies.
pub struct Products {
    /// Where quantities are kept.
    pub store: Catalogue,
    /// Where changed products are announced.
    pub publisher: Publisher,
    pub log: Log,
}

/// What the products service of `region` consumes: orders only where `master`.
#[must_use]
pub fn subscriptions(region: &str, master: bool) -> Vec<Subscription> {
    let replies = federated_queue(&taxes_reply_key(region));
    let orders = master.then(|| ORDER_QUEUE.to_owned());
    orders.into_iter().chain([replies]).map(|queue| Subscription::batched(queue, PREFETCH)).collect()
}

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let Settings { region, regions, master_region, store, .. } = process.settings.clone();
    let store = Catalogue::open(store.join(FILE)).await?;
    let (publisher, log) = (process.publisher.clone(), process.log.clone());
    let subscriptions = subscriptions(&region, region == master_region);
    let consumer = Products { store: store.clone(), publisher: publisher.clone(), log };
    let declarations = declarations(&regions);
    let router = api::router(Api { region, regions, publisher, store });
    process.run(declarations, subscriptions, consumer, router).await
}

impl Consume for Products {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        if *message.queue == *ORDER_QUEUE { self.order(message).await } else { self.reply(message).await }
    }
}

impl Products {
    async fn order(&self, message: &Message) -> Result<(), ConsumeError> {
        let order = Order::read(&message.json()?)?;
        let (product, ordered) = (order.product_id, order.quantity);
        let updated = match self.store.order(message.identity().to_owned(), order).await? {
            Ordered::UnknownProduct => {
                return Err(ConsumeError::Retryable(format!("product {product} is unknown")));
            }
            Ordered::Processed(updated) => {
                self.log
                    .info(event::ORDER_PROCESSED)
                    .with_message(message)
                    .with(field::PRODUCT_ID, product)
                    .with(field::ORDERED, ordered)
                    .with(field::QUANTITY, updated.product.quantity)
                    .with(field::VERSION, updated.version)
                    .write();
                updated
            }
            Ordered::Repeated(updated) => {
                self.log
                    .info(event::DUPLICATE_SKIPPED)
                    .with_message(message)
                    .with(field::PRODUCT_ID, product)
                    .write();
                updated
            }
        };
        self.announce(message, &updated).await
    }

    /// Publishes also for a repeated order: whether the first event was confirmed cannot be known, and the
    /// same identifier and version make a second one harmless.
    async fn announce(&self, message: &Message, updated: &Updated) -> Result<(), ConsumeError> {
        let Updated { message_id, product, version } = updated;
        let event = Outgoing::json(PRODUCT_EVENTS, PRODUCT_UPDATED, product)
            .with_message_id(message_id)
            .with_correlation_id(message.correlation_id())
            .with_header(VERSION_HEADER, AMQPValue::LongLongInt(*version))
            .with_log_field(field::PRODUCT_ID, product.id)
            .with_log_field(field::QUANTITY, product.quantity)
            .with_log_field(field::VERSION, *version);
        Ok(self.publisher.publish(event).await?)
    }

    async fn reply(&self, message: &Message) -> Result<(), ConsumeError> {
        let reply = message.json()?;
        let answered = reply.get("result").is_some() || reply.get("error").is_some();
        if !answered {
            return Err(ConsumeError::Permanent("neither `result` nor `error` in a reply".to_owned()));
        }
        if !self.store.remember("replies", message.identity().to_owned()).await? {
            self.log.info(event::DUPLICATE_SKIPPED).with_message(message).write();
            return Ok(());
        }
        self.log
            .info(event::REPLY_RECEIVED)
            .with_message(message)
            .with(field::TAX, reply.pointer("/result/tax").cloned().unwrap_or_default())
            .with(field::ERROR, reply.get("error").cloned().unwrap_or_default())
            .write();
        Ok(())
    }
}
