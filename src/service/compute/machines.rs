//! What a host keeps: its machines, and what came of each command.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::contract::{Command, Lack, Verb, Wanted};
use crate::service::messaging::store::{Store, StoreError, remember, remembered};

const CONSUMER: &str = "commands";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS machines (
    name TEXT PRIMARY KEY, image TEXT NOT NULL, cpus INTEGER NOT NULL, running INTEGER NOT NULL
) STRICT;
";

/// What a host has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Means {
    /// Processors; a machine keeps its own, running or not, until it is deleted.
    pub cpus: i64,
    /// What machines can be made from.
    pub images: Vec<String>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done, and this is to be told.
    Done(Map<String, Value>),
    /// It cannot be done, for this reason.
    Refused(String),
    /// Another host may do it.
    Declined(Lack),
}

/// The machines of one host. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    store: Store,
    means: Arc<Means>,
}

impl Machines {
    /// Opens what the host keeps at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened, or stays locked.
    pub async fn open(path: PathBuf, means: Means) -> anyhow::Result<Self> {
        Ok(Self { store: Store::open(path, TABLES).await?, means: Arc::new(means) })
    }

    /// Does as told, once: a command that comes again gives what came of it the first time, and `false`.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn apply(&self, id: String, command: Command) -> Result<(Outcome, bool), StoreError> {
        let means = Arc::clone(&self.means);
        self.store
            .write(move |transaction| {
                if let Some(outcome) = remembered(transaction, CONSUMER, &id)? {
                    return Ok((serde_json::from_str(&outcome.unwrap_or_default())?, false));
                }
                let outcome = match &command {
                    Command::Create(wanted) => create(transaction, wanted, &means)?,
                    Command::Change(verb, name) => change(transaction, *verb, name)?,
                    Command::List => list(transaction)?,
                };
                remember(transaction, CONSUMER, &id, Some(&serde_json::to_string(&outcome)?))?;
                Ok((outcome, true))
            })
            .await
    }
}

fn create(transaction: &Transaction<'_>, wanted: &Wanted, means: &Means) -> Result<Outcome, StoreError> {
    let Wanted { name, image, cpus } = wanted;
    let sql = "SELECT coalesce(sum(cpus), 0), coalesce(max(name = ?1), 0) FROM machines";
    let (used, exists): (i64, bool) =
        transaction.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if exists {
        return Ok(Outcome::Refused(format!("vm `{name}` exists")));
    }
    if !means.images.contains(image) {
        return Ok(Outcome::Declined(Lack::Image));
    }
    if *cpus > means.cpus - used {
        return Ok(Outcome::Declined(Lack::Capacity));
    }
    let sql = "INSERT INTO machines (name, image, cpus, running) VALUES (?1, ?2, ?3, 0)
        RETURNING name, image, cpus, running";
    Ok(done("vm", transaction.query_row(sql, params![name, image, cpus], machine)?))
}

fn change(transaction: &Transaction<'_>, verb: Verb, name: &str) -> Result<Outcome, StoreError> {
    let sql = match verb {
        Verb::Delete => "DELETE FROM machines WHERE name = ?1 RETURNING name, image, cpus, 0",
        _ => "UPDATE machines SET running = ?2 WHERE name = ?1 RETURNING name, image, cpus, running",
    };
    let running = verb == Verb::Start;
    let mut statement = transaction.prepare(sql)?;
    let changed = match verb {
        Verb::Delete => statement.query_row([name], machine),
        _ => statement.query_row(params![name, running], machine),
    };
    Ok(changed.optional()?.map_or_else(|| Outcome::Refused("no such vm".to_owned()), |vm| done("vm", vm)))
}

fn list(transaction: &Transaction<'_>) -> Result<Outcome, StoreError> {
    let sql = "SELECT name, image, cpus, running FROM machines ORDER BY name";
    let machines: Vec<Value> = transaction.prepare(sql)?.query_map([], machine)?.collect::<Result<_, _>>()?;
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

    fn wanted(name: &str, image: &str, cpus: i64) -> Command {
        Command::Create(Wanted { name: name.into(), image: image.into(), cpus })
    }

    fn change(verb: Verb, name: &str) -> Command {
        Command::Change(verb, name.into())
    }

    /// Opens the machines in `folder`, and gives what comes of each command of that identifier.
    async fn tell(folder: &tempfile::TempDir, commands: Vec<(&str, Command)>) -> Vec<(Value, bool)> {
        let means = Means { cpus: 4, images: vec!["debian".into()] };
        let machines = Machines::open(folder.path().join("host.db"), means).await.unwrap();
        let mut outcomes = Vec::new();
        for (id, command) in commands {
            let (outcome, first) = machines.apply(id.into(), command).await.unwrap();
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
            tell(&folder, vec![("1", wanted("a", "debian", 3)), ("2", change(Verb::Start, "a"))]).await;
        assert_eq!(made, [(vm("stopped"), true), (vm("running"), true)]);
        // Opened anew, as after a restart.
        let later = [
            ("3", Command::List),
            ("4", change(Verb::Stop, "a")),
            ("5", change(Verb::Delete, "a")),
            ("6", change(Verb::Delete, "a")),
            ("7", change(Verb::Start, "a")),
            ("8", Command::List),
        ];
        let outcomes: Vec<Value> = tell(&folder, later.into()).await.into_iter().map(|told| told.0).collect();
        let none = json!({"Refused": "no such vm"});
        let listed = json!({"Done": {"vms": [vm("running")["Done"]["vm"]]}});
        let empty = json!({"Done": {"vms": []}});
        assert_eq!(outcomes, [listed, vm("stopped"), vm("stopped"), none.clone(), none, empty]);
    }

    #[tokio::test]
    async fn a_host_declines_what_it_cannot_give_and_refuses_a_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let outcomes = tell(
            &folder,
            vec![
                ("1", wanted("a", "debian", 3)),
                ("2", wanted("b", "debian", 2)),
                ("3", wanted("b", "plan9", 1)),
                ("4", wanted("a", "plan9", 9)),
                ("5", wanted("b", "debian", 1)),
                ("6", wanted("c", "debian", i64::MAX)),
            ],
        )
        .await;
        let words: Vec<String> = outcomes.iter().skip(1).map(|(told, _)| told.to_string()).collect();
        assert_eq!(words[0], r#"{"Declined":"capacity"}"#);
        assert_eq!(words[1], r#"{"Declined":"image"}"#);
        assert_eq!(words[2], r#"{"Refused":"vm `a` exists"}"#);
        assert!(words[3].contains("Done"), "{}", words[3]);
        assert_eq!(words[4], r#"{"Declined":"capacity"}"#);
    }

    #[tokio::test]
    async fn a_command_that_comes_again_gives_what_it_gave_and_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let create = || ("1", wanted("a", "debian", 3));
        let first = tell(&folder, vec![create(), ("2", change(Verb::Delete, "a"))]).await;
        let again = tell(&folder, vec![create(), ("3", Command::List)]).await;
        assert_eq!(again[0], (first[0].0.clone(), false));
        assert_eq!(again[1].0, json!({"Done": {"vms": []}}));
    }
}
