//! The payment: captures what a reserved order costs, up to a limit.

use std::time::Duration;

use rusqlite::{Transaction, params};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::chain::{ChainContext, Event};
use super::home::Homes;
use super::order::Order;
use super::{ChainConsumer, ChainService, declarations};
use crate::decimal::Decimal;
use crate::process::Process;
use fedctl_contract::checkout::{INVENTORY_RESERVED, PAYMENT_CAPTURED, PAYMENT_FAILED, queue};
use fedctl_contract::environment;
use fedctl_contract::log::event;
use fedctl_messaging::{ConsumeError, Message, StoreError, Subscription};

/// A slow payment holds this many orders; the others wait at the broker, where they are seen and counted.
const PREFETCH: u16 = 64;
const FILE: &str = "payments.db";
/// One row an order: should two events ask for the same order's money, the second is refused and dead-lettered.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY, amount TEXT NOT NULL, at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT, WITHOUT ROWID;
";
const LIMIT: &str = "10000";
/// Below the broker's consumer timeout (`consumer_timeout`), half an hour.
const LONGEST_DELAY_MS: u64 = 600_000;

/// Captures payments.
pub struct Payment {
    context: ChainContext,
    homes: Homes,
    limit: Decimal,
    delay: Duration,
    stop: CancellationToken,
}

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let settings = &process.settings;
    let limit = settings.read_option(environment::LIMIT, LIMIT, Decimal::AMOUNT, Decimal::parse_amount)?;
    let wanted = format!("a number of milliseconds up to {LONGEST_DELAY_MS}");
    let milliseconds = |text: &str| text.parse().ok().filter(|delay| *delay <= LONGEST_DELAY_MS);
    let delay =
        Duration::from_millis(settings.read_option(environment::DELAY_MS, "0", &wanted, milliseconds)?);
    let context = ChainContext::open(process, FILE, TABLES).await?;
    let homes = Homes::read(settings)?;
    let payment = Payment { context, homes, limit, delay, stop: process.stop.clone() };
    let queue = queue(process.program.name());
    let part = ChainService::new(
        declarations(&queue, &[INVENTORY_RESERVED]),
        PREFETCH,
        ChainConsumer::Payment(payment),
    );
    Ok(ChainService { subscription: Subscription::concurrent(queue, PREFETCH), ..part })
}

impl Payment {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let order = Order::read(&message.json()?)?;
        if let Some(home) = self.homes.elsewhere(&order) {
            self.context.log_left_to(home, message, &order);
            return Ok(());
        }
        self.wait().await?;
        let limit = self.limit.clone();
        let take = move |transaction: &Transaction<'_>| capture(transaction, &order, &limit).map(Some);
        let word =
            |key: &str| if key == PAYMENT_CAPTURED { event::PAYMENT_CAPTURED } else { event::PAYMENT_FAILED };
        self.context.process_and_publish(message, take, word).await
    }

    /// Takes as long as a bank may take; when the service stops, the order is requeued instead.
    async fn wait(&self) -> Result<(), ConsumeError> {
        if !self.delay.is_zero() && timeout(self.delay, self.stop.cancelled()).await.is_ok() {
            return Err(ConsumeError::Retryable("stopped before the payment was captured".to_owned()));
        }
        Ok(())
    }
}

fn capture(transaction: &Transaction<'_>, order: &Order, limit: &Decimal) -> Result<Event, StoreError> {
    let amount = &order.request.amount;
    if amount.exceeds(limit) {
        let reason = format!("{} is over the limit of {}", amount.as_str(), limit.as_str());
        return Ok(Event::about(order, PAYMENT_FAILED).with_field("reason", reason));
    }
    let sql = "INSERT INTO payments (order_id, amount) VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute(params![order.order_id, amount.as_str()])?;
    Ok(Event::about(order, PAYMENT_CAPTURED))
}
