//! Checks: mistakes that are seeded one by one, each found by its code, and federations in which nothing is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::catalogue;
use fedctl_model::{
    check::{
        self, AmqpUri, BrokerFacts, Checks, Exchange, Expiring, Node, Queue, Rule, Upstream, Usage, User,
    },
    definition::Policy,
    desired::{self, Passwords},
    diagnostic::{Code, pages},
    observed::{
        self, BrokerHealth, Consumer, Container, ContainerState, EngineState, Federated, Link, Observed,
        Reported, Resource, Snapshot,
    },
    secret::Secret,
    site::{self, Inventory, Unavailable},
    topology::{self, RegionName, Topology},
};
use serde_json::{Map, Value, json};

const SHIPPED: &str = include_str!("../../../../regions.yaml");
const EXCHANGE: &str = "orders.events";
const QUEUE: &str = "fed.work";

/// What the brokers of a topology answer.
struct World {
    topology: Topology,
    health: BTreeMap<RegionName, Result<BrokerHealth, Unavailable>>,
    facts: BTreeMap<RegionName, Result<BrokerFacts, Unavailable>>,
}

impl World {
    /// A federation as `fedctl up` leaves it, with an exchange and a queue that are federated and some that are not.
    fn of(yaml: &str) -> Self {
        let (topology, _) = topology::parse(yaml, &catalogue()).unwrap();
        let passwords: Passwords =
            desired::passwords(&topology).into_iter().map(|id| (id, Secret::new("password"))).collect();
        let desired = desired::desired(&topology, &catalogue(), &passwords, "fedctl-service");
        let neighbours = topology.neighbours();
        let (mut health, mut facts) = (BTreeMap::new(), BTreeMap::new());
        for broker in &desired.brokers {
            let neighbours = &neighbours[&broker.region];
            health.insert(broker.region.clone(), Ok(healthy(&neighbours.upstreams, &neighbours.downstreams)));
            facts.insert(broker.region.clone(), Ok(held(broker)));
        }
        Self { topology, health, facts }
    }

    fn health(&mut self, region: &str) -> &mut BrokerHealth {
        self.health.get_mut(&RegionName::new(region)).unwrap().as_mut().unwrap()
    }

    fn facts(&mut self, region: &str) -> &mut BrokerFacts {
        self.facts.get_mut(&RegionName::new(region)).unwrap().as_mut().unwrap()
    }

    fn node(&mut self, region: &str) -> &mut Node {
        &mut self.facts(region).nodes[0]
    }

    fn everywhere(&mut self, change: impl Fn(&mut BrokerFacts)) {
        self.facts.values_mut().filter_map(|facts| facts.as_mut().ok()).for_each(change);
    }

    fn policy(&mut self, region: &str, name: &str, pattern: &str, priority: i32, definition: Value) {
        self.facts(region).policies.push(rule(name, pattern, "all", priority, definition));
    }

    /// Adds an upstream that is as it should be but for these settings; `null` takes one out.
    fn upstream(&mut self, region: &str, name: &str, uri: &str, settings: Value) {
        let mut all = object(json!({"resource-cleanup-mode": "never"}));
        all.extend(object(settings));
        all.retain(|_, value| !value.is_null());
        let uris = vec![AmqpUri::parse(&Secret::new(uri)).unwrap()];
        self.facts(region).upstreams.insert(name.into(), Upstream { uris, settings: all });
    }

    fn queue(&mut self, region: &str, name: &str, messages: u64) -> &mut Queue {
        let is_stream = false;
        let depth = observed::Queue { name: name.into(), messages, unacknowledged: 0, is_stream };
        self.health(region).queues.push(depth);
        let queues = &mut self.facts(region).queues;
        queues.push(queue(name));
        queues.last_mut().unwrap()
    }

    fn checks(&self) -> Checks {
        let regions: Vec<RegionName> =
            self.topology.regions.iter().map(|region| region.name.clone()).collect();
        self.checks_of(&regions)
    }

    fn checks_of(&self, regions: &[RegionName]) -> Checks {
        let found = (&snapshot(&self.health), &snapshot(&self.facts));
        check::live(&self.topology, Vec::new(), found, &Federated::new(), regions)
    }

    /// What is found, as `code place`.
    fn found(&self) -> Vec<String> {
        let checks = self.checks();
        checks.diagnostics.iter().map(|found| format!("{} {}", found.code, found.place)).collect()
    }
}

fn snapshot<T: Clone>(answers: &BTreeMap<RegionName, Result<T, Unavailable>>) -> Snapshot<T> {
    let brokers = answers
        .iter()
        .map(|(region, answer)| (region.clone(), Observed { site: None, answer: answer.clone() }));
    Snapshot { brokers: brokers.collect(), ..Snapshot::default() }
}

fn healthy(upstreams: &[RegionName], downstreams: &[RegionName]) -> BrokerHealth {
    let resources = || [Resource::Exchange(EXCHANGE.into()), Resource::Queue(QUEUE.into())];
    let link = |upstream: &RegionName, resource| Link {
        is_paused: false,
        resource,
        upstream: upstream.to_string(),
        status: "running".into(),
        error: None,
        age: Some(60),
    };
    let internal = downstreams.iter().map(|downstream| format!("federation: {EXCHANGE} -> {downstream}"));
    let internal: Vec<String> = internal.collect();
    let queues = internal.iter().map(String::as_str).chain([QUEUE, "orders"]);
    let depth =
        |name: &str| observed::Queue { name: name.into(), messages: 0, unacknowledged: 0, is_stream: false };
    let consumer = |queue: &str, user: String| Consumer { queue: queue.into(), user, host: String::new() };
    let links = internal.iter().map(String::as_str).zip(downstreams);
    let links = links.chain(downstreams.iter().map(|downstream| (QUEUE, downstream)));
    let links = links.map(|(queue, downstream)| consumer(queue, format!("link-{downstream}")));
    let consumers = links.chain([QUEUE, "orders"].map(|queue| consumer(queue, "services".into())));
    BrokerHealth {
        version: "4.3.6".into(),
        uptime_ms: Some(60_000),
        memory_used: Some(100 << 20),
        alarms: Some(Vec::new()),
        exchanges: exchanges().into_iter().map(|exchange| exchange.name).collect(),
        queues: queues.map(depth).collect(),
        bindings: Vec::new(),
        reported: Reported::All,
        links: Ok(upstreams.iter().flat_map(|name| resources().map(|found| link(name, found))).collect()),
        consumers: Some(consumers.collect()),
        definitions: None,
    }
}

fn held(broker: &desired::Broker) -> BrokerFacts {
    let upstreams = broker.upstreams.iter().map(|(name, upstream)| {
        let uris = vec![AmqpUri::parse(&upstream.uri).unwrap()];
        (name.clone(), Upstream { uris, settings: upstream.settings.clone() })
    });
    let policies = broker.policies.iter().map(|(name, policy)| {
        let policy = policy.clone();
        Rule { name: name.clone(), is_operators: false, policy }
    });
    let node = Node {
        name: format!("rabbit@{}", broker.region),
        running: true,
        file_descriptors: Usage { used: Some(60), limit: Some(16_384) },
        sockets: Usage { used: Some(0), limit: Some(0) },
        processes: Usage { used: Some(500), limit: Some(1_048_576) },
        memory: Usage { used: Some(100 << 20), limit: Some(230 << 20) },
        disk_free: Some(20 << 30),
        disk_limit: Some(50_000_000),
        ..Node::default()
    };
    let internal =
        broker.downstreams.keys().map(|downstream| queue(&format!("federation: {EXCHANGE} -> {downstream}")));
    let administrator = User { tags: BTreeSet::from(["administrator".to_owned()]) };
    let users = broker.users.keys().map(|name| (name.clone(), User::default()));
    BrokerFacts {
        cluster_name: broker.cluster_name.clone(),
        clock_ahead: Some(0),
        nodes: vec![node],
        exchanges: exchanges(),
        queues: internal.chain([queue(QUEUE), queue("orders")]).collect(),
        policies: policies.collect(),
        upstreams: upstreams.collect(),
        users: Some(users.chain([("fedctl".to_owned(), administrator)]).collect()),
        deprecated: vec!["management_metrics_collection".into()],
        ..BrokerFacts::default()
    }
}

fn exchanges() -> Vec<Exchange> {
    let all = [("", "direct"), ("amq.topic", "topic"), ("amq.fanout", "fanout"), (EXCHANGE, "topic")];
    let all = all.into_iter().chain([("federation: orders.events -> asia B", "x-federation-upstream")]);
    all.map(|(name, kind)| Exchange { name: name.into(), kind: kind.into() }).collect()
}

fn queue(name: &str) -> Queue {
    Queue { name: name.into(), kind: "classic".into(), durable: true, exclusive: false, auto_delete: false }
}

fn rule(name: &str, pattern: &str, apply_to: &str, priority: i32, definition: Value) -> Rule {
    let (pattern, apply_to, definition) = (pattern.into(), apply_to.into(), object(definition));
    Rule {
        name: name.into(),
        is_operators: false,
        policy: Policy { pattern, apply_to, priority, definition },
    }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// What is changed, behind what has to be found of it and nothing else as `code place`, or why it is no mistake.
type Seed = (&'static str, fn(&mut World));

const ON_BROKERS: &[Seed] = &[
    ("FED0801 broker `asia`", |world| world.facts("asia").cluster_name = "rabbit@asia.example".into()),
    ("FED0802 broker `asia`", |world| world.facts("asia").cluster_name = "europe".into()),
    ("FED0803 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://a@far?heartbeat=5", json!({"ack-mode": "no-ack"}));
    }),
    ("FED0804 upstream `theirs` in `asia`", |world| {
        let cleanup = json!({"resource-cleanup-mode": null});
        world.upstream("asia", "theirs", "amqps://a@far?heartbeat=5", cleanup);
    }),
    ("FED0804 upstream `europe` in `asia`", |world| {
        let settings = &mut world.facts("asia").upstreams.get_mut("europe").unwrap().settings;
        settings.insert("resource-cleanup-mode".into(), json!("default"));
    }),
    ("FED0805 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://a@far", json!({}));
    }),
    ("FED0805 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://a@far?heartbeat=0", json!({}));
    }),
    ("FED0806 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://a@far?heartbeat=5", json!({"message-ttl": 60_000}));
    }),
    ("FED0807 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqp://a@far?heartbeat=5", json!({}));
    }),
    ("FED0808 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://a@far?verify=verify_none&heartbeat=5", json!({}));
    }),
    ("FED0809 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqps://far?heartbeat=5", json!({}));
    }),
    ("FED0810 upstream `europe` in `asia`", |world| {
        let upstream = world.facts("asia").upstreams.get_mut("europe").unwrap();
        upstream.uris[0].user = Some("fedctl".into());
    }),
    ("FED0811 user `guest` in `asia`", |world| {
        world.facts("asia").users.as_mut().unwrap().insert("guest".into(), User::default());
    }),
    ("FED0812 upstream `theirs` in `asia`", |world| {
        world.facts("asia").policies.retain(|rule| rule.name != "events");
        let set = json!({"federation-upstream-set": "ours"});
        world.facts("asia").policies.push(rule("events", r"\.events$", "exchanges", 0, set.clone()));
        world.facts("asia").policies.retain(|rule| rule.name != "fed");
        world.facts("asia").policies.push(rule("fed", r"^fed\.", "queues", 0, set));
        let ours = ["europe", "america"].map(str::to_owned).to_vec();
        world.facts("asia").upstream_sets.insert("ours".into(), ours);
        world.upstream("asia", "theirs", "amqps://a@far?heartbeat=5", json!({}));
    }),
    ("FED0813 policy `theirs` in `asia`", |world| {
        world.policy("asia", "theirs", "^theirs$", 0, json!({"federation-upstream": "nowhere"}));
    }),
    ("FED0813 policy `theirs` in `asia`", |world| {
        world.policy("asia", "theirs", "^theirs$", 0, json!({"federation-upstream-pattern": "^dc-"}));
    }),
    ("FED0814 policy `theirs` in `asia`", |world| {
        world.policy("asia", "theirs", "^theirs$", 0, json!({"federation-upstream-set": "nothing"}));
    }),
    ("FED0815 upstream set `theirs` in `asia`", |world| {
        let members = ["europe", "nowhere"].map(str::to_owned).to_vec();
        world.facts("asia").upstream_sets.insert("theirs".into(), members);
        world.policy("asia", "theirs", "^theirs$", 0, json!({"federation-upstream-set": "theirs"}));
    }),
    ("FED0816 upstream set `theirs` in `asia`", |world| {
        world.facts("asia").upstream_sets.insert("theirs".into(), vec!["europe".into()]);
    }),
    ("FED0817 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqp://a@europe:5672/%2F?heartbeat=5", json!({}));
    }),
    ("FED0818 upstream `theirs` in `asia`", |world| {
        world.upstream("asia", "theirs", "amqp://a@asia:5672/%2F?heartbeat=5", json!({}));
    }),
    ("FED0324 policy `fed` in `asia`", |world| {
        world.policy("asia", "limits", r"^fed\.", 10, json!({"max-length": 100_000}));
    }),
    ("FED0819 policy `limits` in `asia`", |world| {
        world.policy("asia", "limits", r"^fed\.", 0, json!({"max-length": 100_000}));
    }),
    ("FED0820 policy `fed` in `asia`", |world| {
        world.policy("asia", "limits", r"^fed\.", -1, json!({"max-length": 100_000}));
    }),
    ("FED0821 policy `fed` in `europe`", |world| {
        world.everywhere(|facts| facts.queues.retain(|queue| queue.name != QUEUE));
    }),
    ("FED0822 policy `mirrors` in `asia`", |world| {
        world.policy("asia", "mirrors", "^orders$", 0, json!({"ha-mode": "all"}));
    }),
    ("FED0823 policy `broad` in `asia`", |world| {
        world.policy("asia", "broad", "^federation", 0, json!({"max-length": 5}));
    }),
    ("FED0823 policy `operators` in `asia`", |world| {
        world.policy("asia", "operators", ".*", 0, json!({"message-ttl": 60_000}));
        world.facts("asia").policies.last_mut().unwrap().is_operators = true;
    }),
    ("FED0824 policy `broad` in `asia`", |world| {
        world.policy("asia", "broad", "^federation", 0, json!({"queue-version": 2}));
    }),
    ("FED0825 policy `fed` in `asia`", |world| {
        world.facts("asia").queues.push(Queue { exclusive: true, ..queue("fed.reply") });
    }),
    ("FED0826 policy `broad` in `asia`", |world| {
        world.policy("asia", "broad", "^amq", 0, json!({"federation-upstream-set": "all"}));
    }),
    ("FED0827 queue `federation: orders.events -> mars` in `asia`", |world| {
        world.queue("asia", "federation: orders.events -> mars", 7);
    }),
    ("FED0827 queue `federation: orders.done -> europe` in `asia`", |world| {
        world.queue("asia", "federation: orders.done -> europe", 7);
    }),
    ("FED0828 queue `fed.events` in `asia`", |world| {
        world.health("asia").version = "4.3.3".into();
        world.facts("asia").queues.push(queue("fed.events"));
        world.facts("asia").exchanges.push(Exchange { name: "fed.events".into(), kind: "topic".into() });
    }),
    ("FED0829 queue `replies` in `asia`", |world| {
        world.queue("asia", "replies", 0).durable = false;
    }),
    ("FED0830 queue `fed.work` in `asia`", |world| {
        for region in ["europe", "asia", "america"] {
            let consumers = world.health(region).consumers.as_mut().unwrap();
            consumers.retain(|consumer| consumer.queue != QUEUE || consumer.user != "services");
        }
        let queues = &mut world.health("asia").queues;
        queues.iter_mut().find(|queue| queue.name == QUEUE).unwrap().messages = 3;
    }),
    ("FED0831 exchange `orders.events` in `asia`", |world| {
        let exchanges = &mut world.facts("asia").exchanges;
        exchanges.iter_mut().find(|exchange| exchange.name == EXCHANGE).unwrap().kind = "fanout".into();
    }),
    ("FED0832 broker `asia`", |world| world.node("asia").file_descriptors.used = Some(15_000)),
    ("FED0833 broker `asia`", |world| {
        world.node("asia").sockets = Usage { used: Some(80), limit: Some(100) };
    }),
    ("FED0834 broker `asia`", |world| world.node("asia").processes.used = Some(1_000_000)),
    ("FED0835 broker `asia`", |world| world.node("asia").memory.used = Some(220 << 20)),
    ("FED0836 broker `asia`", |world| world.node("asia").disk_free = Some(60_000_000)),
    ("FED0837 broker `asia`", |world| {
        let name = "rabbit@other".into();
        world.facts("asia").nodes.push(Node { name, ..Node::default() });
    }),
    ("FED0838 broker `asia`", |world| world.node("asia").partitions = vec!["rabbit@other".into()]),
    ("FED0839 broker `asia`", |world| world.facts("asia").clock_ahead = Some(6)),
    ("FED0840 broker `asia`", |world| {
        world.facts("asia").expiring = vec![Expiring { port: 5671, at: "2026-12-01 10:00:00".into() }];
    }),
    ("FED0841 broker `asia`", |world| world.health("asia").version = "4.1.8".into()),
    ("FED0842 broker `asia`", |world| world.facts("asia").disabled_flags = vec!["khepri_db".into()]),
    ("FED0843 broker `asia`", |world| {
        world.facts("asia").deprecated.push("transient_nonexcl_queues".into());
    }),
    ("FED0610 broker `asia`", |world| world.health("asia").alarms = Some(vec!["memory".into()])),
    ("FED0310 link europe → asia (orders.events)", |world| {
        let link = &mut world.health("asia").links.as_mut().unwrap()[0];
        (link.status, link.error) = ("error".into(), Some("socket_closed_unexpectedly".into()));
    }),
    ("FED0601 broker `asia`", |world| {
        let unreachable = Unavailable::Unreachable("timed out".into());
        world.health.insert(RegionName::new("asia"), Err(unreachable.clone()));
        world.facts.insert(RegionName::new("asia"), Err(unreachable));
    }),
    ("FED0608 broker `asia`", |world| {
        let slow = Unavailable::Unresponsive("timed out".into());
        world.facts.insert(RegionName::new("asia"), Err(slow));
    }),
];

#[test]
fn a_mistake_on_a_broker_is_found_by_its_code_and_nothing_else_is() {
    assert_eq!(World::of(SHIPPED).found(), [""; 0], "without a mistake");
    for (expected, seed) in ON_BROKERS {
        let mut world = World::of(SHIPPED);
        seed(&mut world);
        assert_eq!(world.found(), [*expected]);
    }
}

/// What looks like a mistake and is none.
const NO_MISTAKES: &[Seed] = &[
    ("a clock that is five seconds ahead", |world| world.facts("asia").clock_ahead = Some(5)),
    ("most of what may be used is free", |world| {
        world.node("asia").file_descriptors.used = Some(13_000);
        world.node("asia").memory.used = Some(200 << 20);
    }),
    ("RabbitMQ of before 4.0 mirrors queues", |world| {
        everywhere(world, "3.13.7");
        world.policy("asia", "mirrors", "^orders$", 0, json!({"ha-mode": "all"}));
    }),
    ("RabbitMQ of before 4.3 takes transient queues", |world| {
        everywhere(world, "4.0.5");
        world.queue("asia", "replies", 0).durable = false;
    }),
    ("an exclusive queue may be transient", |world| {
        let queue = Queue { durable: false, exclusive: true, ..queue("replies") };
        world.facts("asia").queues.push(queue);
    }),
    ("RabbitMQ 4.3.4 leaves an exchange of a queue's name alone", |world| {
        everywhere(world, "4.3.4");
        world.facts("asia").queues.push(queue("fed.events"));
        world.facts("asia").exchanges.push(Exchange { name: "fed.events".into(), kind: "topic".into() });
    }),
    ("one of RabbitMQ's own exchanges is meant", |world| {
        world.policy("asia", "mqtt", "^amq.topic$", 0, json!({"federation-upstream-set": "all"}));
    }),
    ("another virtual host of the same broker needs neither TLS nor a user", |world| {
        world.upstream("asia", "theirs", "amqp:///other", json!({}));
    }),
    ("a proxy on the same machine needs neither TLS nor a heartbeat", |world| {
        world.upstream("asia", "theirs", "amqp://a@127.0.0.1:5671", json!({"message-ttl": 259_200_000}));
    }),
    ("an upstream is named by a pattern, and another by its name", |world| {
        let facts = world.facts("asia");
        facts.policies.retain(|rule| rule.name != "fed");
        facts.policies.push(rule("fed", r"^fed\.", "queues", 0, json!({"federation-upstream": "europe"})));
        facts.policies.retain(|rule| rule.name != "events");
        let pattern = json!({"federation-upstream-pattern": "^amer"});
        facts.policies.push(rule("events", r"\.events$", "exchanges", 0, pattern));
    }),
    ("policies of queues that are not federated stay out of the way", |world| {
        world.policy("asia", "limits", "^orders$", 0, json!({"max-length": 5}));
        world.policy("asia", "more", "^orders$", 1, json!({"expires": 60_000}));
    }),
    ("the policy that federates has the other's keys too", |world| {
        world.policy("asia", "limits", r"^fed\.", -1, json!({"max-length": 5}));
        let own = world.facts("asia").policies.iter_mut().find(|rule| rule.name == "fed").unwrap();
        own.policy.definition.insert("max-length".into(), json!(9));
    }),
    ("an operator's policy is applied in addition", |world| {
        world.policy("asia", "operators", r"^fed\.", 10, json!({"max-length": 5}));
        world.facts("asia").policies.last_mut().unwrap().is_operators = true;
    }),
    ("a policy whose pattern cannot be read is not judged", |world| {
        world.policy("asia", "limits", "^(?!federation)", 10, json!({"max-length": 5}));
    }),
    ("what a probe uses is not judged", |world| {
        world.policy("asia", "fedctl.probe.abcdefgh", "fedctl.probe", 5, json!({"expires": 60_000}));
        world.queue("asia", "federation: fedctl.probe.abcdefgh.events -> mars", 7);
    }),
];

fn everywhere(world: &mut World, version: &str) {
    for region in ["europe", "asia", "america"] {
        world.health(region).version = version.into();
    }
}

#[test]
fn what_is_no_mistake_is_not_found() {
    for (why, change) in NO_MISTAKES {
        let mut world = World::of(SHIPPED);
        change(&mut world);
        assert_eq!(world.found(), [""; 0], "{why}");
    }
}

#[test]
fn what_the_file_is_warned_of_is_not_told_again_of_its_upstreams() {
    let yaml = format!("{SHIPPED}  upstream: {{ack-mode: no-ack}}\n");
    assert_eq!(offline(&yaml), ["FED0202"]);
    let mut world = World::of(&yaml);
    assert_eq!(world.found(), [""; 0]);
    world.upstream("asia", "theirs", "amqps://a@far?heartbeat=5", json!({"ack-mode": "no-ack"}));
    assert_eq!(world.found(), ["FED0803 upstream `theirs` in `asia`"]);
}

#[test]
fn while_a_region_is_silent_nothing_is_said_of_what_it_may_have() {
    let mut world = World::of(SHIPPED);
    world.health.insert(RegionName::new("europe"), Err(Unavailable::Paused));
    world.facts.insert(RegionName::new("europe"), Err(Unavailable::Paused));
    world.everywhere(|facts| facts.queues.retain(|queue| queue.name != QUEUE));
    assert_eq!(world.found(), ["FED0607 broker `europe`"]);
}

/// A part of a file with two regions, and what has to be found in it and nothing else.
const IN_FILES: &[(&str, &str)] = &[
    ("FED0202", "federation: {upstream: {ack-mode: no-ack}}"),
    ("FED0211", "federation: {upstream: {prefetch-count: 20}}"),
    ("FED0212", "federation: {upstream: {reconnect-delay: 300}}"),
    ("FED0213", "federation: {upstream: {heartbeat: 120}}"),
    ("FED0214", "federation: {upstream: {heartbeat: 1}}"),
    (
        "FED0215",
        "broker: {memory: 192}\nfederation: {policies: [{name: w, pattern: ^w, apply-to: queues}, \
         {name: x, pattern: ^x, apply-to: queues}, {name: y, pattern: ^y, apply-to: queues}, \
         {name: z, pattern: ^z, apply-to: queues}]}",
    ),
    ("FED0216", "federation: {policies: [{name: all, pattern: '^[a-z.]*$', apply-to: exchanges}]}"),
    ("FED0217", "federation: {policies: [{name: all, pattern: '^amq', apply-to: queues}]}"),
    ("FED0218", "broker: {image: 'example.org:5000/broker'}"),
    ("FED0218", "broker: {image: 'example.org/broker:latest'}"),
    ("FED0219", "broker: {image: 'rabbitmq:4.3'}"),
    (
        "FED0220",
        "federation: {shape: pairs, pairs: [{upstream: a, downstream: b}, {upstream: b, downstream: a}]}",
    ),
    ("FED0221", "federation: {allow-duplicates: true}"),
    ("FED0240", "federation: {upstream: {expires: 1209600000}}"),
    ("FED0241", "federation: {upstream: {expires: 60000}}"),
];

#[test]
fn a_mistake_in_a_file_is_found_by_its_code_and_nothing_else_is() {
    for (expected, part) in IN_FILES {
        let third = if *expected == "FED0220" { ", name: c" } else { "" };
        let yaml = format!("name: shop\nmaster: a\nregions: [name: a, name: b{third}]\n{part}\n");
        assert_eq!(offline(&yaml), [*expected], "{part}");
    }
}

/// The codes of what is found in a file.
fn offline(yaml: &str) -> Vec<String> {
    let findings = topology::parse(yaml, &catalogue()).map_or_else(|found| found, |(_, warnings)| warnings);
    let checks = check::offline(None, findings);
    assert_eq!(checks.errors + checks.warnings, checks.diagnostics.len());
    checks.diagnostics.iter().map(|found| found.code.to_string()).collect()
}

#[test]
fn every_check_of_brokers_and_every_late_warning_of_the_file_has_a_seed() {
    let on_brokers = ON_BROKERS.iter().map(|(expected, _)| &expected[..7]);
    let seeded: BTreeSet<&str> = on_brokers.chain(IN_FILES.iter().map(|(code, _)| *code)).collect();
    let is_checked = |code: &&str| ("FED0211".."FED0250").contains(code) || code.starts_with("FED08");
    let codes = Code::all();
    let unseeded = codes.iter().map(Code::as_str).filter(is_checked).filter(|code| !seeded.contains(code));
    assert_eq!(unseeded.collect::<Vec<_>>(), [""; 0]);
    assert!(World::of(SHIPPED).checks().checks >= 40);
}

/// Federations with nothing wrong: every shape, with few regions and with many.
fn valid() -> Vec<String> {
    let shapes = [
        (2, ""),
        (10, ""),
        (3, "shape: ring"),
        (5, "shape: ring, one-way: true"),
        (4, "shape: line"),
        (4, "shape: line, one-way: true"),
        (6, "shape: hub-and-spoke, hub: r1"),
        (6, "shape: hub-and-spoke, hub: r1, one-way: true"),
        (2, "shape: pairs, pairs: [{upstream: r1, downstream: r0}]"),
        (4, "shape: ring, allow-duplicates: true"),
        (3, "upstream: {prefetch-count: 100, reconnect-delay: 10, heartbeat: 20}"),
    ];
    let shapes = shapes.map(|(count, federation)| {
        let regions = (0..count).map(|number| format!("name: r{number}")).collect::<Vec<_>>().join(", ");
        let policies = r"policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
        let comma = if federation.is_empty() { "" } else { ", " };
        format!(
            "name: shop\nmaster: r0\nregions: [{regions}]\nfederation: {{{federation}{comma}{policies}}}\n"
        )
    });
    let one =
        "name: shop\nmaster: europe\nregions: [name: europe]\nbroker: {image: 'rabbitmq:4.3-management'}\n";
    shapes.into_iter().chain([SHIPPED, one].map(str::to_owned)).collect()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for yaml in valid() {
        assert_eq!(offline(&yaml), [""; 0], "{yaml}");
        for version in ["3.13.7", "4.0.5", "4.3.6"] {
            let mut world = World::of(&yaml);
            // only exchanges are federated in most of these
            let queues = yaml.contains("apply-to: queues") || !yaml.contains("apply-to");
            for health in world.health.values_mut().flatten() {
                health.version = version.into();
                let links = health.links.as_mut().unwrap();
                links.retain(|link| queues || matches!(link.resource, Resource::Exchange(_)));
            }
            assert_eq!(world.found(), [""; 0], "{version}: {yaml}");
        }
    }
}

#[test]
fn neighbouring_release_series_are_not_far_apart() {
    let found = |old: &str, new: &str| {
        let mut world = World::of(SHIPPED);
        everywhere(&mut world, new);
        world.health("asia").version = old.into();
        world.found()
    };
    for (old, new) in [("3.13.7", "4.0.5"), ("4.2.1", "4.3.6"), ("4.3.1", "4.3.6"), ("9.1.0", "4.3.6")] {
        assert_eq!(found(old, new), [""; 0], "{old} and {new}");
    }
    assert_eq!(found("3.12.1", "4.0.5"), ["FED0841 broker `asia`"]);
}

#[test]
fn a_broker_that_does_not_answer_is_named_once_and_hinders_no_other() {
    let mut world = World::of(SHIPPED);
    world.health.insert(RegionName::new("europe"), Err(Unavailable::Missing));
    world.facts.insert(RegionName::new("europe"), Err(Unavailable::Missing));
    world.facts("asia").users.as_mut().unwrap().insert("guest".into(), User::default());
    assert_eq!(world.found(), ["FED0603 broker `europe`", "FED0811 user `guest` in `asia`"]);
}

#[test]
fn what_is_so_of_a_broker_is_told_once_however_many_regions_are_its_virtual_hosts() {
    let mut world = World::of(SHIPPED);
    world.everywhere(|facts| {
        facts.cluster_name = "one".into();
        facts.disabled_flags = vec!["khepri_db".into()];
        facts.users.as_mut().unwrap().insert("guest".into(), User::default());
    });
    let found = || (snapshot(&world.health), snapshot(&world.facts));
    let duplicates = |facts: &Snapshot<BrokerFacts>| {
        let regions = ["europe", "asia", "america"].map(RegionName::new);
        let found = (&found().0, facts);
        let checks = check::live(&world.topology, Vec::new(), found, &Federated::new(), &regions);
        checks.diagnostics.iter().map(|found| format!("{} {}", found.code, found.place)).collect::<Vec<_>>()
    };
    let (_, mut facts) = found();
    assert_eq!(duplicates(&facts).len(), 8, "three brokers");
    let engine = EngineState { containers: vec![container("shop_europe_broker")], ..EngineState::default() };
    let sites = Inventory::of(&world.topology, &Passwords::new()).sites(&engine);
    let site = sites[&RegionName::new("europe")].clone().unwrap();
    for broker in facts.brokers.values_mut() {
        broker.site = Some(site.clone());
    }
    assert_eq!(duplicates(&facts), ["FED0842 broker `europe`", "FED0811 user `guest` in `europe`"]);
}

/// A container that runs, with the ports of a broker.
fn container(name: &str) -> Container {
    Container {
        name: name.into(),
        labels: BTreeMap::new(),
        state: ContainerState::Running,
        status: "Up 3 minutes".into(),
        image_id: "sha256:broker".into(),
        networks: BTreeMap::new(),
        ports: BTreeMap::from([(5672, 32_768), (15_672, 32_769)]),
    }
}

#[test]
fn what_cannot_be_seen_is_not_found() {
    let mut world = World::of(SHIPPED);
    world.facts("europe").users = None;
    world.facts("asia").upstreams.get_mut("europe").unwrap().uris[0].user = Some("fedctl".into());
    world.queue("asia", "federation: orders.events -> mars", 7);
    world.health("asia").consumers = None;
    *world.node("asia") = Node { name: "rabbit@asia".into(), running: true, ..Node::default() };
    world.facts("asia").clock_ahead = None;
    assert_eq!(world.found(), ["FED0612 broker `asia`"]);
}

#[test]
fn an_upstream_that_is_being_deleted_is_not_complained_of() {
    let mut world = World::of(SHIPPED);
    world.upstream("asia", "europe", site::NOWHERE, json!({"ack-mode": "no-ack"}));
    assert_eq!(world.found(), [""; 0]);
}

#[test]
fn an_internal_queue_that_another_downstream_consumes_is_no_orphan() {
    let mut world = World::of(SHIPPED);
    world.queue("asia", "federation: orders.events -> mars", 7);
    let (queue, user) = ("federation: orders.events -> mars".into(), "mars".into());
    let consumer = Consumer { queue, user, host: String::new() };
    world.health("asia").consumers.as_mut().unwrap().push(consumer);
    assert_eq!(world.found(), [""; 0]);
}

#[test]
fn the_keys_that_a_policy_takes_from_another_are_named_with_what_they_were_for() {
    let mut world = World::of(SHIPPED);
    let limits = json!({"max-length": 5, "overflow": "reject-publish"});
    world.policy("asia", "limits", r"^fed\.", -1, limits);
    let checks = world.checks();
    assert_eq!(
        checks.diagnostics[0].to_string(),
        "policy `fed` in `asia`: applies to `fed.work`, so `max-length`, `overflow` of policy `limits` has no effect there"
    );
}

#[test]
fn only_what_concerns_the_chosen_regions_is_told() {
    let mut world = World::of(SHIPPED);
    for region in ["europe", "asia"] {
        world.facts(region).users.as_mut().unwrap().insert("guest".into(), User::default());
    }
    let asia = world.checks_of(&[RegionName::new("asia")]);
    assert_eq!((asia.warnings, asia.diagnostics[0].place.to_string()), (1, "user `guest` in `asia`".into()));
    assert_eq!(world.checks().warnings, 2);
}

#[test]
fn every_code_has_a_page_and_is_in_the_list() {
    let pages: BTreeMap<String, String> = pages().into_iter().collect();
    assert_eq!(pages.len(), Code::all().len() + 1);
    for code in Code::all() {
        assert!(pages[&format!("{code}.md")].contains(code.explanation()), "{code}");
        assert!(pages["README.md"].contains(&format!("[{code}]({code}.md)")), "{code}");
    }
}
