//! The taxes service: answers tax requests to its region, wherever they come from.

use axum::Router;
use serde_json::{Value, json};

use super::contract::{self, Invalid, TaxRequest};
use super::{Program, Settings};
use fedctl_messaging::{Consume, ConsumeError, DedupCache, Log, Message, Outgoing, Publisher, Subscription};

const PREFETCH: u16 = 32;

/// Answers tax requests.
pub struct Taxes {
    /// This region.
    pub region: String,
    /// Where answers go.
    pub publisher: Publisher,
    /// Where what was done is told.
    pub log: Log,
    /// What was answered lately. A restart forgets it: a request that comes again after it is answered again.
    pub answered: DedupCache,
}

/// What the taxes service of `region` consumes.
#[must_use]
pub fn subscriptions(region: &str) -> Vec<Subscription> {
    let queue = contract::federated_queue(&contract::taxes_key(region));
    vec![Subscription::batched(queue, PREFETCH)]
}

pub(super) async fn run(program: Program) -> anyhow::Result<()> {
    let Settings { region, regions, .. } = program.settings.clone();
    let (subscriptions, declarations) = (subscriptions(&region), contract::declarations(&regions));
    let (publisher, log) = (program.publisher.clone(), program.log.clone());
    let consumer = Taxes { region, publisher, log, answered: DedupCache::default() };
    program.run(declarations, subscriptions, consumer, Router::new()).await
}

impl Consume for Taxes {
    /// Bad JSON is dead-lettered, with `reply_to` or without; a request that is JSON gets its answer, once.
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Some(in_flight) = self.answered.begin(message.identity()) else {
            self.log.info("duplicate_skipped").with_message(message).write();
            return Ok(());
        };
        let reply_to =
            message.reply_to().ok_or_else(|| ConsumeError::Permanent("no `reply_to`".to_owned()))?;
        let request = message.json()?;
        let order = TaxRequest::read(&request);
        let reply = match &order {
            Ok(TaxRequest { order_id }) => json!({"result": {"tax": self.tax(*order_id)}, "error": null}),
            Err(invalid) => failure(invalid),
        };
        let mut answer = Outgoing::json(contract::ORDERS, reply_to, &reply).in_reply_to(message);
        if let Ok(TaxRequest { order_id }) = order {
            answer = answer.with_log_field("order_id", order_id);
        }
        self.publisher.publish(answer).await?;
        in_flight.complete();
        self.log
            .info("tax_calculated")
            .with_message(message)
            .with("order_id", request.get("order_id").cloned().unwrap_or_default())
            .with("tax", reply.pointer("/result/tax").cloned().unwrap_or_default())
            .with("error", reply["error"].clone())
            .with("reply_to", reply_to)
            .write();
        Ok(())
    }
}

impl Taxes {
    fn tax(&self, order_id: i64) -> String {
        format!("You do not owe taxes in region {} for order id {order_id}", self.region)
    }
}

/// The shape in which Nameko serialises an exception.
fn failure(invalid: &Invalid) -> Value {
    json!({"result": null, "error": {"exc_type": "ValidationError", "value": invalid}})
}
