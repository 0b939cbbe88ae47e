//! What the API remembers of the machines it asked for: which host has each, so that no second one keeps it.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::command::{Answer, Host};
use fedctl_messaging::{Store, StoreError};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS asked (
    correlation_id TEXT PRIMARY KEY, name TEXT NOT NULL, host TEXT, at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT, WITHOUT ROWID;
DELETE FROM asked WHERE at < unixepoch() - 7 * 86400;
";

/// The machines asked for, for 7 days at least. Cheap to clone.
#[derive(Clone)]
pub struct Requested(Store);

impl Requested {
    /// Opens what is remembered at `path`.
    pub async fn open(path: PathBuf) -> anyhow::Result<Self> {
        Ok(Self(Store::open(path, TABLES).await?))
    }

    /// Remembers that a machine is asked for.
    pub async fn remember(&self, correlation_id: String, name: String) -> Result<(), StoreError> {
        let sql = "INSERT INTO asked (correlation_id, name) VALUES (?1, ?2)";
        let insert = move |transaction: &Transaction<'_>| {
            transaction.prepare_cached(sql)?.execute([correlation_id, name])?;
            Ok(())
        };
        self.0.write(insert).await
    }

    /// The name of the machine if this answer reports a second copy of it: another host has already reported that it
    /// created it.
    pub async fn second(&self, correlation_id: &str, answer: &Answer) -> Result<Option<String>, StoreError> {
        if answer.result.is_err() {
            return Ok(None);
        }
        let (correlation_id, host) = (correlation_id.to_owned(), answer.host.clone());
        self.0.write(move |transaction| {
            let sql = "UPDATE asked SET host = coalesce(host, ?2) WHERE correlation_id = ?1 RETURNING name, host";
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let first: Option<(String, String)> =
                transaction.prepare_cached(sql)?.query_row(params![correlation_id, host.to_string()], row).optional()?;
            let another = |had: &str| had.parse::<Host>().is_ok_and(|had| had != host);
            Ok(first.filter(|(_, had)| another(had)).map(|(name, _)| name))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_host_has_the_machine_and_any_other_is_one_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let requested = Requested::open(folder.path().join("compute.db")).await.unwrap();
        requested.remember("c-1".into(), "vm".into()).await.unwrap();
        let created = |host: &str| Answer { host: host.parse().unwrap(), result: Ok(serde_json::Map::new()) };
        let declined = Answer { host: "asia/c".parse().unwrap(), result: Err("no".into()) };
        for (correlation, answer, second) in [
            ("c-1", &declined, None),
            ("c-1", &created("asia/a"), None),
            ("c-1", &created("asia/a"), None),
            ("c-1", &created("europe/b"), Some("vm")),
            ("c-1", &created("europe/b"), Some("vm")),
            ("c-1", &declined, None),
            ("c-2", &created("europe/b"), None),
        ] {
            let undone = requested.second(correlation, answer).await.unwrap();
            assert_eq!(undone.as_deref(), second, "{correlation} {answer:?}");
        }
    }
}
