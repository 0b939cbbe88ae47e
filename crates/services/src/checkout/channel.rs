//! A channel to the customer: what it sends is only stored, so that a demonstration notifies no real person.

use rusqlite::{Transaction, params};

use super::chain::ChainContext;
use super::order::order_id;
use super::{ChainConsumer, ChainService};
use crate::process::Process;
use fedctl_contract::checkout::{NOTIFICATIONS, channel_queue};
use fedctl_contract::log::{event, field};
use fedctl_messaging::{Binding, ConsumeError, Declarations, Exchange, ExchangeKind, Message, StoreError};

const PREFETCH: u16 = 32;
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sent (
    message_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, text TEXT NOT NULL,
    at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
";

/// Notifies buyers by e-mail, text message or push message.
pub struct Channel {
    context: ChainContext,
    name: &'static str,
}

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let name = process.program.name();
    let context = ChainContext::open(process, &format!("{name}.db"), TABLES).await?;
    Ok(ChainService::new(declarations(name), PREFETCH, ChainConsumer::Channel(Channel { context, name })))
}

/// The exchange of notifications and the queue of one channel.
pub(super) fn declarations(channel: &str) -> Declarations {
    let queue = channel_queue(channel);
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
        if self.context.process_once(message, send).await?.is_some() {
            self.context
                .log
                .info(event::NOTIFIED)
                .with_message(message)
                .with(field::CHANNEL, self.name)
                .with(field::ORDER_ID, order_id)
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
