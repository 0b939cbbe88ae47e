//! What a service keeps: one `SQLite` file, and in it the identifiers of the messages whose effects are there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::backoff::backoff;
use super::session::Fault;

/// Shorter than a service takes to stop, so that what is under way ends, one way or the other, before it.
const BUSY_FOR: Duration = Duration::from_secs(2);
const OPEN_TRIES: u32 = 5;
const WAITING: usize = 64;

/// FULL, not NORMAL: an acknowledged message must outlive a power cut, not only a crash.
const SCHEMA: &str = "
PRAGMA synchronous = FULL;
PRAGMA cache_size = -512;
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
    /// What is stored cannot be read back.
    #[error("store: {0}")]
    Stored(#[from] serde_json::Error),
    /// The store's thread is gone.
    #[error("store: closed")]
    Closed,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Transient(error.to_string())
    }
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
    /// Opens the store at `path`, creating file and `tables`, an SQL script, where they are missing.
    ///
    /// # Errors
    /// When the file cannot be opened, or stays locked.
    pub async fn open(path: PathBuf, tables: &'static str) -> anyhow::Result<Self> {
        let (opened, result) = oneshot::channel();
        let (jobs, mut queue) = mpsc::channel::<Job>(WAITING);
        let shown = path.display().to_string();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            let mut connection = match connect(&path, tables) {
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

    /// Reads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        self.run(Box::new(move |connection| drop(done.send(work(connection))))).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes all that `work` does or nothing of it. Nothing is written for a caller that has gone: nobody would
    /// tell that it was done.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn write<T: Send + 'static>(
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
fn connect(path: &Path, tables: &str) -> rusqlite::Result<Connection> {
    let mut failures = 0;
    loop {
        let opened = Connection::open(path).and_then(|connection| {
            connection.busy_timeout(BUSY_FOR)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch(tables)?;
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

/// Remembers a message and what came of it, within the transaction that has its effect; `false` when `consumer`
/// had it before.
///
/// # Errors
/// When `SQLite` refuses.
pub fn remember(
    transaction: &Transaction<'_>,
    consumer: &str,
    message_id: &str,
    event: Option<&str>,
) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO seen (consumer, message_id, event) VALUES (?1, ?2, ?3)";
    Ok(transaction.execute(sql, params![consumer, message_id, event])? == 1)
}

/// What came of a message when `consumer` had it before.
///
/// # Errors
/// When `SQLite` refuses.
pub fn remembered(
    transaction: &Transaction<'_>,
    consumer: &str,
    message_id: &str,
) -> rusqlite::Result<Option<Option<String>>> {
    let sql = "SELECT event FROM seen WHERE consumer = ?1 AND message_id = ?2";
    transaction.query_row(sql, [consumer, message_id], |row| row.get(0)).optional()
}
