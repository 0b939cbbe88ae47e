//! The inventory: reserves an order's quantity, or rejects it with a reason.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::chain::{ChainContext, Event};
use super::order::{Order, Request};
use super::{ChainConsumer, ChainService, declarations};
use crate::process::Process;
use fedctl_contract::checkout::{
    INVENTORY_REJECTED, INVENTORY_RESERVED, ORDER_CREATED, ORDERS_CREATED, queue,
};
use fedctl_contract::environment;
use fedctl_contract::log::event;
use fedctl_messaging::{ConsumeError, Message, StoreError};

const PREFETCH: u16 = 32;
const FILE: &str = "inventory.db";
/// The check is a second lock on what [`reserve`] sees to: no stock below zero.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS stock (
    sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0)
) STRICT;
";
const STOCK: &str = "lamp=1000,book=1000";

/// Reserves stock.
pub struct Inventory(ChainContext);

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let wanted = "`sku=quantity,…` with each sku once";
    let stock = process.settings.read_option(environment::STOCK, STOCK, wanted, parse_stock)?;
    let context = ChainContext::open(process, FILE, TABLES).await?;
    context.store.write(move |transaction| fill(transaction, &stock)).await?;
    let declarations = declarations(&queue(process.program.name()), &[ORDER_CREATED, ORDERS_CREATED]);
    Ok(ChainService::new(declarations, PREFETCH, ChainConsumer::Inventory(Inventory(context))))
}

impl Inventory {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let order = Order::read(&message.json()?)?;
        let word =
            |key: &str| if key == INVENTORY_RESERVED { event::STOCK_RESERVED } else { event::STOCK_REJECTED };
        self.0.process_and_publish(message, move |transaction| reserve(transaction, &order), word).await
    }
}

fn parse_stock(text: &str) -> Option<BTreeMap<String, i64>> {
    let mut stock = BTreeMap::new();
    for entry in text.split(',') {
        let (sku, quantity) = entry.split_once('=')?;
        let (sku, quantity) = (sku.trim(), quantity.trim().parse().ok().filter(|count| *count >= 0)?);
        if sku.is_empty() || stock.insert(sku.to_owned(), quantity).is_some() {
            return None;
        }
    }
    Some(stock)
}

/// Stock from an earlier start is kept.
fn fill(transaction: &Transaction<'_>, stock: &BTreeMap<String, i64>) -> Result<(), StoreError> {
    for (sku, quantity) in stock {
        let sql = "INSERT OR IGNORE INTO stock (sku, quantity) VALUES (?1, ?2)";
        transaction.prepare_cached(sql)?.execute(params![sku, quantity])?;
    }
    Ok(())
}

fn reserve(transaction: &Transaction<'_>, order: &Order) -> Result<Event, StoreError> {
    let Request { sku, quantity, .. } = &order.request;
    let sql =
        "UPDATE stock SET quantity = quantity - ?2 WHERE sku = ?1 AND quantity >= ?2 RETURNING quantity";
    let left: Option<i64> =
        transaction.prepare_cached(sql)?.query_row(params![sku, quantity], |row| row.get(0)).optional()?;
    if let Some(left) = left {
        return Ok(Event::about(order, INVENTORY_RESERVED).with_field("left", left));
    }
    let sql = "SELECT quantity FROM stock WHERE sku = ?1";
    let there: Option<i64> =
        transaction.prepare_cached(sql)?.query_row([sku], |row| row.get(0)).optional()?;
    let reason = match there {
        Some(there) => format!("{there} of `{sku}` left, {quantity} wanted"),
        None => format!("sku `{sku}` is unknown"),
    };
    Ok(Event::about(order, INVENTORY_REJECTED).with_field("reason", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_is_read_whole_or_not_at_all() {
        let stock = BTreeMap::from([("book".to_owned(), 0), ("lamp".to_owned(), 12)]);
        assert_eq!(parse_stock("lamp=12, book = 0"), Some(stock));
        assert!(parse_stock(STOCK).is_some());
        for wrong in ["lamp", "lamp=", "=1", "lamp=-1", "lamp=1,", "lamp=1,lamp=2", "lamp=1.5"] {
            assert_eq!(parse_stock(wrong), None, "{wrong}");
        }
    }
}
