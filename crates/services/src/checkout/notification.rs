//! The notification: hands every captured payment to all channels of its region.

use serde_json::json;

use super::chain::Means;
use super::order::Charge;
use super::{NOTIFICATIONS, PAYMENT_CAPTURED, Part, Program, Step, channel, declarations};
use crate::Kind;
use fedctl_messaging::{ConsumeError, Message, Outgoing};

const QUEUE: &str = "checkout.notification";
const PREFETCH: u16 = 32;
const FILE: &str = "notifications.db";
const KEY: &str = "notification.requested";

/// Hands payments to the channels.
pub struct Notification(Means);

pub(super) async fn part(program: &Program) -> anyhow::Result<Part> {
    let means = Means::open(program, FILE, "").await?;
    let mut declarations = declarations(QUEUE, &[PAYMENT_CAPTURED]);
    // The channels' queues too: nobody else will tell the buyer what is published before a channel's first start.
    for kind in [Kind::Email, Kind::Sms, Kind::Push] {
        let channel = channel::declarations(kind.name());
        declarations.exchanges.extend(channel.exchanges);
        declarations.queues.extend(channel.queues);
        declarations.bindings.extend(channel.bindings);
    }
    Ok(Part::new(declarations, PREFETCH, Step::Notification(Notification(means))))
}

impl Notification {
    /// Remembers a message after its notification is published, so that none is missing; one more of the same
    /// identifier does no harm to the channels.
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Charge { order_id, amount } = Charge::read(&message.json()?)?;
        if self.0.knows(message).await? {
            self.0.skipped(message);
            return Ok(());
        }
        let text = format!("Order {order_id} is paid: {}", amount.as_str());
        let body = json!({"order_id": order_id, "amount": amount, "text": text});
        let notification = Outgoing::json(NOTIFICATIONS, KEY, &body)
            .with_message_id(message.identity())
            .with_correlation_id(message.correlation_id())
            .with_log_field("order_id", order_id.as_str());
        self.0.publisher.publish(notification).await?;
        if self.0.once(message, |_| Ok(())).await?.is_some() {
            self.0.log.info("notification_sent").with_message(message).with("order_id", order_id).write();
        }
        Ok(())
    }
}
