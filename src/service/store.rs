//! The region's products: one `SQLite` file, shared by the products and indexer processes of the region.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::backoff::backoff;
use super::contract::{Order, Product};
use super::message::fresh_id;
use super::session::Fault;

/// Shorter than a service takes to stop, so that what is under way ends, one way or the other, before it.
const BUSY_FOR: Duration = Duration::from_secs(2);
const OPEN_TRIES: u32 = 5;
const WAITING: usize = 64;

/// FULL, not NORMAL: an acknowledged message must outlive a power cut, not only a crash.
const SCHEMA: &str = "
PRAGMA synchronous = FULL;
PRAGMA cache_size = -512;
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price TEXT NOT NULL,
    quantity INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seen (
    consumer TEXT NOT NULL, message_id TEXT NOT NULL, at INTEGER NOT NULL DEFAULT (unixepoch()),
    event TEXT, PRIMARY KEY (consumer, message_id)
) STRICT, WITHOUT ROWID;
DELETE FROM seen WHERE at < unixepoch() - 7 * 86400;
";

/// Why the store did not do as asked: it may be busy, full, or broken.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `SQLite` refused.
    #[error("store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A remembered event cannot be read back.
    #[error("store: {0}")]
    Event(#[from] serde_json::Error),
    /// The store's thread is gone.
    #[error("store: closed")]
    Closed,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Transient(error.to_string())
    }
}

/// What the store did with a product event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// The product is now as the event says.
    Applied,
    /// The message was applied before.
    Duplicate,
    /// A newer version is stored.
    Stale,
}

/// A product event to apply.
#[derive(Debug, Clone)]
pub struct Event {
    /// The message's identifier, if it has one; without one a repetition cannot be told.
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

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store: one connection on a thread of its own, so that a slow disk never holds up the network.
///
/// Message identifiers are remembered for at least 7 days. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the store at `path`, creating file and tables where they are missing.
    ///
    /// # Errors
    /// When the file cannot be opened, or stays locked.
    pub async fn open(path: PathBuf) -> anyhow::Result<Self> {
        let (opened, result) = oneshot::channel();
        let (jobs, mut queue) = mpsc::channel::<Job>(WAITING);
        let shown = path.display().to_string();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            let mut connection = match connect(&path) {
                Ok(connection) => connection,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let _ = opened.send(Ok(()));
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        result.await?.with_context(|| format!("opening the store `{shown}`"))?;
        Ok(Self { jobs })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        self.run(Box::new(move |connection| drop(done.send(work(connection))))).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Nothing is written for a caller that has gone: nobody would tell that it was done.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        self.run(Box::new(move |connection| {
            if !done.is_closed() {
                let written = commit(connection, work, || !done.is_closed());
                let _ = done.send(written);
            }
        }))
        .await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    async fn run(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)
    }

    /// The product with this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn product(&self, id: i64) -> Result<Option<Product>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT id, name, price, quantity FROM products WHERE id = ?1";
            Ok(connection.query_row(sql, [id], product).optional()?)
        })
        .await
    }

    /// Applies events in their order, all of them or none; one result each.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is applied.
    pub async fn index(&self, events: Vec<Event>) -> Result<Vec<Indexed>, StoreError> {
        self.write(move |transaction| events.iter().map(|event| apply(transaction, event)).collect()).await
    }

    /// Subtracts an order from its product and remembers the order, both or neither.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn order(&self, message_id: String, order: Order) -> Result<Ordered, StoreError> {
        self.write(move |transaction| subtract(transaction, &message_id, &order)).await
    }

    /// Remembers a message; `false` when `consumer` had it before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remember(&self, consumer: &'static str, id: String) -> Result<bool, StoreError> {
        self.write(move |transaction| Ok(remember(transaction, consumer, &id, None)?)).await
    }
}

fn commit<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    wanted: impl Fn() -> bool,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    if !wanted() {
        return Err(StoreError::Closed);
    }
    transaction.commit()?;
    Ok(result)
}

/// Two processes may create the file at once, and the switch to WAL does not wait for the other's lock.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut failures = 0;
    loop {
        let opened = Connection::open(path).and_then(|connection| {
            connection.busy_timeout(BUSY_FOR)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        });
        match opened {
            Err(error) if failures < OPEN_TRIES && is_busy(&error) => {
                std::thread::sleep(backoff(failures));
                failures += 1;
            }
            opened => return opened,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn product(row: &Row<'_>) -> rusqlite::Result<Product> {
    Ok(Product { id: row.get(0)?, name: row.get(1)?, price: row.get(2)?, quantity: row.get(3)? })
}

fn remember(
    transaction: &Transaction<'_>,
    consumer: &str,
    message_id: &str,
    event: Option<&str>,
) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO seen (consumer, message_id, event) VALUES (?1, ?2, ?3)";
    Ok(transaction.execute(sql, params![consumer, message_id, event])? == 1)
}

fn apply(transaction: &Transaction<'_>, event: &Event) -> Result<Indexed, StoreError> {
    if let Some(id) = &event.message_id
        && !remember(transaction, "indexer", id, None)?
    {
        return Ok(Indexed::Duplicate);
    }
    // An equal version is applied: in the master region the order itself has already stored it.
    let sql = "INSERT INTO products (id, name, price, quantity, version)
        VALUES (?1, ?2, ?3, ?4, coalesce(?5, 0))
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price,
            quantity = excluded.quantity, version = max(version, excluded.version)
        WHERE ?5 IS NULL OR ?5 >= version";
    let Product { id, name, price, quantity } = &event.product;
    let changed = transaction.execute(sql, params![id, name, price, quantity, event.version])?;
    Ok(if changed == 1 { Indexed::Applied } else { Indexed::Stale })
}

fn subtract(transaction: &Transaction<'_>, id: &str, order: &Order) -> Result<Ordered, StoreError> {
    let sql = "SELECT event FROM seen WHERE consumer = 'orders' AND message_id = ?1";
    let earlier: Option<String> = transaction.query_row(sql, [id], |row| row.get(0)).optional()?;
    if let Some(event) = earlier {
        return Ok(Ordered::Repeated(serde_json::from_str(&event)?));
    }
    let sql = "UPDATE products SET quantity = quantity - ?2, version = version + 1 WHERE id = ?1
        RETURNING id, name, price, quantity, version";
    let updated = transaction
        .query_row(sql, [order.product_id, order.quantity], |row| Ok((product(row)?, row.get(4)?)))
        .optional()?;
    let Some((product, version)) = updated else { return Ok(Ordered::UnknownProduct) };
    let updated = Updated { message_id: fresh_id(), product, version };
    remember(transaction, "orders", id, Some(&serde_json::to_string(&updated)?))?;
    Ok(Ordered::Processed(updated))
}

#[cfg(test)]
mod tests;
