//! A chain of events across regions: an order is taken, its stock reserved, its payment captured, and the buyer
//! told; who counts or checks joins by binding one more queue.
//!
//! | service | consumes | because of | and publishes |
//! | --- | --- | --- | --- |
//! | `checkout` | `checkout.<region>` | `inventory.*`, `payment.*` | `order.<region>.created`, at a request |
//! | `inventory` | `checkout.inventory` | `order.created`, `order.*.created` | `inventory.reserved`, `inventory.rejected` |
//! | `payment` | `checkout.payment` | `inventory.reserved` | `payment.captured`, `payment.failed` |
//! | `notification` | `checkout.notification` | `payment.captured` | to [`NOTIFICATIONS`] |
//! | `email`, `sms`, `push` | `notifications.<service>` | every notification | |
//! | `analytics` | `checkout.analytics` | `order.*.created`, `inventory.*`, `payment.*` | |
//! | `fraud` | `checkout.fraud` | `order.*.created` | |
//!
//! Each declares its own queue and nobody else's: a queue that nobody empties grows for ever. So a service gets
//! what is published from its first start on. `inventory` and `payment` belong into one region each, because an
//! event reaches every region that asks for it, and each of two would do the work. In that region they may have
//! replicas, which share queue and store.

pub mod amount;
pub mod analytics;
pub mod chain;
pub mod channel;
pub mod fraud;
pub mod front;
pub mod inventory;
pub mod notification;
pub mod order;
pub mod payment;

use axum::Router;

use super::{Kind, Program};
use fedctl_messaging::{
    Binding, Consume, ConsumeError, Declarations, Exchange, ExchangeKind, Message, Subscription,
};

/// The topic exchange of the chain's events; federated, because its name ends in `.events`.
pub const EVENTS: &str = "checkout.events";
/// The fanout exchange to the channels of one region; not federated.
pub const NOTIFICATIONS: &str = "notifications";

const ORDER_CREATED: &str = "order.*.created";
const INVENTORY: &str = "inventory.*";
const INVENTORY_RESERVED: &str = "inventory.reserved";
const INVENTORY_REJECTED: &str = "inventory.rejected";
const PAYMENT: &str = "payment.*";
const PAYMENT_CAPTURED: &str = "payment.captured";
const PAYMENT_FAILED: &str = "payment.failed";

/// What one service of the chain is made of.
struct Part {
    declarations: Declarations,
    subscription: Subscription,
    step: Step,
    router: Router,
}

impl Part {
    /// A service that consumes the queue of `declarations`, the first one where there are several.
    fn new(declarations: Declarations, prefetch: u16, step: Step) -> Self {
        let queue = declarations.queues.first().cloned().unwrap_or_default();
        Self {
            declarations,
            subscription: Subscription::batched(queue, prefetch),
            step,
            router: Router::new(),
        }
    }
}

/// All consumers as one type: the session's code is there once, not nine times.
enum Step {
    Front(front::Front),
    Inventory(inventory::Inventory),
    Payment(payment::Payment),
    Notification(notification::Notification),
    Channel(channel::Channel),
    Analytics(analytics::Analytics),
    Fraud(fraud::Fraud),
}

impl Consume for Step {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        match self {
            Self::Front(step) => step.consume(message).await,
            Self::Inventory(step) => step.consume(message).await,
            Self::Payment(step) => step.consume(message).await,
            Self::Notification(step) => step.consume(message).await,
            Self::Channel(step) => step.consume(message).await,
            Self::Analytics(step) => step.consume(message).await,
            Self::Fraud(step) => step.consume(message).await,
        }
    }
}

/// Runs the service of the chain that the program's kind names; the front where it names none of the others.
pub(super) async fn run(program: Program) -> anyhow::Result<()> {
    let part = match program.kind {
        Kind::Inventory => inventory::part(&program).await?,
        Kind::Payment => payment::part(&program).await?,
        Kind::Notification => notification::part(&program).await?,
        Kind::Email | Kind::Sms | Kind::Push => channel::part(&program).await?,
        Kind::Analytics => analytics::part(&program).await?,
        Kind::Fraud => fraud::part(&program).await?,
        _ => front::part(&program).await?,
    };
    program.run(part.declarations, vec![part.subscription], part.step, part.router).await
}

/// The exchange of events and one queue, bound to it with `keys`.
fn declarations(queue: &str, keys: &[&str]) -> Declarations {
    let bind =
        |key: &&str| Binding { queue: queue.to_owned(), exchange: EVENTS.to_owned(), key: (*key).to_owned() };
    Declarations {
        exchanges: vec![Exchange { name: EVENTS.to_owned(), kind: ExchangeKind::Topic }],
        queues: vec![queue.to_owned()],
        bindings: keys.iter().map(bind).collect(),
    }
}
