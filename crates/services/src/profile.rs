//! The profile service: a user's name, changed in one region, becomes readable in every region.
//!
//! The API writes nothing: the change is an event, and every region, the caller's too, writes it on arrival. A key that
//! no queue is bound with can be tried with `POST /users/{id}/events/{action}`, which publishes `user.<action>`: what
//! is unroutable is refused, not lost.

pub mod api;
pub mod users;

use serde::Serialize;
use serde_json::Value;

use crate::fields::{Fields, Invalid};
use crate::process::Process;
use crate::settings::Settings;
use api::Api;
use fedctl_contract::log::{event, field};
use fedctl_contract::profile::{PROFILE_KEYS, UPDATES, queue};
use fedctl_messaging::{
    Binding, Consume, ConsumeError, Declarations, Exchange, ExchangeKind, Log, Message, Subscription,
};
use users::{FILE, Users};

const PREFETCH: u16 = 32;

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

pub(super) async fn run(process: Process) -> anyhow::Result<()> {
    let Settings { region, store, .. } = process.settings.clone();
    let users = Users::open(store.join(FILE)).await?;
    let router = api::router(Api { publisher: process.publisher.clone(), users: users.clone() });
    let subscription = Subscription::batched(queue(&region), PREFETCH);
    let consumer = Profile { users, log: process.log.clone() };
    process.run(declarations(&region), vec![subscription], consumer, router).await
}

/// Writes what happened to users.
struct Profile {
    users: Users,
    log: Log,
}

impl Consume for Profile {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let user = User::read(&message.json()?)?;
        let upsert = self.users.upsert(message.message_id().map(str::to_owned), user.clone()).await?;
        self.log
            .info(upsert.event(event::PROFILE_UPDATED))
            .with_message(message)
            .with(field::ID, user.id)
            .with(field::FULL_NAME, user.full_name)
            .write();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_is_a_number_and_a_name_and_all_that_is_wrong_is_reported() {
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
