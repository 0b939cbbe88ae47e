//! What a host keeps: its machines, and the outcome of each command.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::command::{Command, Shortage, Verb, VmSpec};
use fedctl_messaging::{Message, Store, StoreError, mark_processed, processed_outcome};

const CONSUMER: &str = "commands";
/// Longer than an answer in flight can take to be confirmed.
const OVERDUE: Duration = Duration::from_secs(15);
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS machines (
    name TEXT PRIMARY KEY, image TEXT NOT NULL, cpus INTEGER NOT NULL, running INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (cpus INTEGER NOT NULL) STRICT;
INSERT INTO used SELECT coalesce(sum(cpus), 0) FROM machines WHERE NOT EXISTS (SELECT 1 FROM used);
CREATE TRIGGER IF NOT EXISTS taken AFTER INSERT ON machines BEGIN UPDATE used SET cpus = cpus + new.cpus; END;
CREATE TRIGGER IF NOT EXISTS freed AFTER DELETE ON machines BEGIN UPDATE used SET cpus = cpus - old.cpus; END;
CREATE TABLE IF NOT EXISTS owed (
    message_id TEXT PRIMARY KEY, correlation_id TEXT, reply_to TEXT NOT NULL,
    at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT, WITHOUT ROWID;
";

/// What a host has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Processors; a machine keeps its own, running or not, until it is deleted.
    pub cpus: i64,
    /// What machines can be made from.
    pub images: Vec<String>,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done, with this result.
    Done(Map<String, Value>),
    /// It cannot be done, for this reason.
    Refused(String),
    /// Another host may do it.
    Declined(Shortage),
}

/// The requester: what the answer to a message needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The message's identity.
    pub message_id: String,
    /// Its correlation identifier.
    pub correlation_id: Option<String>,
    /// Where its answer goes.
    pub reply_to: Option<String>,
}

impl Requester {
    /// The requester of this message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            message_id: message.identity().to_owned(),
            correlation_id: message.correlation_id().map(str::to_owned),
            reply_to: message.reply_to().map(str::to_owned),
        }
    }
}

/// The outcome of a command to a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Its outcome, now or the first time.
    pub outcome: Outcome,
    /// Whether the command arrived for the first time.
    pub first: bool,
    /// Answers that have been owed for longer than an answer can be in flight.
    pub overdue: Vec<(Requester, Outcome)>,
}

/// The machines of one host. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    store: Store,
    capacity: Arc<Capacity>,
    settled: Arc<Mutex<Vec<String>>>,
}

impl Machines {
    /// Opens what the host keeps at `path`.
    pub async fn open(path: PathBuf, capacity: Capacity) -> anyhow::Result<Self> {
        let store = Store::open(path, TABLES).await?;
        Ok(Self { store, capacity: Arc::new(capacity), settled: Arc::default() })
    }

    /// Carries out a command once: a redelivered one returns the outcome of the first time.
    ///
    /// An answer is owed for each machine created, until [`Machines::settle`].
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn apply(&self, requester: Requester, command: Command) -> Result<Applied, StoreError> {
        let (capacity, settled) = (Arc::clone(&self.capacity), Arc::clone(&self.settled));
        self.store
            .write(move |transaction| {
                forget(transaction, &settled)?;
                let (outcome, first) = perform(transaction, &requester, &command, &capacity)?;
                Ok(Applied { outcome, first, overdue: owed(transaction, OVERDUE)? })
            })
            .await
    }

    /// The answer to this message is no longer owed. That is stored with the next command: after a crash the answer
    /// is sent once more under the same identifier, which is harmless.
    pub fn settle(&self, message_id: String) {
        lock(&self.settled).push(message_id);
    }

    /// Stores what is settled, before the end.
    pub async fn close(&self) -> Result<(), StoreError> {
        let settled = Arc::clone(&self.settled);
        self.store.write(move |transaction| forget(transaction, &settled)).await
    }
}

fn lock(settled: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    settled.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(transaction: &Transaction<'_>, settled: &Mutex<Vec<String>>) -> Result<(), StoreError> {
    let settled = std::mem::take(&mut *lock(settled));
    for message_id in settled {
        transaction.prepare_cached("DELETE FROM owed WHERE message_id = ?1")?.execute([message_id])?;
    }
    Ok(())
}

/// The answers owed for at least this long, with their outcomes.
fn owed(connection: &Connection, since: Duration) -> Result<Vec<(Requester, Outcome)>, StoreError> {
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    // `CROSS` keeps this order: `owed` is small, `seen` is large
    let sql = "SELECT owed.message_id, correlation_id, reply_to, event FROM owed
        CROSS JOIN seen USING (message_id)
        WHERE consumer = ?1 AND event IS NOT NULL AND owed.at <= unixepoch() - ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![CONSUMER, seconds], |row| {
        let [message_id, event] = [row.get(0)?, row.get(3)?];
        Ok((Requester { message_id, correlation_id: row.get(1)?, reply_to: row.get(2)? }, event))
    })?;
    rows.map(|row| row.map_err(StoreError::from).and_then(parse_outcome)).collect()
}

fn parse_outcome((requester, event): (Requester, String)) -> Result<(Requester, Outcome), StoreError> {
    Ok((requester, serde_json::from_str(&event)?))
}

fn owe(transaction: &Transaction<'_>, requester: &Requester) -> rusqlite::Result<()> {
    let Requester { message_id, correlation_id, reply_to: Some(reply_to) } = requester else { return Ok(()) };
    let sql = "INSERT OR IGNORE INTO owed (message_id, correlation_id, reply_to) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![message_id, correlation_id, reply_to])?;
    Ok(())
}

fn perform(
    transaction: &Transaction<'_>,
    requester: &Requester,
    command: &Command,
    capacity: &Capacity,
) -> Result<(Outcome, bool), StoreError> {
    let id = &requester.message_id;
    if let Some(outcome) = processed_outcome(transaction, CONSUMER, id)? {
        return Ok((serde_json::from_str(&outcome.unwrap_or_default())?, false));
    }
    let outcome = match command {
        Command::Create(spec) => create(transaction, spec, capacity)?,
        Command::Change(verb, name) => change(transaction, *verb, name)?,
        Command::List => list(transaction)?,
    };
    mark_processed(transaction, CONSUMER, id, Some(&serde_json::to_string(&outcome)?))?;
    if let (Command::Create(_), Outcome::Done(_)) = (command, &outcome) {
        owe(transaction, requester)?;
    }
    Ok((outcome, true))
}

fn create(transaction: &Transaction<'_>, spec: &VmSpec, capacity: &Capacity) -> Result<Outcome, StoreError> {
    let VmSpec { name, image, cpus } = spec;
    let sql = "SELECT cpus, EXISTS (SELECT 1 FROM machines WHERE name = ?1) FROM used";
    let (used, exists): (i64, bool) =
        transaction.prepare_cached(sql)?.query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if exists {
        return Ok(Outcome::Refused(format!("vm `{name}` exists")));
    }
    if !capacity.images.contains(image) {
        return Ok(Outcome::Declined(Shortage::Image));
    }
    if *cpus > capacity.cpus - used {
        return Ok(Outcome::Declined(Shortage::Capacity));
    }
    let sql = "INSERT INTO machines (name, image, cpus, running) VALUES (?1, ?2, ?3, 0)
        RETURNING name, image, cpus, running";
    Ok(done("vm", transaction.prepare_cached(sql)?.query_row(params![name, image, cpus], machine)?))
}

fn change(transaction: &Transaction<'_>, verb: Verb, name: &str) -> Result<Outcome, StoreError> {
    let changed = if verb == Verb::Delete {
        let sql = "DELETE FROM machines WHERE name = ?1 RETURNING name, image, cpus, 0";
        transaction.prepare_cached(sql)?.query_row([name], machine)
    } else {
        let sql = "UPDATE machines SET running = ?2 WHERE name = ?1 RETURNING name, image, cpus, running";
        transaction.prepare_cached(sql)?.query_row(params![name, verb == Verb::Start], machine)
    };
    Ok(changed.optional()?.map_or_else(|| Outcome::Refused("no such vm".to_owned()), |vm| done("vm", vm)))
}

fn list(transaction: &Transaction<'_>) -> Result<Outcome, StoreError> {
    let sql = "SELECT name, image, cpus, running FROM machines ORDER BY name";
    let machines: Vec<Value> =
        transaction.prepare_cached(sql)?.query_map([], machine)?.collect::<Result<_, _>>()?;
    Ok(done("vms", Value::Array(machines)))
}

fn done(what: &str, value: Value) -> Outcome {
    Outcome::Done(Map::from_iter([(what.to_owned(), value)]))
}

fn machine(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (name, image): (String, String) = (row.get(0)?, row.get(1)?);
    let (cpus, running): (i64, bool) = (row.get(2)?, row.get(3)?);
    let state = if running { "running" } else { "stopped" };
    Ok(json!({"name": name, "image": image, "cpus": cpus, "state": state}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, image: &str, cpus: i64) -> Command {
        Command::Create(VmSpec { name: name.into(), image: image.into(), cpus })
    }

    fn change(verb: Verb, name: &str) -> Command {
        Command::Change(verb, name.into())
    }

    fn requester(id: &str) -> Requester {
        Requester { message_id: id.into(), correlation_id: None, reply_to: Some("replies".into()) }
    }

    async fn open(folder: &tempfile::TempDir) -> Machines {
        let capacity = Capacity { cpus: 4, images: vec!["debian".into()] };
        Machines::open(folder.path().join("host.db"), capacity).await.unwrap()
    }

    /// Opens the machines in `folder`, and returns the outcome of each command with that identifier.
    async fn apply_all(folder: &tempfile::TempDir, commands: Vec<(&str, Command)>) -> Vec<(Value, bool)> {
        let machines = open(folder).await;
        let mut outcomes = Vec::new();
        for (id, command) in commands {
            let Applied { outcome, first, .. } = machines.apply(requester(id), command).await.unwrap();
            outcomes.push((serde_json::to_value(outcome).unwrap(), first));
        }
        outcomes
    }

    fn vm(state: &str) -> Value {
        json!({"Done": {"vm": {"name": "a", "image": "debian", "cpus": 3, "state": state}}})
    }

    #[tokio::test]
    async fn a_machine_is_stopped_until_it_is_started_and_gone_when_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let made =
            apply_all(&folder, vec![("1", spec("a", "debian", 3)), ("2", change(Verb::Start, "a"))]).await;
        assert_eq!(made, [(vm("stopped"), true), (vm("running"), true)]);
        // Opened again, as after a restart.
        let later = [
            ("3", Command::List),
            ("4", change(Verb::Stop, "a")),
            ("5", change(Verb::Delete, "a")),
            ("6", change(Verb::Delete, "a")),
            ("7", change(Verb::Start, "a")),
            ("8", Command::List),
        ];
        let outcomes: Vec<Value> =
            apply_all(&folder, later.into()).await.into_iter().map(|outcome| outcome.0).collect();
        let none = json!({"Refused": "no such vm"});
        let listed = json!({"Done": {"vms": [vm("running")["Done"]["vm"]]}});
        let empty = json!({"Done": {"vms": []}});
        assert_eq!(outcomes, [listed, vm("stopped"), vm("stopped"), none.clone(), none, empty]);
    }

    #[tokio::test]
    async fn a_host_declines_what_it_cannot_give_and_refuses_a_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let outcomes = apply_all(
            &folder,
            vec![
                ("1", spec("a", "debian", 3)),
                ("2", spec("b", "debian", 2)),
                ("3", spec("b", "plan9", 1)),
                ("4", spec("a", "plan9", 9)),
                ("5", spec("b", "debian", 1)),
                ("6", spec("c", "debian", i64::MAX)),
            ],
        )
        .await;
        let words: Vec<String> = outcomes.iter().skip(1).map(|(outcome, _)| outcome.to_string()).collect();
        assert_eq!(words[0], r#"{"Declined":"capacity"}"#);
        assert_eq!(words[1], r#"{"Declined":"image"}"#);
        assert_eq!(words[2], r#"{"Refused":"vm `a` exists"}"#);
        assert!(words[3].contains("Done"), "{}", words[3]);
        assert_eq!(words[4], r#"{"Declined":"capacity"}"#);
    }

    #[tokio::test]
    async fn a_command_that_comes_again_gives_what_it_gave_and_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let create = || ("1", spec("a", "debian", 3));
        let first = apply_all(&folder, vec![create(), ("2", change(Verb::Delete, "a"))]).await;
        let again = apply_all(&folder, vec![create(), ("3", Command::List)]).await;
        assert_eq!(again[0], (first[0].0.clone(), false));
        assert_eq!(again[1].0, json!({"Done": {"vms": []}}));
    }

    #[tokio::test]
    async fn an_answer_is_owed_for_a_created_machine_until_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let silent = Requester { reply_to: None, ..requester("4") };
        let made = apply_all(
            &folder,
            vec![("1", spec("a", "debian", 1)), ("2", spec("b", "plan9", 1)), ("3", Command::List)],
        )
        .await;
        // Opened again, as after a crash before the answer.
        let machines = open(&folder).await;
        machines.apply(silent, spec("c", "debian", 1)).await.unwrap();
        let owed =
            async |since| machines.store.read(move |connection| owed(connection, since)).await.unwrap();
        let now = owed(Duration::ZERO).await;
        assert_eq!(now.len(), 1, "{now:?}");
        assert_eq!((&now[0].0, json!(now[0].1)), (&requester("1"), made[0].0.clone()));
        assert!(owed(OVERDUE).await.is_empty());
        machines.settle("1".into());
        machines.close().await.unwrap();
        assert!(owed(Duration::ZERO).await.is_empty());
    }
}
