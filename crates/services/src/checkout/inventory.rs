//! The inventory: reserves an order's quantity, or rejects it with a reason; gives it back if the order cannot be paid.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::chain::{ChainContext, Event};
use super::home::Homes;
use super::order::{Order, Request};
use super::{ChainConsumer, ChainService, declarations};
use crate::http::Failure;
use crate::process::Process;
use fedctl_contract::checkout::{
    INVENTORY_REJECTED, INVENTORY_RELEASED, INVENTORY_RESERVED, ORDER_CREATED, ORDERS_CREATED,
    PAYMENT_FAILED, STOCK_PATH, queue,
};
use fedctl_contract::environment;
use fedctl_contract::log::event;
use fedctl_messaging::{ConsumeError, Message, StoreError};

const PREFETCH: u16 = 32;
const FILE: &str = "inventory.db";
/// The check is a second lock on what [`reserve`] sees to: no stock below zero.
///
/// One row an order, so that no two events reserve or release it twice: a second reservation is refused and
/// dead-lettered. What is released without having been reserved has a row too, so that it never will be.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS stock (
    sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER NOT NULL, is_released INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";
const STOCK: &str = "lamp=1000,book=1000";

/// Reserves and releases stock.
pub struct Inventory {
    context: ChainContext,
    homes: Homes,
}

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let wanted = "`sku=quantity,…` with each sku once";
    let stock = process.settings.read_option(environment::STOCK, STOCK, wanted, parse_stock)?;
    let homes = Homes::read(&process.settings)?;
    let context = ChainContext::open(process, FILE, TABLES).await?;
    context.store.write(move |transaction| fill(transaction, &stock)).await?;
    let router =
        Router::new().route(&format!("{STOCK_PATH}/{{sku}}"), get(stock_of)).with_state(context.clone());
    let keys = [ORDER_CREATED, ORDERS_CREATED, PAYMENT_FAILED];
    let declarations = declarations(&queue(process.program.name()), &keys);
    let inventory = ChainConsumer::Inventory(Inventory { context, homes });
    Ok(ChainService { router, ..ChainService::new(declarations, PREFETCH, inventory) })
}

/// `GET /stock/{sku}`: what this region has left of it.
async fn stock_of(
    State(context): State<ChainContext>,
    Path(sku): Path<String>,
) -> Result<Json<Value>, Failure> {
    let asked = sku.clone();
    match context.store.read(move |connection| quantity(connection, &asked)).await? {
        Some(quantity) => Ok(Json(json!({"sku": sku, "quantity": quantity}))),
        None => Err(Failure::NotFound("Sku not found".to_owned())),
    }
}

impl Inventory {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let order = Order::read(&message.json()?)?;
        let home = self.homes.elsewhere(&order);
        if message.original_routing_key() == PAYMENT_FAILED {
            let is_home = home.is_none();
            let release = move |transaction: &Transaction<'_>| release(transaction, &order, is_home);
            return self.context.process_and_publish(message, release, word).await;
        }
        if let Some(home) = home {
            self.context.log_left_to(home, message, &order);
            return Ok(());
        }
        let reserve = move |transaction: &Transaction<'_>| reserve(transaction, &order).map(Some);
        self.context.process_and_publish(message, reserve, word).await
    }
}

/// The log event for an event's key.
fn word(key: &str) -> &'static str {
    match key {
        INVENTORY_RESERVED => event::STOCK_RESERVED,
        INVENTORY_RELEASED => event::STOCK_RELEASED,
        _ => event::STOCK_REJECTED,
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
    let Request { sku, quantity: wanted, .. } = &order.request;
    let rejected = |reason: String| Event::about(order, INVENTORY_REJECTED).with_field("reason", reason);
    let sql = "SELECT 1 FROM reservations WHERE order_id = ?1 AND is_released";
    if transaction.prepare_cached(sql)?.exists([&order.order_id])? {
        return Ok(rejected("its payment has failed".to_owned()));
    }
    let sql =
        "UPDATE stock SET quantity = quantity - ?2 WHERE sku = ?1 AND quantity >= ?2 RETURNING quantity";
    let left: Option<i64> =
        transaction.prepare_cached(sql)?.query_row(params![sku, wanted], |row| row.get(0)).optional()?;
    if let Some(left) = left {
        let sql = "INSERT INTO reservations (order_id, sku, quantity, is_released) VALUES (?1, ?2, ?3, 0)";
        transaction.prepare_cached(sql)?.execute(params![order.order_id, sku, wanted])?;
        return Ok(Event::about(order, INVENTORY_RESERVED).with_field("left", left));
    }
    Ok(rejected(match quantity(transaction, sku)? {
        Some(there) => format!("{there} of `{sku}` left, {wanted} wanted"),
        None => format!("sku `{sku}` is unknown"),
    }))
}

/// Gives back what is reserved for an order. It may be reserved here though its home is elsewhere, if that has changed since.
fn release(transaction: &Transaction<'_>, order: &Order, is_home: bool) -> Result<Option<Event>, StoreError> {
    let sql = "UPDATE reservations SET is_released = 1 WHERE order_id = ?1 AND NOT is_released
        RETURNING sku, quantity";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let reserved = transaction.prepare_cached(sql)?.query_row([&order.order_id], read).optional()?;
    let Some((sku, quantity)) = reserved else {
        if is_home {
            let sql = "INSERT OR IGNORE INTO reservations (order_id, sku, quantity, is_released)
                VALUES (?1, ?2, 0, 1)";
            transaction.prepare_cached(sql)?.execute(params![order.order_id, order.request.sku])?;
        }
        return Ok(None);
    };
    let sql = "UPDATE stock SET quantity = quantity + ?2 WHERE sku = ?1 RETURNING quantity";
    let left: i64 = transaction.prepare_cached(sql)?.query_row(params![sku, quantity], |row| row.get(0))?;
    Ok(Some(Event::about(order, INVENTORY_RELEASED).with_field("left", left)))
}

fn quantity(connection: &Connection, sku: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT quantity FROM stock WHERE sku = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([sku], |row| row.get(0)).optional()?)
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
