//! The region's products: one `SQLite` file, shared by the products and indexer processes of the region.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::message::{Order, Product};
use crate::upsert::Upsert;
use fedctl_messaging::{Store, StoreError, fresh_id, mark_processed, processed_outcome};

/// Its file.
pub const FILE: &str = "products.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price TEXT NOT NULL,
    quantity INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
";

/// A product event to apply.
#[derive(Debug, Clone)]
pub struct Event {
    /// The message's identifier, if it has one; without one a repetition cannot be recognised.
    pub message_id: Option<String>,
    /// The product as of this event.
    pub product: Product,
    /// The version, if the event has one; without one it is always applied.
    pub version: Option<i64>,
}

/// A product after an order, to be published under the same identifier however often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// The identifier of the event.
    pub message_id: String,
    /// The product with its new quantity.
    pub product: Product,
    /// Counts the orders of this product.
    pub version: i64,
}

/// What the store did with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// The quantity is subtracted.
    Processed(Updated),
    /// It was before; the event of that time may not have been published.
    Repeated(Updated),
    /// There is no such product; nothing is remembered.
    UnknownProduct,
}

/// The products of a region. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue(Store);

impl Catalogue {
    /// Opens the catalogue at `path`.
    pub async fn open(path: PathBuf) -> anyhow::Result<Self> {
        Ok(Self(Store::open(path, TABLES).await?))
    }

    /// The product with this number.
    pub async fn product(&self, id: i64) -> Result<Option<Product>, StoreError> {
        self.0
            .read(move |connection| {
                let sql = "SELECT id, name, price, quantity FROM products WHERE id = ?1";
                Ok(connection.prepare_cached(sql)?.query_row([id], product).optional()?)
            })
            .await
    }

    /// Applies events in their order, all of them or none; one result each.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is applied.
    pub async fn index(&self, events: Vec<Event>) -> Result<Vec<Upsert>, StoreError> {
        self.0.write(move |transaction| events.iter().map(|event| apply(transaction, event)).collect()).await
    }

    /// Subtracts an order from its product and remembers the order, both or neither.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn order(&self, message_id: String, order: Order) -> Result<Ordered, StoreError> {
        self.0.write(move |transaction| subtract(transaction, &message_id, &order)).await
    }

    /// Remembers a message; `false` when `consumer` had it before.
    pub async fn remember(&self, consumer: &'static str, id: String) -> Result<bool, StoreError> {
        self.0.mark_processed(consumer, id).await
    }
}

fn product(row: &Row<'_>) -> rusqlite::Result<Product> {
    Ok(Product { id: row.get(0)?, name: row.get(1)?, price: row.get(2)?, quantity: row.get(3)? })
}

fn apply(transaction: &Transaction<'_>, event: &Event) -> Result<Upsert, StoreError> {
    if let Some(id) = &event.message_id
        && !mark_processed(transaction, "indexer", id, None)?
    {
        return Ok(Upsert::Duplicate);
    }
    // An equal version is applied: in the master region the order itself has already stored it.
    let sql = "INSERT INTO products (id, name, price, quantity, version)
        VALUES (?1, ?2, ?3, ?4, coalesce(?5, 0))
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price,
            quantity = excluded.quantity, version = max(version, excluded.version)
        WHERE ?5 IS NULL OR ?5 >= version";
    let Product { id, name, price, quantity } = &event.product;
    let changed =
        transaction.prepare_cached(sql)?.execute(params![id, name, price, quantity, event.version])?;
    Ok(if changed == 1 { Upsert::Applied } else { Upsert::Stale })
}

fn subtract(transaction: &Transaction<'_>, id: &str, order: &Order) -> Result<Ordered, StoreError> {
    if let Some(event) = processed_outcome(transaction, "orders", id)? {
        let event = event.unwrap_or_default();
        return Ok(Ordered::Repeated(serde_json::from_str(&event)?));
    }
    let sql = "UPDATE products SET quantity = quantity - ?2, version = version + 1 WHERE id = ?1
        RETURNING id, name, price, quantity, version";
    let updated = transaction
        .prepare_cached(sql)?
        .query_row([order.product_id, order.quantity], |row| Ok((product(row)?, row.get(4)?)))
        .optional()?;
    let Some((product, version)) = updated else { return Ok(Ordered::UnknownProduct) };
    let updated = Updated { message_id: fresh_id(), product, version };
    mark_processed(transaction, "orders", id, Some(&serde_json::to_string(&updated)?))?;
    Ok(Ordered::Processed(updated))
}

#[cfg(test)]
mod tests;
