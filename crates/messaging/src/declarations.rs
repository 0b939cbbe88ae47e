//! What must exist on a broker before a service can work, and as long as it does.

use std::time::Duration;

use anyhow::Context;
use lapin::{
    Channel, Connection, ErrorKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::publisher::Publisher;

pub use lapin::ExchangeKind;

/// How often a session looks for its exchanges: the broker tells nobody that one is deleted.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long it then leaves the exchange missing, so that every other session misses it too, and binds its queues again.
const DECLARE_AFTER: Duration = Duration::from_secs(1);
/// How long after an exchange was missed all sessions have bound their queues again: both of the above, and some time for
/// the calls themselves.
pub(crate) const RESTORED_WITHIN: Duration = Duration::from_secs(2);
/// After so many checks all is declared anyway. It costs the broker more than a check, and is for what a check does not
/// see: a binding that was deleted, alone or with an exchange that something else declared again.
const CHECKS: u32 = 20;

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
/// session connects, and again when they were deleted; what exists like this stays as it is, and what exists otherwise is
/// an error.
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

    /// Restores what is deleted under a running session, until `stop`.
    ///
    /// An exchange takes its bindings with it, those of other services too, which only they declare. So a session that
    /// misses one holds its messages back until all have noticed and declared theirs.
    pub(crate) async fn keep(
        &self,
        connection: &Connection,
        publisher: &Publisher,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let stopped_within = async |time| timeout(time, stop.cancelled()).await.is_ok();
        loop {
            let channel = connection.create_channel().await.context("opening a channel")?;
            for _ in 0..CHECKS {
                if stopped_within(CHECK_EVERY).await {
                    return Ok(());
                }
                let Err(error) = self.look_for_exchanges(&channel).await else { continue };
                if !is_not_found(&error) {
                    return Err(error);
                }
                publisher.hold(&error);
                if stopped_within(DECLARE_AFTER).await {
                    return Ok(());
                }
                break;
            }
            self.declare(connection).await?;
        }
    }

    /// The channel is closed if one is missing.
    async fn look_for_exchanges(&self, channel: &Channel) -> anyhow::Result<()> {
        for Exchange { name, kind } in &self.exchanges {
            let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            channel
                .exchange_declare(name.as_str().into(), kind.clone(), options, FieldTable::default())
                .await
                .with_context(|| format!("looking for exchange `{name}`"))?;
        }
        Ok(())
    }
}

/// Whether the broker has closed a channel because something does not exist.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    let Some(ErrorKind::ProtocolError(error)) = error.downcast_ref().map(lapin::Error::kind) else {
        return false;
    };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
