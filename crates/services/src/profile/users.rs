//! The users of a region, as of the latest event that came.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::User;
use crate::upsert::Upsert;
use fedctl_messaging::{Store, StoreError, mark_processed};

/// Their file.
pub const FILE: &str = "users.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, version TEXT
) STRICT;
";

/// The users of a region. Cheap to clone.
///
/// The event with the latest message identifier wins, in whatever order events come, so all regions end up
/// alike. Identifiers of UUID version 7 start with the publisher's clock: where the clocks of two regions differ
/// by a second, a change within that second may lose against the one before it, and one from a clock that is
/// far ahead wins until the others get there. An event with another identifier, or none, has no time and is
/// always applied: there the last to come wins.
#[derive(Clone)]
pub struct Users(Store);

impl Users {
    /// Opens the users at `path`.
    pub async fn open(path: PathBuf) -> anyhow::Result<Self> {
        Ok(Self(Store::open(path, TABLES).await?))
    }

    /// The user with this number.
    pub async fn user(&self, id: i64) -> Result<Option<User>, StoreError> {
        self.0
            .read(move |connection| {
                let sql = "SELECT full_name, id FROM users WHERE id = ?1";
                let user = |row: &rusqlite::Row<'_>| Ok(User { full_name: row.get(0)?, id: row.get(1)? });
                Ok(connection.prepare_cached(sql)?.query_row([id], user).optional()?)
            })
            .await
    }

    /// Makes the user as the event says, and remembers the event, both or neither.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed.
    pub async fn upsert(&self, message_id: Option<String>, user: User) -> Result<Upsert, StoreError> {
        self.0.write(move |transaction| upsert(transaction, message_id.as_deref(), &user)).await
    }
}

fn upsert(
    transaction: &Transaction<'_>,
    message_id: Option<&str>,
    user: &User,
) -> Result<Upsert, StoreError> {
    if let Some(id) = message_id
        && !mark_processed(transaction, "profile", id, None)?
    {
        return Ok(Upsert::Duplicate);
    }
    let sql = "INSERT INTO users (id, full_name, version) VALUES (?1, ?2, ?3)
        ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name, version = coalesce(?3, version)
        WHERE ?3 IS NULL OR version IS NULL OR ?3 > version";
    let changed = transaction.prepare_cached(sql)?.execute(params![
        user.id,
        user.full_name,
        message_id.and_then(version)
    ])?;
    Ok(if changed == 1 { Upsert::Applied } else { Upsert::Stale })
}

/// An identifier that sorts by time, spelled so that it does.
fn version(message_id: &str) -> Option<String> {
    let id = Uuid::parse_str(message_id).ok()?;
    (id.get_version_num() == 7).then(|| id.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "01900000-0000-7000-8000-000000000000";
    const NEW: &str = "0190FFFF-0000-7000-8000-000000000000";

    async fn kept(users: &Users, id: Option<&str>, name: &str) -> (Upsert, String) {
        let user = User { full_name: name.to_owned(), id: 1 };
        let kept = users.upsert(id.map(str::to_owned), user).await.unwrap();
        (kept, users.user(1).await.unwrap().unwrap().full_name)
    }

    #[tokio::test]
    async fn the_latest_event_wins_in_whatever_order_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::open(folder.path().join(FILE)).await.unwrap();
        assert_eq!(users.user(1).await.unwrap(), None);
        assert_eq!(kept(&users, Some(NEW), "new").await, (Upsert::Applied, "new".to_owned()));
        assert_eq!(kept(&users, Some(OLD), "old").await, (Upsert::Stale, "new".to_owned()));
        assert_eq!(kept(&users, Some(NEW), "again").await, (Upsert::Duplicate, "new".to_owned()));
        assert_eq!(kept(&users, Some("mine"), "timeless").await, (Upsert::Applied, "timeless".to_owned()));
        assert_eq!(kept(&users, None, "nameless").await, (Upsert::Applied, "nameless".to_owned()));
        let older = "0190aaaa-0000-7000-8000-000000000000";
        assert_eq!(kept(&users, Some(older), "late").await, (Upsert::Stale, "nameless".to_owned()));
    }

    #[test]
    fn only_identifiers_of_version_7_have_a_time() {
        assert_eq!(version(NEW), Some(NEW.to_lowercase()));
        assert_eq!(version("01900000-0000-4000-8000-000000000000"), None);
        assert_eq!(version("event-1"), None);
    }
}
