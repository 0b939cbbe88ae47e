//! The notification: hands every captured payment to all channels of its region.

use serde_json::json;

use super::chain::ChainContext;
use super::order::Charge;
use super::{ChainConsumer, ChainService, channel, declarations};
use crate::process::Process;
use fedctl_contract::checkout::{NOTIFICATION_REQUESTED, NOTIFICATIONS, PAYMENT_CAPTURED, queue};
use fedctl_contract::log::{event, field};
use fedctl_contract::program::Program;
use fedctl_messaging::{ConsumeError, Message, Outgoing};

const PREFETCH: u16 = 32;
const FILE: &str = "notifications.db";

/// Hands payments to the channels.
pub struct Notification(ChainContext);

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let context = ChainContext::open(process, FILE, "").await?;
    let mut declarations = declarations(&queue(process.program.name()), &[PAYMENT_CAPTURED]);
    // The channels' queues too: what is published before a channel's first start must reach the customer too.
    for kind in [Program::Email, Program::Sms, Program::Push] {
        let channel = channel::declarations(kind.name());
        declarations.exchanges.extend(channel.exchanges);
        declarations.queues.extend(channel.queues);
        declarations.bindings.extend(channel.bindings);
    }
    Ok(ChainService::new(declarations, PREFETCH, ChainConsumer::Notification(Notification(context))))
}

impl Notification {
    /// Remembers a message after its notification is published, so that none is missing; one more of the same
    /// identifier does no harm to the channels.
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Charge { order_id, amount } = Charge::read(&message.json()?)?;
        if self.0.is_processed(message).await? {
            self.0.log_duplicate(message);
            return Ok(());
        }
        let text = format!("Order {order_id} is paid: {}", amount.as_str());
        let body = json!({"order_id": order_id, "amount": amount, "text": text});
        let notification = Outgoing::json(NOTIFICATIONS, NOTIFICATION_REQUESTED, &body)
            .with_message_id(message.identity())
            .with_correlation_id(message.correlation_id())
            .with_log_field(field::ORDER_ID, order_id.as_str());
        self.0.publisher.publish(notification).await?;
        if self.0.process_once(message, |_| Ok(())).await?.is_some() {
            self.0
                .log
                .info(event::NOTIFICATION_SENT)
                .with_message(message)
                .with(field::ORDER_ID, order_id)
                .write();
        }
        Ok(())
    }
}
