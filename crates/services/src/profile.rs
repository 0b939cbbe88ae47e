//! The profile service: a user's name, changed in one region, becomes readable in every region.
//!
//! Who asks writes nothing: the change is an event, and every region, the asker's too, writes it when it comes.
//! A key that nobody bound can be tried with `POST /users/{id}/events/{action}`, which publishes `user.<action>`:
//! what no queue takes is refused, not lost.

pub mod front;
pub mod users;

use serde::Serialize;
use serde_json::Value;

use super::contract::{Fields, Invalid};
use super::{Program, Settings};
use fedctl_messaging::{
    Binding, Consume, ConsumeError, Declarations, Exchange, ExchangeKind, Log, Message, Subscription,
};
use users::{FILE, Kept, Users};

/// The topic exchange of what happens to users; federated.
pub const UPDATES: &str = "user_updates";
/// The action of a changed profile; its key is [`key`] of it.
pub const UPDATE: &str = "profile.update";
/// The keys that every profile service wants.
pub const PROFILE_KEYS: &str = "user.profile.*";

const PREFETCH: u16 = 32;

/// The key on [`UPDATES`] of an action on a user.
#[must_use]
pub fn key(action: &str) -> String {
    format!("user.{action}")
}

/// The queue of the profile service of `region`: not federated, and stable so that a restart misses nothing.
#[must_use]
pub fn queue(region: &str) -> String {
    format!("profile.{region}")
}

/// What the profile service of `region` needs.
#[must_use]
pub fn declarations(region: &str) -> Declarations {
    let binding =
        Binding { queue: queue(region), exchange: UPDATES.to_owned(), key: PROFILE_KEYS.to_owned() };
    Declarations {
        exchanges: vec![Exchange { name: UPDATES.to_owned(), kind: ExchangeKind::Topic }],
        queues: vec![queue(region)],
        bindings: vec![binding],
    }
}

/// A user, in events and answers alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The user's name.
    pub full_name: String,
    /// The user's number.
    pub id: i64,
}

impl User {
    /// Reads a user.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let name = |value: &Value| value.as_str().filter(|name| !name.trim().is_empty()).map(str::to_owned);
        let user = Self {
            full_name: fields.field("full_name", "Not a string, or a blank one.", name),
            id: fields.integer("id"),
        };
        fields.finish(user)
    }
}

pub(super) async fn run(program: Program) -> anyhow::Result<()> {
    let Settings { region, store, .. } = program.settings.clone();
    let users = Users::open(store.join(FILE)).await?;
    let router = front::router(front::Front { publisher: program.publisher.clone(), users: users.clone() });
    let subscription = Subscription::batched(queue(&region), PREFETCH);
    let consumer = Profile { users, log: program.log.clone() };
    program.run(declarations(&region), vec![subscription], consumer, router).await
}

/// Writes what happened to users.
struct Profile {
    users: Users,
    log: Log,
}

impl Consume for Profile {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let user = User::read(&message.json()?)?;
        let word = match self.users.keep(message.message_id().map(str::to_owned), user.clone()).await? {
            Kept::Updated => "profile_updated",
            Kept::Duplicate => "duplicate_skipped",
            Kept::Stale => "stale_skipped",
        };
        self.log
            .info(word)
            .with_message(message)
            .with("id", user.id)
            .with("full_name", user.full_name)
            .write();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_is_a_number_and_a_name_and_all_that_is_wrong_is_told() {
        let ann = User { full_name: "Ann Lee".to_owned(), id: 7 };
        assert_eq!(User::read(&json!({"full_name": "Ann Lee", "id": 7})), Ok(ann.clone()));
        assert_eq!(serde_json::to_string(&ann).unwrap(), r#"{"full_name":"Ann Lee","id":7}"#);
        let wrong = User::read(&json!({"full_name": " ", "id": "7"})).unwrap_err();
        assert_eq!(
            serde_json::to_value(wrong).unwrap(),
            json!({"full_name": ["Not a string, or a blank one."], "id": ["Not a valid integer."]})
        );
    }
}
