//! What a change of a federation under load costs in messages: by fedctl, and by the same requests with RabbitMQ's defaults.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use reqwest::Method;
use serde_json::json;
use tokio::time::interval;

use crate::{
    container::Engine,
    management::Management,
    project::{NAME, Project},
    region::until,
};

const EXCHANGE: &str = "load.events";
const TAP: &str = "tap";
const WINDOW: usize = 500;
/// As much as waits when the change is made.
const BACKLOG: u64 = 20_000;
/// What is published a second meanwhile.
const LIVE: u64 = 1000;
const PAUSE: Duration = Duration::from_millis(50);

/// A change: what it is called, and what is replaced in the topology by what.
const CHANGES: [(&str, &str, &str); 6] = [
    ("prefetch-count of the upstream", "prefetch-count: 5", "prefetch-count: 6"),
    ("reconnect-delay of the upstream", "reconnect-delay: 1", "reconnect-delay: 2"),
    ("heartbeat in the upstream's URI", "heartbeat: 5", "heartbeat: 6"),
    ("priority of the policy", "priority: 0", "priority: 1"),
    ("pattern of the policy, wider", r"\.events$", r"\.(events|news)$"),
    ("another key in the policy's definition", "definition: {}", "definition: {max-length: 10000000}"),
];

fn topology() -> String {
    format!(
        "name: {NAME}\nmaster: europe\nbroker: {{memory: 3072}}\nregions: [{{name: europe}}, {{name: asia}}]\nfederation:\n  \
         upstream: {{prefetch-count: 5, reconnect-delay: 1, heartbeat: 5}}\n  policies:\n  - {{name: events, pattern: \
         '\\.events$', apply-to: exchanges, priority: 0, definition: {{}}}}\n"
    )
}

/// What came of a change.
struct Outcome {
    waiting: u64,
    published: u64,
    lost: u64,
    twice: u64,
}

/// Two regions, between which messages flow.
struct Load<'a> {
    project: &'a Project,
    europe: Management,
    asia: Management,
}

/// Every change that fedctl makes of a federation while messages wait and flow.
pub async fn measure(project: &Project, engine: &Engine) -> Result<()> {
    project.down()?;
    project.write(&topology())?;
    project.time(&["up"])?;
    let europe = Management::find(project, engine, "europe").await?;
    let asia = Management::find(project, engine, "asia").await?;
    let load = Load { project, europe, asia };
    load.declare().await?;
    println!(
        "\n{:<58}{:>11}{:>11}{:>11}{:>11}",
        "a change under load", "waiting", "published", "lost", "twice"
    );
    for (name, old, new) in CHANGES {
        project.write(&topology())?;
        project.time(&["up"])?;
        let changed = topology().replacen(old, new, 1);
        load.print(name, async || {
            project.write(&changed)?;
            tokio::task::block_in_place(|| project.time(&["up"])).map(drop)
        })
        .await?;
    }
    project.write(&topology())?;
    project.time(&["up"])?;
    let upstream = "parameters/federation-upstream/%2F/europe";
    let held = load.asia.ask(Method::GET, upstream, None).await?;
    let mut value = held["value"].as_object().context("no upstream")?.clone();
    value.remove("resource-cleanup-mode");
    load.asia.put(upstream, &json!({"value": value})).await?;
    project.runs().await?;
    value.insert("prefetch-count".into(), json!(6));
    load.print("PUT of the upstream without resource-cleanup-mode", async || {
        load.asia.put(upstream, &json!({"value": value})).await
    })
    .await?;
    let policy = load.asia.ask(Method::GET, "policies/%2F/events", None).await?;
    load.print("DELETE and PUT of the policy, the same", async || {
        load.asia.ask(Method::DELETE, "policies/%2F/events", None).await?;
        load.asia.put("policies/%2F/events", &policy).await
    })
    .await
}

impl Project {
    /// Waits until `status` finds nothing wrong.
    async fn runs(&self) -> Result<()> {
        until(PAUSE, async || Ok(self.time(&["status"]).is_ok())).await
    }
}

impl Load<'_> {
    async fn declare(&self) -> Result<()> {
        for broker in [&self.europe, &self.asia] {
            let exchange = json!({"type": "fanout", "durable": true});
            broker.put(&format!("exchanges/%2F/{EXCHANGE}"), &exchange).await?;
        }
        self.asia.put(&format!("queues/%2F/{TAP}"), &json!({"durable": true})).await?;
        let binding = format!("bindings/%2F/e/{EXCHANGE}/q/{TAP}");
        self.asia.ask(Method::POST, &binding, Some(&json!({"routing_key": ""}))).await.map(drop)
    }

    async fn print(&self, name: &str, change: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        self.project.runs().await?;
        let Outcome { waiting, published, lost, twice } = self.measure(change).await?;
        println!("{name:<58}{waiting:>11}{published:>11}{lost:>11}{twice:>11}");
        Ok(())
    }

    /// What waits in europe for the link, and in asia for the consumer.
    async fn waiting(&self) -> Result<[u64; 2]> {
        let internal = messages(&self.europe, "federation: load.events -> asia").await?;
        Ok([internal, messages(&self.asia, TAP).await?])
    }

    async fn measure(&self, change: impl AsyncFnOnce() -> Result<()>) -> Result<Outcome> {
        let arrived = Arc::new(Mutex::new((HashSet::new(), 0_u64)));
        let consumer = tokio::spawn(consume(self.asia.uri(), Arc::clone(&arrived)));
        let (burst, live) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(true)));
        let sending = tokio::spawn(publish(self.europe.uri(), Arc::clone(&burst), Arc::clone(&live)));
        until(PAUSE, async || Ok(burst.load(Ordering::Relaxed) == 0 || self.waiting().await?[0] >= BACKLOG))
            .await?;
        let [waiting, _] = self.waiting().await?;
        change().await?;
        live.store(false, Ordering::Relaxed);
        let published = sending.await??;
        self.project.runs().await?;
        let seen = || {
            let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            (arrived.0.len() as u64, arrived.1)
        };
        // what has been lost never arrives: both queues are empty and nothing more comes
        let last = Mutex::new((0, 0));
        until(Duration::from_secs(2), async || {
            let now = seen();
            let before = std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), now);
            Ok((now == before || now.0 == published) && self.waiting().await? == [0, 0])
        })
        .await?;
        consumer.abort();
        let (distinct, all) = seen();
        Ok(Outcome { waiting, published, lost: published - distinct, twice: all - distinct })
    }
}

async fn messages(broker: &Management, name: &str) -> Result<u64> {
    let queues = broker.list("queues/%2F?disable_stats=true&enable_queue_totals=true").await?;
    let queue = queues.iter().find(|queue| queue["name"] == name);
    Ok(queue.and_then(|queue| queue["messages"].as_u64()).unwrap_or(0))
}

async fn channel(uri: &str) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// Publishes as fast as confirms allow until enough waits, and so many a second after that; how many were confirmed.
#[expect(clippy::disallowed_methods, reason = "the pace of a load")]
async fn publish(uri: String, burst: Arc<AtomicU64>, live: Arc<AtomicBool>) -> Result<u64> {
    let (_connection, channel) = channel(&uri).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut number = 0_u64;
    let send = async |from: u64, count: u64| -> Result<()> {
        let confirms = futures_util::stream::iter(from..from + count).map(|number| {
            let payload = number.to_string();
            let channel = &channel;
            async move {
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default().with_delivery_mode(2);
                let sent = channel
                    .basic_publish(EXCHANGE.into(), "".into(), options, payload.as_bytes(), properties)
                    .await?;
                anyhow::Ok(sent.await?)
            }
        });
        let confirms: Vec<_> = confirms.buffered(WINDOW).collect().await;
        confirms.into_iter().collect::<Result<Vec<_>>>().map(drop)
    };

    send(number, BACKLOG * 3 / 2).await?;
    number += BACKLOG * 3 / 2;
    burst.store(0, Ordering::Relaxed);
    let mut ticks = interval(Duration::from_millis(100));
    while live.load(Ordering::Relaxed) {
        ticks.tick().await;
        send(number, LIVE / 10).await?;
        number += LIVE / 10;
    }
    Ok(number)
}

/// Takes what arrives, for ever: the numbers, and how many there were.
async fn consume(uri: String, arrived: Arc<Mutex<(HashSet<u64>, u64)>>) -> Result<()> {
    let (_connection, channel) = channel(&uri).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume(TAP.into(), "".into(), options, FieldTable::default()).await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let number = std::str::from_utf8(&delivery.data)?.parse()?;
        {
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.0.insert(number);
            arrived.1 += 1;
        }
        delivery.acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
