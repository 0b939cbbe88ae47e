//! A chain of events across regions: an order is taken, its stock reserved, its payment captured, and the customer
//! notified; a service that counts or checks joins by binding one more queue.
//!
//! | service | consumes | because of | and publishes |
//! | --- | --- | --- | --- |
//! | `checkout` | `checkout.<region>` | `inventory.*`, `payment.*` | `order.<region>.created`, at a request |
//! | `inventory` | `checkout.inventory` | `order.created`, `order.*.created`, `payment.failed` | `inventory.reserved`, `inventory.rejected`, `inventory.released` |
//! | `payment` | `checkout.payment` | `inventory.reserved` | `payment.captured`, `payment.failed` |
//! | `notification` | `checkout.notification` | `payment.captured` | to [`NOTIFICATIONS`](fedctl_contract::checkout::NOTIFICATIONS) |
//! | `email`, `sms`, `push` | `notifications.<service>` | every notification | |
//! | `analytics` | `checkout.analytics` | `order.*.created`, `inventory.*`, `payment.*` | |
//! | `fraud` | `checkout.fraud` | `order.*.created` | |
//!
//! Each declares only its own queue: a queue without a consumer grows for ever. So a service receives what is published
//! from its first start on.
//!
//! `inventory` and `payment` may run in several regions. Events reach all of them, and each order has one home among them
//! ([`home`](fedctl_contract::checkout::home)): only there is it reserved, or paid. A region's inventory has a stock of its
//! own. Replicas in one region share queue and store.

pub mod analytics;
pub mod api;
pub mod chain;
pub mod channel;
pub mod fraud;
pub mod home;
pub mod inventory;
pub mod notification;
pub mod order;
pub mod payment;

use axum::Router;

use crate::process::Process;
use fedctl_contract::checkout::EVENTS;
use fedctl_contract::program::Program;
use fedctl_messaging::{
    Binding, Consume, ConsumeError, Declarations, Exchange, ExchangeKind, Message, Subscription,
};

/// What one service of the chain is made of.
struct ChainService {
    declarations: Declarations,
    subscription: Subscription,
    consumer: ChainConsumer,
    router: Router,
}

impl ChainService {
    /// A service that consumes the queue of `declarations`, the first one where there are several.
    fn new(declarations: Declarations, prefetch: u16, consumer: ChainConsumer) -> Self {
        let queue = declarations.queues.first().cloned().unwrap_or_default();
        Self {
            declarations,
            subscription: Subscription::batched(queue, prefetch),
            consumer,
            router: Router::new(),
        }
    }
}

/// All consumers as one type, so that the session is compiled once, not nine times.
enum ChainConsumer {
    Api(api::Api),
    Inventory(inventory::Inventory),
    Payment(payment::Payment),
    Notification(notification::Notification),
    Channel(channel::Channel),
    Analytics(analytics::Analytics),
    Fraud(fraud::Fraud),
}

impl Consume for ChainConsumer {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        match self {
            Self::Api(step) => step.consume(message).await,
            Self::Inventory(step) => step.consume(message).await,
            Self::Payment(step) => step.consume(message).await,
            Self::Notification(step) => step.consume(message).await,
            Self::Channel(step) => step.consume(message).await,
            Self::Analytics(step) => step.consume(message).await,
            Self::Fraud(step) => step.consume(message).await,
        }
    }
}

/// Runs the service of the chain that the program's kind names; the API for all others.
pub(super) async fn run(process: Process) -> anyhow::Result<()> {
    let part = match process.program {
        Program::Inventory => inventory::part(&process).await?,
        Program::Payment => payment::part(&process).await?,
        Program::Notification => notification::part(&process).await?,
        Program::Email | Program::Sms | Program::Push => channel::part(&process).await?,
        Program::Analytics => analytics::part(&process).await?,
        Program::Fraud => fraud::part(&process).await?,
        Program::Checkout
        | Program::Products
        | Program::Indexer
        | Program::Taxes
        | Program::Profile
        | Program::Rpc
        | Program::RpcWorker
        | Program::Compute
        | Program::ComputeHost => api::part(&process).await?,
    };
    process.run(part.declarations, vec![part.subscription], part.consumer, part.router).await
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
