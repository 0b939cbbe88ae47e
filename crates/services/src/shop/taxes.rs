//! The taxes service: answers tax requests to its region, wherever they come from.

use axum::Router;
use serde_json::{Value, json};

use super::declarations;
use super::message::TaxRequest;
use crate::fields::Invalid;
use crate::process::Process;
use crate::settings::Settings;
use fedctl_contract::log::{event, field};
use fedctl_contract::shop::{ORDERS, federated_queue, tax, taxes_key};
use fedctl_messaging::{Consume, ConsumeError, DedupCache, Log, Message, Outgoing, Publisher, Subscription};

const PREFETCH: u16 = 32;

/// Answers tax requests.
pub struct Taxes {
    /// This region.
    pub region: String,
    /// Where answers go.
    pub publisher: Publisher,
    pub log: Log,
    /// The requests answered recently. A restart forgets them: a request redelivered after it is answered again.
    pub answered: DedupCache,
}

/// What the taxes service of `region` consumes.
#[must_use]
pub fn subscriptions(region: &str) -> Vec<Subscription> {
    let queue = federated_queue(&taxes_key(region));
    vec![Subscription::batched(queue, PREFETCH)]
}

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let Settings { region, regions, .. } = process.settings.clone();
    let (subscriptions, declarations) = (subscriptions(&region), declarations(&regions));
    let (publisher, log) = (process.publisher.clone(), process.log.clone());
    let consumer = Taxes { region, publisher, log, answered: DedupCache::default() };
    process.run(declarations, subscriptions, consumer, Router::new()).await
}

impl Consume for Taxes {
    /// Bad JSON is dead-lettered, with `reply_to` or without; a request that is JSON gets its answer, once.
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Some(in_flight) = self.answered.begin(message.identity()) else {
            self.log.info(event::DUPLICATE_SKIPPED).with_message(message).write();
            return Ok(());
        };
        let reply_to =
            message.reply_to().ok_or_else(|| ConsumeError::Permanent("no `reply_to`".to_owned()))?;
        let request = message.json()?;
        let order = TaxRequest::read(&request);
        let reply = match &order {
            Ok(TaxRequest { order_id }) => {
                json!({"result": {"tax": tax(&self.region, *order_id)}, "error": null})
            }
            Err(invalid) => failure(invalid),
        };
        let mut answer = Outgoing::json(ORDERS, reply_to, &reply).in_reply_to(message);
        if let Ok(TaxRequest { order_id }) = order {
            answer = answer.with_log_field(field::ORDER_ID, order_id);
        }
        self.publisher.publish(answer).await?;
        in_flight.complete();
        self.log
            .info(event::TAX_CALCULATED)
            .with_message(message)
            .with(field::ORDER_ID, request.get("order_id").cloned().unwrap_or_default())
            .with(field::TAX, reply.pointer("/result/tax").cloned().unwrap_or_default())
            .with(field::ERROR, reply["error"].clone())
            .with(field::REPLY_TO, reply_to)
            .write();
        Ok(())
    }
}

/// The shape in which Nameko serialises an exception.
fn failure(invalid: &Invalid) -> Value {
    json!({"result": null, "error": {"exc_type": "ValidationError", "value": invalid}})
}
