//! The taxes service: answers tax requests to its region, wherever they come from.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::contract::{self, Invalid, TaxRequest};
use super::log::Log;
use super::message::{Message, Outgoing};
use super::publisher::Publisher;
use super::session::{Consume, Fault, Subscription};

const PREFETCH: u16 = 32;
/// Bytes that an AMQP property of type short string can hold.
const SHORT_STRING: usize = 255;
/// Requests remembered as answered: more than a link's prefetch, which is how many come again at most when
/// one breaks.
const REMEMBERED: usize = 4096;

/// Answers tax requests.
pub struct Taxes {
    /// This region.
    pub region: String,
    /// Where answers go.
    pub publisher: Publisher,
    /// Where what was done is told.
    pub log: Log,
    /// What was answered lately.
    pub answered: Answered,
}

/// The identities of requests that were answered, the latest of them. A restart forgets them: a request that
/// comes again after it is answered again, by a reply with the same identity.
#[derive(Debug, Default)]
pub struct Answered(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Answered {
    fn contains(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.contains(id)
    }

    fn insert(&self, id: &str) {
        let (known, order) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(id.to_owned()) {
            order.push_back(id.to_owned());
        }
        if order.len() > REMEMBERED {
            order.pop_front().map(|oldest| known.remove(&oldest));
        }
    }
}

/// What the taxes service of `region` consumes.
#[must_use]
pub fn subscriptions(region: &str) -> Vec<Subscription> {
    let queue = contract::federated_queue(&contract::taxes_key(region));
    vec![Subscription { queue, prefetch: PREFETCH }]
}

impl Consume for Taxes {
    /// Bad JSON is parked, with or without somebody to answer; a request that is JSON gets its answer, once.
    async fn consume(&self, message: &Message) -> Result<(), Fault> {
        if self.answered.contains(message.identity()) {
            self.log.info("duplicate_skipped").about(message).write();
            return Ok(());
        }
        let reply_to = message.reply_to().ok_or_else(|| Fault::Poison("no `reply_to`".to_owned()))?;
        let request = message.json()?;
        let order = TaxRequest::read(&request);
        let reply = match &order {
            Ok(TaxRequest { order_id }) => json!({"result": {"tax": self.tax(*order_id)}, "error": null}),
            Err(invalid) => failure(invalid),
        };
        let mut answer =
            Outgoing::json(contract::ORDERS, reply_to, &reply).correlated(message.correlation_id());
        let id = format!("{}.reply", message.identity());
        if id.len() <= SHORT_STRING {
            answer = answer.identified(&id);
        }
        if let Ok(TaxRequest { order_id }) = order {
            answer = answer.noting("order_id", order_id);
        }
        self.publisher.publish(answer).await?;
        self.answered.insert(message.identity());
        self.log
            .info("tax_calculated")
            .about(message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_requests_are_remembered_as_a_broken_link_can_bring_again() {
        let answered = Answered::default();
        (0..=REMEMBERED).for_each(|id| answered.insert(&id.to_string()));
        assert!(!answered.contains("0"), "the oldest is forgotten");
        assert!(answered.contains("1") && answered.contains(&REMEMBERED.to_string()));
    }
}
