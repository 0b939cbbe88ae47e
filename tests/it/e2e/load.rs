//! Links that change while messages are published all the time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use serde_json::json;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::support::{Project, engine::docker, until};

const REGIONS: [&str; 3] = ["europe", "asia", "america"];
/// A federated exchange and the key with which it is published to, and a federated queue of its own.
const EXCHANGE: &str = "products.events";
const KEY: &str = "load";
const QUEUE: &str = "fed.load";
/// How many messages go to each of the two at once, and how often.
const BATCH: usize = 10;
const PACE: Duration = Duration::from_millis(20);
/// How many messages a second the machine has to manage at least, of the thousand that this makes.
const LEAST_RATE: f64 = 200.0;
/// How many messages wait for each of the two links before they are resumed.
const BACKLOG: u64 = 500;
/// The prefetch count of the topology: what is in flight when a link ends may arrive again.
const PREFETCH: usize = 1000;
/// When nothing has arrived for so long, nothing more will.
const STILL: Duration = Duration::from_secs(15);
/// How long a pause, or a resume with links that run again, may take.
const SOON: Duration = Duration::from_secs(10);

/// Messages that are published in europe and consumed in asia.
struct Flow {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    publisher: JoinHandle<BTreeSet<String>>,
    arrived: Arc<Mutex<Vec<String>>>,
    began: Instant,
}

impl Flow {
    /// Declares what it needs, and begins.
    fn begin(project: &Project) -> Self {
        let (europe, asia) = (project.broker("europe"), project.broker("asia"));
        for broker in [&europe, &asia] {
            broker.put(&format!("/queues/%2F/{QUEUE}"), &json!({"durable": true}));
        }
        let tap = asia.tap(EXCHANGE, KEY);
        europe.await_binding(EXCHANGE, KEY, "asia");
        let runtime = Runtime::new().unwrap();
        let (stop, arrived) = (Arc::default(), Arc::default());
        for queue in [tap, QUEUE.into()] {
            runtime.spawn(consume(uri(project, "asia"), queue, Arc::clone(&arrived)));
        }
        let publisher = runtime.spawn(publish(uri(project, "europe"), Arc::clone(&stop)));
        Self { runtime, stop, publisher, arrived, began: Instant::now() }
    }

    /// How many different messages have arrived, of those with this word at the beginning.
    fn arrived(&self, kind: &str) -> BTreeSet<String> {
        let arrived = self.arrived.lock().unwrap();
        arrived.iter().filter(|body| body.starts_with(kind)).cloned().collect()
    }

    /// Ends it, and waits for every message that its broker confirmed; each kind has no more duplicates than `most`.
    fn end(self, most: usize) {
        self.stop.store(true, Ordering::Relaxed);
        let took = self.began.elapsed();
        let Self { runtime, publisher, arrived, .. } = self;
        let confirmed = runtime.block_on(publisher).unwrap();
        let lost = || -> Vec<String> {
            let arrived: BTreeSet<String> = arrived.lock().unwrap().iter().cloned().collect();
            confirmed.difference(&arrived).cloned().collect()
        };
        let mut seen = (usize::MAX, Instant::now());
        until("what was confirmed", || {
            let left = lost().len();
            if left != seen.0 {
                seen = (left, Instant::now());
            }
            (left == 0 || seen.1.elapsed() > STILL).then_some(())
        });
        let lost = lost();
        assert!(lost.is_empty(), "{} of {} lost, such as {:?}", lost.len(), confirmed.len(), lost.first());
        #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
        let rate = confirmed.len() as f64 / took.as_secs_f64();
        eprintln!("{} messages confirmed, {rate:.0} a second, none lost", confirmed.len());
        assert!(rate >= LEAST_RATE, "{rate:.0} messages a second are no load");
        for kind in [KEY, QUEUE] {
            let arrived = arrived.lock().unwrap();
            let of_kind: Vec<&String> = arrived.iter().filter(|body| body.starts_with(kind)).collect();
            let duplicates = of_kind.len() - of_kind.iter().collect::<BTreeSet<_>>().len();
            eprintln!("{duplicates} of {} messages for {kind} arrived again", of_kind.len());
            assert!(duplicates <= most, "{duplicates} duplicates of {kind}");
        }
    }
}

/// Publishes persistent messages until it is stopped; those that the broker confirmed.
#[expect(clippy::disallowed_methods, reason = "the pace of the publisher")]
async fn publish(uri: String, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut confirmed = BTreeSet::new();
    for number in (0..).step_by(BATCH) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let next = tokio::time::Instant::now() + PACE;
        let mut pending = Vec::new();
        for (exchange, key) in [(EXCHANGE, KEY), ("", QUEUE)] {
            for number in number..number + BATCH {
                let body = format!("{key} {number}");
                let properties = BasicProperties::default().with_delivery_mode(2);
                let options = BasicPublishOptions::default();
                let sent =
                    channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
                pending.push((sent.await.unwrap(), body));
            }
        }
        for (confirm, body) in pending {
            if confirm.await.unwrap().is_ack() {
                confirmed.insert(body);
            }
        }
        tokio::time::sleep_until(next).await;
    }
    confirmed
}

/// Collects what is delivered from a queue until the runtime ends.
async fn consume(uri: String, queue: String, arrived: Arc<Mutex<Vec<String>>>) {
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await.unwrap();
    while let Some(Ok(delivery)) = consumer.next().await {
        arrived.lock().unwrap().push(String::from_utf8(delivery.data).unwrap());
    }
}

fn uri(project: &Project, region: &str) -> String {
    let address = docker(&["port", &project.container(region, "broker"), "5672/tcp"]);
    let passwords = project.passwords();
    let password = passwords[region]["fedctl"].as_str().unwrap();
    format!("amqp://fedctl:{password}@{}/%2f", address.lines().next().unwrap().trim())
}

/// Removes what a flow declared. A link that misses its queue on the upstream declares it again, so it is looked for until
/// it stays away.
fn remove(project: &Project) {
    let away = Duration::from_secs(3);
    let brokers = REGIONS.map(|region| project.broker(region));
    brokers[1].delete(&format!("/queues/%2F/tap.{KEY}"));
    let mut gone: Option<Instant> = None;
    until("the queue is gone everywhere", || {
        let is_there = brokers.iter().any(|broker| broker.names("/queues/%2F").contains(QUEUE));
        gone = if is_there { None } else { gone.or_else(|| Some(Instant::now())) };
        for broker in &brokers {
            broker.try_delete(&format!("/queues/%2F/{QUEUE}"));
        }
        gone.is_some_and(|gone| gone.elapsed() >= away).then_some(())
    });
}

pub fn a_pause_while_messages_are_published_loses_none(project: &Project) {
    let europe = project.broker("europe");
    let flow = Flow::begin(project);
    let flows = || [KEY, QUEUE].iter().all(|kind| flow.arrived(kind).len() >= 100).then_some(());
    until("messages arrive by both links", flows);

    project.fedctl(&["link", "pause", "europe", "asia"]).exits(0).within(SOON);
    let internal = format!("federation: {EXCHANGE} -> asia");
    let waits = || [internal.as_str(), QUEUE].iter().all(|queue| europe.depth(queue) >= BACKLOG);
    until("messages wait for both links", || waits().then_some(()));
    let before = [KEY, QUEUE].map(|kind| flow.arrived(kind).len());

    project.fedctl(&["link", "resume", "europe", "asia"]).exits(0).within(SOON);
    let caught_up = |(kind, before): (&&str, usize)| {
        flow.arrived(kind).len() >= before + usize::try_from(BACKLOG).unwrap()
    };
    until("what has waited", || [KEY, QUEUE].iter().zip(before).all(caught_up).then_some(()));
    flow.end(PREFETCH);
    remove(project);
    project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
}
