//! A broker over AMQP, in its own terms.

pub mod marked;

use std::{collections::BTreeMap, io, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Error, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tokio::time::timeout;

use crate::tls;
use fedctl_model::site::{LOOPBACK, Site};

/// How long a broker may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to close one. A broker with an alarm reads nothing from a connection that published.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
/// lapin keeps 32 frames of buffer in each direction; the broker's own 128 KiB would cost 8 MiB.
const FRAME_MAX: u32 = 16 * 1024;

/// A connection to a broker.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    channel: Channel,
}

/// What failed over AMQP.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// fedctl has no password for the broker.
    #[error("fedctl has no password for it")]
    NoPassword,
    /// The broker did not answer.
    #[error("cannot connect to {address}: timed out")]
    TimedOut {
        /// The broker's address.
        address: String,
    },
    /// There is no connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The broker's address.
        address: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// The broker refused, or the connection ended.
    #[error("cannot {what}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: Error,
    },
}

impl Session {
    /// Connects; the broker shows the connection under `name`.
    pub async fn connect(site: &Site, name: &str) -> Result<Self, AmqpError> {
        let password = site.password.as_ref().ok_or(AmqpError::NoPassword)?;
        let address = site.amqp.to_string();
        let (host, port) = reached(site)
            .await
            .map_err(|source| AmqpError::Connect { address: address.clone(), source: Error::from(source) })?;
        let userinfo = AMQPUserInfo { username: site.user.clone(), password: password.expose().to_owned() };
        let uri = AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority { userinfo, host, port },
            vhost: site.vhost.clone(),
            query: AMQPQueryString { frame_max: Some(FRAME_MAX), ..AMQPQueryString::default() },
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = async {
            let connection = Connection::connect_uri(uri, properties).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        };
        match timeout(CONNECT_WITHIN, connecting).await {
            Ok(connected) => connected.map_err(|source| AmqpError::Connect { address, source }),
            Err(_) => Err(AmqpError::TimedOut { address }),
        }
    }

    /// Declares a topic exchange that is gone when nothing is bound to it any more.
    pub async fn declare_exchange(&self, name: &str) -> Result<(), AmqpError> {
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let declared =
            self.channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default());
        declared.await.map_err(refused(format!("declare exchange `{name}`")))
    }

    /// Declares a classic queue that expires when it has had no consumer for so long.
    pub async fn declare_queue(&self, name: &str, unused: Duration) -> Result<(), AmqpError> {
        let unused = u32::try_from(unused.as_millis()).unwrap_or(u32::MAX);
        let arguments: BTreeMap<_, _> = [
            ("x-expires".into(), AMQPValue::LongUInt(unused)),
            ("x-queue-type".into(), AMQPValue::LongString("classic".into())),
        ]
        .into();
        let declared =
            self.channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments.into());
        declared.await.map(drop).map_err(refused(format!("declare queue `{name}`")))
    }

    /// Binds a queue to an exchange.
    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<(), AmqpError> {
        let (names, options) = ((queue.into(), exchange.into(), key.into()), QueueBindOptions::default());
        let bound = self.channel.queue_bind(names.0, names.1, names.2, options, FieldTable::default());
        bound.await.map_err(refused(format!("bind queue `{queue}` to exchange `{exchange}`")))
    }

    /// The bodies of a queue's messages as they are delivered, without acknowledgement. They end with the connection.
    pub async fn consume(&self, queue: &str) -> Result<impl Stream<Item = Vec<u8>> + use<>, AmqpError> {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = consumer.await.map_err(refused(format!("consume queue `{queue}`")))?;
        Ok(consumer.filter_map(async |delivery| Some(delivery.ok()?.data)))
    }

    /// Publishes a transient message and waits for the broker's confirm: whether the broker took it.
    pub async fn publish(&self, exchange: &str, key: &str, body: &str) -> Result<bool, AmqpError> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let body = body.as_bytes();
        let publish = async {
            self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await
        };
        let confirmed = publish.await.map_err(refused("publish".to_owned()))?;
        Ok(confirmed.is_ack())
    }

    /// Closes the connection. One that does not close in time is dropped.
    pub async fn close(&self) {
        timeout(CLOSE_WITHIN, self.connection.close(200, "OK".into())).await.ok();
    }
}

/// Where a client that speaks no TLS connects to.
async fn reached(site: &Site) -> io::Result<(String, u16)> {
    if !site.amqp.tls {
        return Ok((site.amqp.host.clone(), site.amqp.port));
    }
    let relayed = timeout(CONNECT_WITHIN, tls::relay(&site.amqp, site.ca_file.as_deref())).await;
    Ok((LOOPBACK.to_owned(), relayed.map_err(io::Error::other)??))
}

fn refused(what: String) -> impl FnOnce(Error) -> AmqpError {
    |source| AmqpError::Refused { what, source }
}
