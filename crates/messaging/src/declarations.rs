//! What must exist on a broker before a service can work.

use anyhow::Context;
use lapin::{
    Connection,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

pub use lapin::ExchangeKind;

#[derive(Debug, Clone)]
pub struct Exchange {
    pub name: String,
    pub kind: ExchangeKind,
}

#[derive(Debug, Clone)]
pub struct Binding {
    pub queue: String,
    pub exchange: String,
    pub key: String,
}

/// Exchanges, classic queues and bindings, all of them durable and without arguments. They are declared each time a
/// session connects; what exists like this stays as it is, and what exists otherwise is an error.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    pub exchanges: Vec<Exchange>,
    pub queues: Vec<String>,
    pub bindings: Vec<Binding>,
}

impl Declarations {
    pub(crate) async fn declare(&self, connection: &Connection) -> anyhow::Result<()> {
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
