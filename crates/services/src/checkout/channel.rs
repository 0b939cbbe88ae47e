//! A channel to the buyer: what it sends is what its store holds, so that a demonstration sends nobody anything.

use rusqlite::{Transaction, params};

use super::chain::Means;
use super::order::order_id;
use super::{NOTIFICATIONS, Part, Program, Step};
use fedctl_messaging::{Binding, ConsumeError, Declarations, Exchange, ExchangeKind, Message, StoreError};

const PREFETCH: u16 = 32;
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sent (
    message_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, text TEXT NOT NULL,
    at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
";

/// Tells buyers by e-mail, text message or push message.
pub struct Channel {
    means: Means,
    name: &'static str,
}

pub(super) async fn part(program: &Program) -> anyhow::Result<Part> {
    let name = program.kind.name();
    let means = Means::open(program, &format!("{name}.db"), TABLES).await?;
    Ok(Part::new(declarations(name), PREFETCH, Step::Channel(Channel { means, name })))
}

/// The exchange of notifications and the queue of one channel.
pub(super) fn declarations(channel: &str) -> Declarations {
    let queue = format!("{NOTIFICATIONS}.{channel}");
    Declarations {
        exchanges: vec![Exchange { name: NOTIFICATIONS.to_owned(), kind: ExchangeKind::Fanout }],
        queues: vec![queue.clone()],
        bindings: vec![Binding { queue, exchange: NOTIFICATIONS.to_owned(), key: String::new() }],
    }
}

impl Channel {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let body = message.json()?;
        let order_id = order_id(&body)?;
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        let (id, order) = (message.identity().to_owned(), order_id.clone());
        let send = move |transaction: &Transaction<'_>| send(transaction, &id, &order, &text);
        if self.means.once(message, send).await?.is_some() {
            self.means
                .log
                .info("notified")
                .with_message(message)
                .with("channel", self.name)
                .with("order_id", order_id)
                .write();
        }
        Ok(())
    }
}

fn send(transaction: &Transaction<'_>, id: &str, order_id: &str, text: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO sent (message_id, order_id, text) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![id, order_id, text])?;
    Ok(())
}
