//! One connection to a broker, kept up: connect, declare, consume, and start again on any error.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use lapin::{Connection, ConnectionProperties, uri::AMQPUri};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::backoff,
    consumer::{Consume, ConsumerTask, Subscription},
    declarations::Declarations,
    log::Log,
    publisher::Publisher,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const FINISH_WITHIN: Duration = Duration::from_secs(5);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// After a session that lived this long, the next failure counts as a first one.
const STABLE_AFTER: Duration = Duration::from_secs(2);
/// lapin keeps 32 frames of buffer in each direction; the broker's own 128 KiB would cost 8 MiB.
const FRAME_MAX: u32 = 16 * 1024;

#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The connection's name, as the broker shows it.
    pub name: String,
    pub declarations: Declarations,
    pub subscriptions: Vec<Subscription>,
    /// The durable queue for messages that cannot be processed; it is declared too.
    pub dead_letter_queue: String,
    /// Seconds between heartbeats, unless the URI says otherwise.
    pub heartbeat: u16,
}

/// Healthy, or the reason why not.
pub type Health = Result<(), String>;

/// The AMQP URI is not valid. It is not shown, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the AMQP URI is not valid (it is not shown)")]
pub struct InvalidUri;

/// A session with the broker.
pub struct Session {
    uri: AMQPUri,
    config: SessionConfig,
    publisher: Publisher,
    health: watch::Sender<Health>,
    log: Log,
}

impl Session {
    /// Prepares a session; nothing is connected before [`Session::run`].
    pub fn new(
        uri: &str,
        mut config: SessionConfig,
        publisher: Publisher,
        log: Log,
    ) -> Result<Self, InvalidUri> {
        let mut uri: AMQPUri = uri.parse().map_err(|_: String| InvalidUri)?;
        uri.query.heartbeat.get_or_insert(config.heartbeat);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        config.declarations.queues.push(config.dead_letter_queue.clone());
        let health = watch::Sender::new(Err("not connected yet".to_owned()));
        Ok(Self { uri, config, publisher, health, log })
    }

    /// Whether all consumers are attached, and why not, as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Keeps the session up until `stop`; then finishes what is in flight, for at most 5 s, and closes.
    ///
    /// What is not finished by then stays unacknowledged, so the broker delivers it again.
    pub async fn run(self, consumer: Arc<impl Consume>, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stop.cancelled() => break,
            };
            let started = Instant::now();
            let ended = match connected {
                Ok(connection) => self.serve(connection, &consumer, &stop).await,
                Err(error) => Err(error),
            };
            let Err(error) = ended else { break };
            if started.elapsed() > STABLE_AFTER {
                failures = 0;
            }
            let pause = backoff(failures);
            failures += 1;
            let reason = self.describe(&error);
            self.log
                .warn("disconnected")
                .with("reason", reason.as_str())
                .with("retry_in_ms", u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
                .write();
            self.set_health(Err(reason));
            let _ = timeout(pause, stop.cancelled()).await;
        }
        self.set_health(Err("stopped".to_owned()));
    }

    fn set_health(&self, health: Health) {
        let _previous = self.health.send_replace(health);
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.config.name.as_str().into());
        timeout(CONNECT_WITHIN, Connection::connect_uri(self.uri.clone(), properties))
            .await
            .map_err(|_| anyhow!("timed out after {CONNECT_WITHIN:?}"))?
            .context("connecting")
    }

    /// Works over `connection` until `stop` or an error, and closes it.
    async fn serve(
        &self,
        connection: Connection,
        consumer: &Arc<impl Consume>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let connection = Arc::new(connection);
        let ended = self.work(&connection, consumer, stop).await;
        self.publisher.detach();
        let _ = timeout(CLOSE_WITHIN, connection.close(200, "OK".into())).await;
        ended
    }

    async fn work(
        &self,
        connection: &Arc<Connection>,
        consumer: &Arc<impl Consume>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let declarations = &self.config.declarations;
        declarations.declare(connection).await?;
        let mut publishing = self.publisher.attach(connection).await?;
        let mut consuming = JoinSet::new();
        for subscription in &self.config.subscriptions {
            let attached = subscription.attach(connection).await?;
            consuming.spawn(self.consumer_task(subscription, consumer, stop).run(attached));
        }
        self.set_health(Ok(()));
        self.log.info("connected").with("broker", self.broker()).write();
        tokio::select! {
            Some(ended) = consuming.join_next() => ended??,
            ended = &mut publishing => ended??,
            ended = declarations.keep(connection, &self.publisher, stop) => ended?,
            () = stop.cancelled() => {}
        }
        let finish = async {
            while let Some(ended) = consuming.join_next().await {
                ended??;
            }
            self.publisher.detach();
            publishing.await?
        };
        timeout(FINISH_WITHIN, finish).await.unwrap_or(Ok(()))
    }

    fn consumer_task<C: Consume>(
        &self,
        subscription: &Subscription,
        consumer: &Arc<C>,
        stop: &CancellationToken,
    ) -> ConsumerTask<C> {
        let queue = subscription.queue.as_str().into();
        ConsumerTask {
            counters: self.publisher.metrics.of_queue(&queue),
            queue,
            dead_letter_queue: self.config.dead_letter_queue.as_str().into(),
            consumer: Arc::clone(consumer),
            publisher: self.publisher.clone(),
            log: self.log.clone(),
            stop: stop.clone(),
        }
    }

    fn broker(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }

    /// The error with its causes, and without the password, whatever a broker or library put into it.
    fn describe(&self, error: &anyhow::Error) -> String {
        let mut text = self.broker();
        for cause in error.chain().map(ToString::to_string) {
            // some of lapin's errors contain their cause
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        match self.uri.authority.userinfo.password.as_str() {
            "" => text,
            password => text.replace(password, "***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn heartbeat(uri: &str) -> Option<u16> {
        let config = SessionConfig {
            name: "test".to_owned(),
            declarations: Declarations::default(),
            subscriptions: Vec::new(),
            dead_letter_queue: "dead-letters.test".to_owned(),
            heartbeat: 30,
        };
        let log = Log::with_sink("asia", "test", |_| {});
        let publisher = Publisher::new(log.clone(), Metrics::new("test"));
        Session::new(uri, config, publisher, log).unwrap().uri.query.heartbeat
    }

    #[test]
    fn the_uri_has_the_last_word_on_heartbeats() {
        assert_eq!(heartbeat("amqp://broker"), Some(30));
        assert_eq!(heartbeat("amqp://broker?heartbeat=5"), Some(5));
    }
}
