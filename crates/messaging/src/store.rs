//! What a service stores: one `SQLite` file, with the identifiers of the messages whose effects are in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::{backoff::backoff, consumer::ConsumeError};

/// Shorter than a service takes to stop, so that what is in flight ends, one way or the other, before it.
const BUSY_FOR: Duration = Duration::from_secs(2);
const OPEN_RETRIES: u32 = 5;
const QUEUE: usize = 64;
/// How many waiting writes are committed together: they share the time of the disk.
const GROUP: usize = 64;

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

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("opening the store `{}`", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("starting the thread of the store")]
    Start(#[source] std::io::Error),
    /// `SQLite` refused: busy, full, broken, or a constraint. Shared, because one commit is for several writes.
    #[error("store: {0}")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// What is stored cannot be read back.
    #[error("store: {0}")]
    Stored(#[from] serde_json::Error),
    #[error("store: closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl From<StoreError> for ConsumeError {
    fn from(error: StoreError) -> Self {
        Self::Retryable(error.to_string())
    }
}

enum Job {
    Read(Box<dyn FnOnce(&Connection) + Send>),
    Write(Write),
}

/// Makes its changes within a transaction, if there is one, and returns the function that reports the result.
type Write = Box<dyn FnOnce(Option<&Transaction<'_>>) -> Report + Send>;

/// Reports the result to the caller of a write, once it is known whether the transaction was committed.
type Report = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>)>;

/// One connection on a thread of its own, so that a slow disk never holds up the network. Cheap to clone.
///
/// Message identifiers are kept for at least 7 days.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the store at `path`, creating the file and `tables`, an SQL script, if they are missing.
    pub async fn open(path: PathBuf, tables: &'static str) -> Result<Self, StoreError> {
        let (opened, result) = oneshot::channel();
        let (jobs, queue) = mpsc::channel(QUEUE);
        let file = path.clone();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || match connect(&file, tables) {
                Ok(connection) => {
                    let _ = opened.send(Ok(()));
                    serve(connection, queue);
                }
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(StoreError::Start)?;
        let opened = result.await.map_err(|_| StoreError::Closed)?;
        opened.map_err(|source| StoreError::Open { path, source })?;
        Ok(Self { jobs })
    }

    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        let read = move |connection: &Connection| drop(done.send(work(connection)));
        self.submit(Job::Read(Box::new(read))).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Makes all the changes of `work`, or on an error none. If the caller is dropped first, nothing is written, since
    /// the result would be lost. Writes that wait together are committed together, in their order.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        let write = move |transaction: Option<&Transaction<'_>>| -> Report {
            let written = match transaction {
                Some(transaction) if !done.is_closed() => {
                    in_savepoint(transaction, work, || !done.is_closed())
                }
                _ => Err(StoreError::Closed),
            };
            Box::new(move |committed| drop(done.send(committed.map_err(StoreError::Sqlite).and(written))))
        };
        self.submit(Job::Write(Box::new(write))).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    async fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)
    }

    /// As the function [`mark_processed`], in a transaction of its own.
    pub async fn mark_processed(&self, consumer: &'static str, id: String) -> Result<bool, StoreError> {
        self.write(move |transaction| Ok(mark_processed(transaction, consumer, &id, None)?)).await
    }
}

/// Runs the store's requests until every handle is dropped.
fn serve(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut jobs, GROUP) > 0 {
        let mut writes = Vec::new();
        for job in jobs.drain(..) {
            match job {
                Job::Read(read) => read(&connection),
                Job::Write(write) => writes.push(write),
            }
        }
        if !writes.is_empty() {
            commit(&mut connection, writes);
        }
    }
}

/// Makes all the writes in one transaction, and reports the result of each.
fn commit(connection: &mut Connection, writes: Vec<Write>) {
    let (reports, committed): (Vec<Report>, _) =
        match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => {
                // a full disk ends the transaction, and what came after it would be outside of any
                let open = || Some(&transaction).filter(|transaction| !transaction.is_autocommit());
                (writes.into_iter().map(|write| write(open())).collect(), transaction.commit())
            }
            Err(error) => (writes.into_iter().map(|write| write(None)).collect(), Err(error)),
        };
    let committed = committed.map_err(Arc::new);
    for report in reports {
        report(committed.clone());
    }
}

/// Does the work within a transaction that others share, or leaves no trace of it.
fn in_savepoint<T>(
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    is_wanted: impl Fn() -> bool,
) -> Result<T, StoreError> {
    let run = |sql: &str| transaction.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT job")?;
    let result = work(transaction).and_then(|done| is_wanted().then_some(done).ok_or(StoreError::Closed));
    if result.is_err() {
        run("ROLLBACK TO job")?;
    }
    run("RELEASE job")?;
    result
}

/// Two processes may create the file at once, and the switch to WAL does not wait for the other's lock.
#[expect(clippy::disallowed_methods, reason = "a bounded back-off, on the store's own thread")]
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
            Err(error) if failures < OPEN_RETRIES && is_busy(&error) => {
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

/// Records a message and its outcome, within the transaction that has its effect; `false` if `consumer` has processed it
/// before.
pub fn mark_processed(
    transaction: &Transaction<'_>,
    consumer: &str,
    message_id: &str,
    outcome: Option<&str>,
) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO seen (consumer, message_id, event) VALUES (?1, ?2, ?3)";
    Ok(transaction.prepare_cached(sql)?.execute(params![consumer, message_id, outcome])? == 1)
}

/// The outcome that was recorded, if any, when `consumer` processed the message; `None` if it has not yet.
pub fn processed_outcome(
    transaction: &Transaction<'_>,
    consumer: &str,
    message_id: &str,
) -> rusqlite::Result<Option<Option<String>>> {
    let sql = "SELECT event FROM seen WHERE consumer = ?1 AND message_id = ?2";
    transaction.prepare_cached(sql)?.query_row([consumer, message_id], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const TABLES: &str = "CREATE TABLE IF NOT EXISTS notes (text TEXT PRIMARY KEY) STRICT;";

    fn note(transaction: &Transaction<'_>, text: &str) -> Result<(), StoreError> {
        transaction.prepare_cached("INSERT INTO notes VALUES (?1)")?.execute([text])?;
        Ok(())
    }

    #[tokio::test]
    async fn of_writes_that_wait_together_one_that_fails_leaves_no_trace_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("notes.db"), TABLES).await.unwrap();
        let (go, gone) = channel::<()>();
        let busy = store.read(move |_| Ok(gone.recv().is_ok()));
        let first = store.write(|transaction| note(transaction, "first"));
        let twice =
            store.write(|transaction| note(transaction, "half").and_then(|()| note(transaction, "first")));
        let last = store.write(|transaction| note(transaction, "last"));
        let all = async { tokio::join!(busy, first, twice, last, async { go.send(()) }) };
        let (_, first, twice, last, _) = all.await;
        assert!(first.is_ok() && last.is_ok());
        assert!(twice.unwrap_err().to_string().contains("UNIQUE"));
        let read = |connection: &Connection| {
            let mut texts = connection.prepare("SELECT text FROM notes ORDER BY text")?;
            let texts = texts.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            Ok(texts)
        };
        assert_eq!(store.read(read).await.unwrap(), ["first", "last"]);
    }

    #[tokio::test]
    async fn nothing_is_written_for_a_caller_that_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("notes.db"), TABLES).await.unwrap();
        let (go, gone) = channel::<()>();
        let busy = store.read(move |_| Ok(gone.recv().is_ok()));
        let dropped = store.write(|transaction| note(transaction, "dropped"));
        let impatient = async {
            tokio::select! { biased; _ = dropped => {}, () = tokio::task::yield_now() => {} }
            go.send(())
        };
        let _ = tokio::join!(busy, impatient);
        let count = |connection: &Connection| {
            Ok(connection.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(store.read(count).await.unwrap(), 0);
    }
}
