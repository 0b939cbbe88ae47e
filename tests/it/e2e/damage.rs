//! Random damage. After each, what `status` says of every link is compared with an oracle of its own: a message that is
//! sent through the link. Then one `up` mends what is fedctl's to mend, without a message lost, in at most as many
//! changing requests, counted by the kernel, as things were damaged.
//!
//! `DAMAGE_ROUNDS` and `DAMAGE_SEED` choose how many rounds, and which; the first ones do each kind of damage once. By
//! default only those are done that no other case does.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions},
    types::FieldTable,
};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{
    Project,
    broker::Broker,
    engine::{docker, run},
    ran::Ran,
    until,
};

const REGIONS: [&str; 3] = ["europe", "asia", "america"];
/// An exchange that nobody but the oracle uses, and how its queues begin, one for each region to consume.
const EXCHANGE: &str = "oracle.events";
const QUEUES: &str = "fed.oracle-";
/// The queue in which the oracle finds what arrives by the exchange.
const INBOX: &str = "oracle-inbox";
/// The oracle's own administrator, whom no damage and no `up` touches.
const USER: (&str, &str) = ("oracle", "oracle-of-the-tests");
/// Within this a message that moves at all has arrived.
const PATIENCE: Duration = Duration::from_secs(2);
/// A broker that is killed may have forgotten what was declared two seconds before: Erlang's `disk_log` writes so late.
const WRITTEN: Duration = Duration::from_secs(3);
/// How many kinds of damage no other case does: the first ones.
const BY_DEFAULT: usize = 3;
/// After this a link that works must not be called broken.
const SETTLED: Duration = Duration::from_secs(5);

/// What is done to a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Kill,
    Stop,
    Pause,
    Freeze,
    Disconnect,
    Container,
    Volume,
    Administrator,
    LinkUser,
    Permission,
    Policy,
    Upstream,
    ForeignPolicy,
    InternalBinding,
    Queue,
    Exchange,
    Plugin,
}

impl Damage {
    const ALL: [Self; 17] = [
        Self::InternalBinding,
        Self::Permission,
        Self::Exchange,
        Self::LinkUser,
        Self::Queue,
        Self::Policy,
        Self::Upstream,
        Self::Kill,
        Self::Pause,
        Self::Disconnect,
        Self::Administrator,
        Self::ForeignPolicy,
        Self::Plugin,
        Self::Stop,
        Self::Freeze,
        Self::Container,
        Self::Volume,
    ];

    /// How many things it damages of those that are fedctl's to mend by a call each.
    fn things(self) -> usize {
        match self {
            Self::Queue | Self::ForeignPolicy | Self::Freeze => 0,
            Self::Kill
            | Self::Stop
            | Self::Pause
            | Self::Permission
            | Self::Policy
            | Self::Upstream
            | Self::InternalBinding => 1,
            // an administrator goes with its permissions; an exchange with its bindings to two links
            Self::Administrator | Self::Exchange => 2,
            // the links of queues do not fetch until their policy is deleted and put again
            Self::Plugin => 3,
            // a user goes with its permissions; the links that use it start again
            Self::LinkUser => 2 + LINKS_OF_A_PAIR,
            // the attachment, and the links that were cut
            Self::Disconnect => 1 + 4 * LINKS_OF_A_PAIR,
            // a container is created, given its files, attached to a network, and started
            Self::Container => 4,
            // and all definitions that fedctl made there
            Self::Volume => 16,
        }
    }

    /// Whether messages that were published may be lost by the damage itself.
    fn loses(self) -> bool {
        match self {
            Self::Volume | Self::InternalBinding | Self::Queue | Self::Exchange | Self::Plugin => true,
            Self::Kill
            | Self::Stop
            | Self::Pause
            | Self::Freeze
            | Self::Disconnect
            | Self::Container
            | Self::Administrator
            | Self::LinkUser
            | Self::Permission
            | Self::Policy
            | Self::Upstream
            | Self::ForeignPolicy => false,
        }
    }
}

/// Exchanges and queues that are federated from one region to another: the shop's, and the oracle's.
const LINKS_OF_A_PAIR: usize = 12;

pub fn after_random_damage_status_is_true_and_one_up_mends_it(project: &Project) {
    project.up();
    let rounds: usize = variable("DAMAGE_ROUNDS").unwrap_or(BY_DEFAULT);
    let mut random = Random(variable("DAMAGE_SEED").unwrap_or(1));
    let mut oracle = Oracle::new(project);
    until("the oracle's links", || oracle.disagreements(true).is_empty().then_some(()));
    let mut wrong = Vec::new();
    for round in 0..rounds {
        let damage =
            Damage::ALL[if round < Damage::ALL.len() { round } else { random.below(Damage::ALL.len()) }];
        let region = REGIONS[random.below(REGIONS.len())];
        let other = REGIONS.iter().find(|other| **other != region).unwrap();
        let found = oracle.round(damage, region, other);
        eprintln!(
            "{round:>3} {damage:?} in {region}: {}",
            if found.is_empty() { "as it is".into() } else { found.join("; ") }
        );
        wrong
            .extend(found.into_iter().map(|found| format!("round {round}, {damage:?} in {region}: {found}")));
    }
    oracle.remove();
    assert_eq!(wrong, [""; 0]);
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A sequence that is the same for the same seed (the generator `SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

/// A link: its upstream, its downstream, and whether it is the exchange's.
type Link = (&'static str, &'static str, bool);

struct Oracle<'p> {
    project: &'p Project,
    runtime: Runtime,
    sent: usize,
}

impl<'p> Oracle<'p> {
    fn new(project: &'p Project) -> Self {
        let oracle = Self { project, runtime: Runtime::new().unwrap(), sent: 0 };
        for region in REGIONS {
            oracle.declare(region);
        }
        oracle
    }

    /// The broker of a region, through the oracle's own user; none while it cannot answer.
    fn broker(&self, region: &str) -> Option<Broker> {
        let container = self.project.container(region, "broker");
        let state = run(&["inspect", "--format", "{{.State.Status}}", &container]);
        if !String::from_utf8_lossy(&state.stdout).starts_with("running") {
            return None;
        }
        let port = run(&["port", &container, "15672/tcp"]);
        let port = String::from_utf8(port.stdout).unwrap();
        let broker = Broker::of(region, port.lines().next()?.trim(), USER);
        broker.try_get("/whoami").map(|_| broker)
    }

    /// Makes what the oracle needs in a region, with the broker's own tool where its user does not exist.
    fn declare(&self, region: &str) {
        let container = self.project.container(region, "broker");
        if self.broker(region).is_none() {
            run(&["exec", &container, "rabbitmqctl", "add_user", USER.0, USER.1]);
            docker(&["exec", &container, "rabbitmqctl", "set_user_tags", USER.0, "administrator"]);
            docker(&["exec", &container, "rabbitmqctl", "set_permissions", USER.0, ".*", ".*", ".*"]);
        }
        let broker = until("the oracle's user", || self.broker(region));
        broker.put(&format!("/exchanges/%2F/{EXCHANGE}"), &json!({"type": "topic", "durable": true}));
        for queue in REGIONS.map(queue_of).into_iter().chain([INBOX.into()]) {
            broker.put(&format!("/queues/%2F/{queue}"), &json!({"durable": true}));
        }
        broker.post(&format!("/bindings/%2F/e/{EXCHANGE}/q/{INBOX}"), &json!({"routing_key": "#"}));
    }

    /// Removes what it made.
    fn remove(&self) {
        for region in REGIONS {
            let broker = self.project.broker(region);
            broker.delete(&format!("/exchanges/%2F/{EXCHANGE}"));
            for queue in REGIONS.map(queue_of).into_iter().chain([INBOX.into()]) {
                broker.delete(&format!("/queues/%2F/{queue}"));
            }
            broker.delete(&format!("/users/{}", USER.0));
        }
        self.project.up();
    }

    /// Does the damage, compares, mends and compares again; what was wrong.
    fn round(&mut self, damage: Damage, region: &'static str, other: &'static str) -> Vec<String> {
        let mut expected = self.publish_tracked();
        self.damage(damage, region, other);
        let done = Instant::now();
        expected.extend(self.publish_tracked());
        let mut wrong: Vec<String> = self
            .disagreements(false)
            .into_iter()
            .filter(|found| found.contains("running and moves nothing"))
            .collect();
        until("it has settled", || (done.elapsed() >= SETTLED).then_some(()));
        wrong.extend(self.disagreements(false));
        // nothing but the hand that froze it thaws a broker
        let timeout = if damage == Damage::Freeze { "10s" } else { "90s" };
        let (ran, requests) = Ran::traced(&self.project.command(&["up", "--timeout", timeout]));
        let changes: Vec<String> =
            requests.into_iter().filter(|request| changes_something(request)).collect();
        eprintln!(
            "    {} things damaged, at most; {} requests to change something",
            damage.things(),
            changes.len()
        );
        wrong.extend(judge(damage, &ran, &changes));
        self.mend(damage, region);
        let deadline = Instant::now() + SETTLED;
        let mut left = self.disagreements(true);
        while !left.is_empty() && Instant::now() < deadline {
            left = self.disagreements(true);
        }
        wrong.extend(left.into_iter().map(|left| format!("after `up`: {left}")));
        if !damage.loses() {
            wrong.extend(self.lost(&expected));
        }
        wrong
    }

    fn damage(&self, damage: Damage, region: &str, other: &str) {
        let project = self.project;
        let container = project.container(region, "broker");
        let broker = || project.broker(region);
        match damage {
            Damage::Kill => drop(docker(&["kill", &container])),
            Damage::Stop => drop(docker(&["stop", &container])),
            Damage::Pause => drop(docker(&["pause", &container])),
            Damage::Freeze => drop(docker(&["kill", "--signal", "STOP", &container])),
            Damage::Disconnect => drop(docker(&["network", "disconnect", &project.wan(), &container])),
            Damage::Container => drop(docker(&["rm", "--force", &container])),
            Damage::Volume => {
                docker(&["rm", "--force", &container]);
                docker(&["volume", "rm", &container]);
            }
            Damage::Administrator => broker().delete("/users/fedctl"),
            Damage::LinkUser => broker().delete(&format!("/users/link-{other}")),
            Damage::Permission => broker().delete(&format!("/permissions/%2F/link-{other}")),
            Damage::Policy => broker().delete("/policies/%2F/events"),
            Damage::Upstream => broker().delete(&format!("/parameters/federation-upstream/%2F/{other}")),
            Damage::ForeignPolicy => {
                let policy = json!({"pattern": "^fed\\.", "apply-to": "queues", "priority": 10,
                    "definition": {"max-length": 100_000}});
                broker().put("/policies/%2F/theirs", &policy);
            }
            Damage::InternalBinding => {
                let queue = format!("federation: {EXCHANGE} -> {other}");
                let bindings = broker()
                    .get(&format!("/queues/%2F/{}/bindings", queue.replace(' ', "%20").replace('>', "%3E")));
                let binding =
                    bindings.as_array().unwrap().iter().find(|binding| binding["source"] != "").unwrap();
                let source = binding["source"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
                let queue = queue.replace(' ', "%20").replace('>', "%3E");
                let key = binding["properties_key"].as_str().unwrap();
                broker().delete(&format!("/bindings/%2F/e/{source}/q/{queue}/{key}"));
            }
            Damage::Queue => broker().delete(&format!("/queues/%2F/{}", queue_of(region))),
            Damage::Exchange => broker().delete(&format!("/exchanges/%2F/{EXCHANGE}")),
            Damage::Plugin => {
                drop(docker(&["exec", &container, "rabbitmq-plugins", "disable", "rabbitmq_federation"]));
            }
        }
    }

    /// Mends what is not fedctl's to mend.
    fn mend(&self, damage: Damage, region: &str) {
        match damage {
            Damage::Freeze => {
                drop(docker(&["kill", "--signal", "CONT", &self.project.container(region, "broker")]));
            }
            Damage::ForeignPolicy => self.project.broker(region).delete("/policies/%2F/theirs"),
            Damage::Queue | Damage::Exchange | Damage::Volume => {
                self.declare(region);
                let declared = Instant::now();
                until("it is on the broker's disk", || (declared.elapsed() >= WRITTEN).then_some(()));
            }
            Damage::Kill
            | Damage::Stop
            | Damage::Pause
            | Damage::Disconnect
            | Damage::Container
            | Damage::Administrator
            | Damage::LinkUser
            | Damage::Permission
            | Damage::Policy
            | Damage::Upstream
            | Damage::InternalBinding
            | Damage::Plugin => {}
        }
    }

    /// Where `status` before and after says the same of a link, and a message sent through it meanwhile says otherwise.
    /// With `all`, also the links that do not run.
    fn disagreements(&mut self, all: bool) -> Vec<String> {
        let before = self.reported();
        let moved = self.moved();
        let after = self.reported();
        let mut wrong = Vec::new();
        for link @ (upstream, downstream, _) in links() {
            let kind = resource(link);
            let said = match (before.get(&link), after.get(&link)) {
                (Some(before), Some(after)) if before == after => before.as_str(),
                (None, _) | (_, None) => "not mentioned",
                (Some(_), Some(_)) => continue,
            };
            let name = format!("{upstream} → {downstream} {kind}");
            match (said, moved.contains(&link)) {
                ("running", true) | ("unknown" | "starting", _) => {}
                ("running", false) => wrong.push(format!("{name} is called running and moves nothing")),
                ("not mentioned", _) => wrong.push(format!("{name} is not mentioned")),
                (said, true) => wrong.push(format!("{name} is called {said} and moves messages")),
                (_, false) => {}
            }
            if all && said != "running" {
                wrong.push(format!("{name} is {said}"));
            }
        }
        wrong
    }

    /// What `status` says of the oracle's links.
    fn reported(&self) -> BTreeMap<Link, String> {
        let status = self.project.status();
        let find = |(upstream, downstream, exchange): Link| {
            let name = resource((upstream, downstream, exchange));
            let links = status["links"].as_array().unwrap();
            let link = links.iter().find(|link| {
                link["upstream"] == upstream
                    && link["downstream"] == downstream
                    && link["resource"]["name"] == name
            })?;
            Some(((upstream, downstream, exchange), link["state"].as_str().unwrap().to_owned()))
        };
        links().into_iter().filter_map(find).collect()
    }

    /// The links through which a message arrives in time.
    fn moved(&mut self) -> BTreeSet<Link> {
        let brokers: BTreeMap<&str, Broker> =
            REGIONS.into_iter().filter_map(|region| Some((region, self.broker(region)?))).collect();
        let mut sent: BTreeMap<String, Link> = BTreeMap::new();
        for (upstream, broker) in &brokers {
            for downstream in REGIONS.into_iter().filter(|downstream| downstream != upstream) {
                let nonce = self.nonce(upstream);
                if broker.try_publish("amq.default", &queue_of(downstream), &nonce) {
                    sent.insert(nonce, (upstream, downstream, false));
                }
            }
        }
        let mut moved = BTreeSet::new();
        thread::scope(|scope| {
            let consumers: Vec<_> = brokers
                .keys()
                .map(|downstream| {
                    let wanted: BTreeSet<String> = sent
                        .iter()
                        .filter(|(_, (_, to, _))| to == downstream)
                        .map(|(nonce, _)| nonce.clone())
                        .collect();
                    let (project, runtime) = (self.project, &self.runtime);
                    scope.spawn(move || runtime.block_on(consume(project, downstream, &wanted)))
                })
                .collect();
            moved.extend(moved_by_exchange(&brokers, &mut self.sent));
            for consumer in consumers {
                moved.extend(consumer.join().unwrap().iter().filter_map(|nonce| sent.get(nonce).copied()));
            }
        });
        for broker in brokers.values() {
            for downstream in REGIONS {
                broker.try_delete(&format!("/queues/%2F/{}/contents", queue_of(downstream)));
            }
        }
        moved
    }

    fn nonce(&mut self, region: &str) -> String {
        nonce(&mut self.sent, region)
    }

    /// Publishes a message in every region that takes one, which has to arrive in all others; what has to arrive where.
    fn publish_tracked(&mut self) -> BTreeSet<(String, &'static str)> {
        let mut expected = BTreeSet::new();
        for region in REGIONS {
            let Some(broker) = self.broker(region) else { continue };
            let nonce = format!("tracked {}", self.nonce(region));
            if broker.try_publish(EXCHANGE, "tracked", &nonce) {
                let others = REGIONS.into_iter().filter(|other| *other != region);
                expected.extend(others.map(|other| (nonce.clone(), other)));
            }
        }
        expected
    }

    /// The tracked messages that did not arrive.
    fn lost(&self, expected: &BTreeSet<(String, &'static str)>) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let arrived: BTreeSet<(String, &str)> = REGIONS
                .into_iter()
                .filter_map(|region| Some((region, self.broker(region)?)))
                .flat_map(|(region, broker)| {
                    broker.peek(INBOX).into_iter().map(move |payload| (payload, region))
                })
                .collect();
            let lost: Vec<String> = expected
                .iter()
                .filter(|wanted| !arrived.contains(*wanted))
                .map(|(message, region)| format!("message `{message}` did not arrive in {region}"))
                .collect();
            if lost.is_empty() || Instant::now() > deadline {
                for region in REGIONS {
                    self.project.broker(region).try_delete(&format!("/queues/%2F/{INBOX}/contents"));
                }
                return lost;
            }
        }
    }
}

/// The name of what a link carries.
fn resource((_, downstream, exchange): Link) -> String {
    if exchange { EXCHANGE.to_owned() } else { queue_of(downstream) }
}

/// Every link that the oracle sends messages through.
fn links() -> Vec<Link> {
    let pairs = REGIONS.into_iter().flat_map(|upstream| REGIONS.map(|downstream| (upstream, downstream)));
    let pairs = pairs.filter(|(upstream, downstream)| upstream != downstream);
    pairs
        .flat_map(|(upstream, downstream)| [true, false].map(|exchange| (upstream, downstream, exchange)))
        .collect()
}

/// The queue that is consumed in one region only, and federated to all.
fn queue_of(downstream: &str) -> String {
    format!("{QUEUES}{downstream}")
}

fn nonce(sent: &mut usize, region: &str) -> String {
    *sent += 1;
    format!("{region} {sent}")
}

fn moved_by_exchange(brokers: &BTreeMap<&'static str, Broker>, count: &mut usize) -> BTreeSet<Link> {
    let mut sent = BTreeMap::new();
    for (region, broker) in brokers {
        let nonce = nonce(count, region);
        if broker.try_publish(EXCHANGE, "probe", &nonce) {
            sent.insert(nonce, *region);
        }
    }
    let mut moved = BTreeSet::new();
    let expected = sent.len() * (brokers.len() - 1);
    let deadline = Instant::now() + PATIENCE;
    while moved.len() < expected && Instant::now() < deadline {
        for (downstream, broker) in brokers {
            for payload in broker.peek(INBOX) {
                if let Some(upstream) = sent.get(&payload).filter(|upstream| *upstream != downstream) {
                    moved.insert((*upstream, *downstream, true));
                }
            }
        }
    }
    moved
}

/// Consumes a region's queue until these have arrived or time is up; what arrived. Nothing where the broker takes no
/// connection.
async fn consume(project: &Project, region: &str, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let address = run(&["port", &project.container(region, "broker"), "5672/tcp"]);
    let address = String::from_utf8(address.stdout).unwrap();
    let uri =
        format!("amqp://{}:{}@{}/%2f", USER.0, USER.1, address.lines().next().unwrap_or_default().trim());
    let queue = queue_of(region);
    let mut arrived = BTreeSet::new();
    let consuming = async {
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer =
            channel.basic_consume(queue.as_str().into(), "oracle".into(), options, none).await?;
        while !wanted.is_subset(&arrived) {
            let Some(delivery) = consumer.next().await else { break };
            let delivery = delivery?;
            arrived.insert(String::from_utf8_lossy(&delivery.data).into_owned());
            delivery.acker.ack(BasicAckOptions::default()).await?;
        }
        connection.close(200, "done".into()).await
    };
    let outcome = tokio::time::timeout(PATIENCE, consuming).await;
    drop(outcome);
    arrived
}

/// Whether a request is one to change something. A command in a container takes two: to create it, and to start it.
fn changes_something(request: &str) -> bool {
    ["PUT /", "POST /", "DELETE /"].iter().any(|start| request.starts_with(start))
        && !request.starts_with("POST /exec/")
}

/// What was wrong with `up` after damage.
fn judge(damage: Damage, ran: &Ran, changes: &[String]) -> Vec<String> {
    let expected = if matches!(damage, Damage::ForeignPolicy) { 4 } else { 0 };
    let mut wrong = Vec::new();
    // what is frozen from outside of the engine is not fedctl's to thaw
    if damage != Damage::Freeze && ran.code != Some(expected) {
        wrong.push(format!(
            "`up` ended with {:?}: {}",
            ran.code,
            ran.stderr.lines().last().unwrap_or_default()
        ));
    }
    if changes.len() > damage.things() {
        wrong.push(format!("{} changes for {}: {}", changes.len(), damage.things(), changes.join(", ")));
    }
    wrong
}
