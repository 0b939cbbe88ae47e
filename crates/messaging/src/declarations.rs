//! What must exist on a broker before a service can work.

use anyhow::Context;
use lapin::Connection;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

pub use lapin::ExchangeKind;

/// A durable exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ExchangeKind,
}

/// A binding of a queue to an exchange.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The bound queue.
    pub queue: String,
    /// The exchange it is bound to.
    pub exchange: String,
    /// The binding's key.
    pub key: String,
}

/// What must exist before a session works; declared each time, all of it durable, without arguments.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Classic queues.
    pub queues: Vec<String>,
    /// Bindings.
    pub bindings: Vec<Binding>,
}

impl Declarations {
    /// Declares all of it; what exists with equal arguments stays as it is.
    pub(super) async fn declare(&self, connection: &Connection) -> anyhow::Result<()> {
        let channel = connection.create_channel().await?;
        for Exchange { name, kind } in &self.exchanges {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel
                .exchange_declare(name.as_str().into(), kind.clone(), options, FieldTable::default())
                .await
                .with_context(|| format!("declaring exchange `{name}`"))?;
        }
        for queue in &self.queues {
            channel
                .queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default())
                .await
                .with_context(|| format!("declaring queue `{queue}`"))?;
        }
        for Binding { queue, exchange, key } in &self.bindings {
            let names = (queue.as_str().into(), exchange.as_str().into(), key.as_str().into());
            channel
                .queue_bind(names.0, names.1, names.2, QueueBindOptions::default(), FieldTable::default())
                .await
                .with_context(|| format!("binding queue `{queue}` to exchange `{exchange}` with `{key}`"))?;
        }
        channel.close(200, "OK".into()).await.context("closing a channel")
    }
}
