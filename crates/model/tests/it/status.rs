//! Expected against actual: the status of regions and links, and its JSON form.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::catalogue;
use fedctl_model::{
    definition::Policy,
    desired::Passwords,
    diagnostic::Place,
    federation::{Downstream, internal_queue},
    names,
    observed::{
        Binding, BrokerHealth, Consumer, Container, ContainerState, EngineState, Federated, Link,
        LinkDefinitions, Observed, Plugin, Queue, Reported, Resource, Snapshot,
    },
    site::{Inventory, Unavailable},
    status::{
        self, Activity, BrokerState, Change, Limits, LinkRef, LinkState, LinkStatus, Status, Verdict, Watched,
    },
    topology::{self, RegionName, Topology},
};
use serde_json::Value;

const TWO: &str =
    "name: shop\nmaster: europe\nregions:\n- {name: europe, services: [name: taxes]}\n- name: asia\n";
const THREE: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\n";
const EXCHANGE: &str = "orders.events";
const QUEUE: &str = "fed.work";
const STOPPED: &str =
    "the broker's container is not running (Exited (137) 2 seconds ago): `fedctl up` starts it";

/// What is found: an engine, and the state of each broker.
struct World {
    topology: Topology,
    engine: EngineState,
    health: BTreeMap<RegionName, Result<BrokerHealth, Unavailable>>,
    not_ready: BTreeMap<String, String>,
    /// What was federated before.
    remembered: Federated,
}

impl World {
    /// Everything as it should be, with a federated exchange and queue.
    fn of(yaml: &str) -> Self {
        let (topology, _) = topology::parse(yaml, &catalogue()).unwrap();
        let mut engine = EngineState::default();
        let mut health = BTreeMap::new();
        for region in &topology.regions {
            let services =
                region.services.iter().map(|service| (service.name.as_str(), [(8000, 32_800)].into()));
            let broker = (names::BROKER, [(5672, 32_768), (15672, 32_769)].into());
            for (service, ports) in services.chain([broker]) {
                engine.containers.push(container(names::container("shop", &region.name, service), ports));
            }
            let others =
                topology.regions.iter().map(|other| &other.name).filter(|name| **name != region.name);
            health.insert(region.name.clone(), Ok(broker_health(&others.cloned().collect::<Vec<_>>())));
        }
        Self { topology, engine, health, not_ready: BTreeMap::new(), remembered: Federated::new() }
    }

    fn broker(&mut self, region: &str) -> &mut BrokerHealth {
        self.health.get_mut(&RegionName::new(region)).unwrap().as_mut().unwrap()
    }

    /// The link of the exchange that ends in this region.
    fn link(&mut self, downstream: &str) -> &mut Link {
        &mut self.links(downstream)[0]
    }

    /// The links that end in this region.
    fn links(&mut self, downstream: &str) -> &mut Vec<Link> {
        self.broker(downstream).links.as_mut().unwrap()
    }

    fn consumers(&mut self, region: &str) -> &mut Vec<Consumer> {
        self.broker(region).consumers.as_mut().unwrap()
    }

    fn container(&mut self, name: &str) -> &mut Container {
        self.engine.containers.iter_mut().find(|container| container.name == name).unwrap()
    }

    fn silence(&mut self, region: &str) {
        self.health.insert(RegionName::new(region), Err(Unavailable::Unreachable("timed out".into())));
    }

    fn snapshot(&self) -> Snapshot<BrokerHealth> {
        let sites = Inventory::of(&self.topology, &Passwords::new()).sites(&self.engine);
        let brokers = sites.into_iter().map(|(region, site)| {
            let answered = self.health.get(&region).cloned().unwrap_or(Err(Unavailable::NoPassword));
            let answer = site.as_ref().map_err(Clone::clone).and(answered);
            (region, Observed { site: site.ok(), answer })
        });
        Snapshot {
            engine: self.engine.clone(),
            brokers: brokers.collect(),
            not_ready: self.not_ready.clone(),
        }
    }

    fn status(&self) -> Status {
        status::status(&self.topology, &self.snapshot(), &self.remembered)
    }

    /// What `up` remembers when it has finished.
    fn remember(&mut self) {
        self.remembered = status::federated(&self.topology, &self.snapshot());
    }
}

fn container(name: String, ports: BTreeMap<u16, u16>) -> Container {
    Container {
        name,
        labels: BTreeMap::new(),
        state: ContainerState::Running,
        status: "Up 3 minutes".into(),
        image_id: String::new(),
        networks: [("shop_wan".to_owned(), String::new())].into(),
        ports,
    }
}

fn queue(name: String, messages: u64) -> Queue {
    Queue { name, messages, unacknowledged: 0, is_stream: false }
}

fn broker_health(others: &[RegionName]) -> BrokerHealth {
    let resources = [Resource::Exchange(EXCHANGE.into()), Resource::Queue(QUEUE.into())];
    let links = others.iter().flat_map(|upstream| {
        resources.clone().map(|resource| Link {
            resource,
            upstream: upstream.to_string(),
            status: "running".into(),
            error: None,
            age: Some(180),
            is_paused: false,
        })
    });
    let internal = others
        .iter()
        .map(|downstream| queue(internal_queue(EXCHANGE, &Downstream::new(downstream.as_str(), None)), 0));
    BrokerHealth {
        version: "4.3.6".into(),
        uptime_ms: Some(185_000),
        memory_used: Some(130 << 20),
        alarms: Some(vec![]),
        exchanges: vec![String::new(), "amq.topic".into(), EXCHANGE.into()],
        queues: internal.chain([queue(QUEUE.into(), 0)]).collect(),
        bindings: vec![],
        links: Ok(links.collect()),
        reported: Reported::All,
        consumers: Some(vec![]),
        definitions: None,
    }
}

/// Compares everything that is wrong with the expected lines.
#[track_caller]
fn check(damage: impl FnOnce(&mut World), expected: &[&str]) {
    let mut world = World::of(TWO);
    damage(&mut world);
    let status = world.status();
    let mut found = Vec::new();
    for region in &status.regions {
        let (name, broker) = (&region.name, &region.broker);
        if broker.state != BrokerState::Running {
            found.push(format!(
                "{name}: {:?}: {}",
                broker.state,
                broker.error.as_deref().unwrap_or("no reason")
            ));
        }
        found.extend(broker.alarms.iter().flatten().map(|alarm| format!("{name}: alarm: {alarm}")));
        let services = region.services.iter().filter(|service| !service.is_healthy());
        found.extend(services.map(|service| {
            let reason = service.error.as_ref().or(service.container.as_ref());
            format!("{name}: {}: {}", service.name, reason.map_or("missing", String::as_str))
        }));
    }
    for link in status.links.iter().filter(|link| !link.is_running()) {
        let LinkRef { upstream, downstream, resource } = &link.link;
        let state = link.state();
        let error = link.diagnostic().map_or_else(
            || "no error".into(),
            |found| {
                assert_eq!(found.place, Place::Link(link.link.clone()));
                found.message
            },
        );
        found.push(format!("{upstream} → {downstream} {}: {state:?}: {error}", resource.name()));
    }
    assert_eq!(found, expected);
    assert_eq!(status.is_healthy(), expected.is_empty());
    assert_eq!(status.verdict() == Verdict::Ok, expected.is_empty());
}

#[test]
fn where_every_expected_link_runs_everything_is_healthy() {
    check(|_| {}, &[]);
    assert_eq!(World::of(TWO).status().links.len(), 4);
    assert_eq!(World::of(THREE).status().links.len(), 12);
}

#[test]
fn links_over_a_limit_are_named_worst_first_and_make_a_status_degraded() {
    let mut status = World::of(TWO).status();
    for (link, waiting) in status.links.iter_mut().zip([7, 1, 30, 5]) {
        (link.waiting, link.lag_seconds) = (Some(waiting), Some(60 - waiting));
    }
    Limits::default().apply(&mut status);
    assert!(status.is_healthy(), "no limit is exceeded where there is none");
    Limits { backlog: Some(5), lag: Some(54) }.apply(&mut status);
    let found: Vec<String> = status
        .over_limits()
        .map(|found| format!("{} {} {}", found.code, found.place, found.message))
        .collect();
    assert_eq!(
        found,
        [
            "FED0330 link europe → asia (orders.events) 30 messages queued for it, more than 5",
            "FED0330 link asia → europe (orders.events) 7 messages queued for it, more than 5",
            "FED0331 link asia → europe (fed.work) 1 message queued for it, and for 59 s no fewer, longer than 54 s",
            "FED0331 link europe → asia (fed.work) 5 messages queued for it, and for 55 s no fewer, longer than 54 s",
        ]
    );
    assert!(!status.is_healthy());
    assert_eq!(status.verdict(), Verdict::Critical);
}

#[test]
fn a_link_that_connects_is_starting_for_five_seconds_and_down_after() {
    let starting = |age: Option<u64>| {
        move |world: &mut World| {
            let link = world.link("asia");
            (link.status, link.age) = ("starting".into(), age);
        }
    };
    let young = ["europe → asia orders.events: Starting: no error"];
    check(starting(Some(5)), &young);
    check(starting(None), &young);
    check(
        starting(Some(6)),
        &["europe → asia orders.events: Down: connecting for 6 s: the upstream does not answer"],
    );
}

#[test]
fn the_brokers_own_errors_are_shown_in_plain_words() {
    let silent = "timed out: the upstream does not answer";
    let unknown = "cannot resolve the upstream's host name: is its broker stopped, or off the network?";
    let broke = "lost the connection to the upstream";
    for (status, error, meaning) in [
        ("error", "econnrefused", "connection refused: the upstream's broker is not up"),
        ("error", "unknown_host", unknown),
        ("error", "nxdomain", unknown),
        ("error", "ehostunreach", "no route to the upstream"),
        ("error", "etimedout", silent),
        ("error", "timeout", silent),
        ("error", "{auth_failure,\"ACCESS_REFUSED\"}", "the upstream refuses the link's user or password"),
        ("error", "not_allowed", "the upstream refuses the link's user in that virtual host"),
        ("heartbeat_timeout", "", "no heartbeat from the upstream"),
        ("error", "heartbeat_timeout", "no heartbeat from the upstream"),
        ("upstream_channel_down", "normal", broke),
        ("downstream_channel_down", "normal", "lost the channel to the downstream broker"),
        ("socket_closed_unexpectedly", "", "the upstream closed the connection"),
        (
            "shutdown",
            "{server_initiated_close,406,<<\"PRECONDITION_FAILED - inequivalent arg\">>}",
            "the upstream refuses: PRECONDITION_FAILED - inequivalent arg",
        ),
        (
            "upstream_channel_down",
            "{shutdown,{server_initiated_close,404,<<\"NOT_FOUND - no queue 'fed.timeout'\">>}}",
            "the upstream refuses: NOT_FOUND - no queue 'fed.timeout'",
        ),
        ("invalid_upstream_uri", "", "invalid upstream uri"),
        ("noproc", "{odd,thing}", "noproc: {odd,thing}"),
    ] {
        check(
            |world| {
                let link = world.link("asia");
                (link.status, link.error) = (status.into(), (!error.is_empty()).then(|| error.into()));
            },
            &[&format!("europe → asia orders.events: Down: {meaning}")],
        );
    }
}

#[test]
fn without_its_policy_or_upstream_a_link_is_missing() {
    let missing = |name: &str, reason: &str| format!("europe → asia {name}: Missing: {reason}");
    let not_started = "the downstream has its policy and upstream, and has not started it";
    check(|world| drop(world.links("asia").remove(0)), &[&missing(EXCHANGE, not_started)]);
    check(
        |world| world.links("asia").clear(),
        &[&missing(EXCHANGE, not_started), &missing(QUEUE, not_started)],
    );
    let lacking = |damage: fn(&mut LinkDefinitions), reason: &str| {
        check(
            |world| {
                world.links("asia").remove(0);
                let mut definitions = definitions();
                damage(&mut definitions);
                world.broker("asia").definitions = Some(definitions);
            },
            &[&missing(EXCHANGE, reason)],
        );
    };
    lacking(|_| {}, not_started);
    lacking(
        |held| drop(held.policies.remove("events")),
        "the downstream lacks policy `events`: `fedctl up` puts it back",
    );
    lacking(|held| held.upstreams.clear(), "the downstream lacks the upstream: `fedctl up` puts it back");
    lacking(
        |held| drop(held.policies.insert("limits".into(), policy("^orders", "all", 10))),
        "policy `limits` (priority 10) wins over `events`, and only one policy applies: give `events` a higher \
         `priority`, and in `definition` the other's keys",
    );
    // a policy of a lower priority, of queues, or of other names changes nothing
    lacking(
        |held| {
            held.policies.insert("lower".into(), policy("^orders", "all", -1));
            held.policies.insert("queues".into(), policy("^orders", "queues", 10));
            held.policies.insert("others".into(), policy("^others", "all", 10));
        },
        not_started,
    );
}

#[test]
fn of_a_link_that_is_not_among_those_that_do_not_run_its_upstreams_consumer_says_whether_it_does() {
    // nothing but links of exchanges, of which asia names those that do not run
    let crowded = |damage: fn(&mut World)| {
        move |world: &mut World| {
            world.topology.federation.policies.retain(|policy| policy.name == "events");
            let queue = internal_queue(EXCHANGE, &Downstream::new("asia", None));
            *world.consumers("europe") =
                vec![Consumer { queue, user: "link-asia".into(), host: String::new() }];
            world.links("europe").retain(|link| link.resource == Resource::Exchange(EXCHANGE.into()));
            world.links("asia").clear();
            world.broker("asia").reported = Reported::NotRunning;
            damage(world);
        }
    };
    let found = |state: &str| format!("europe → asia {EXCHANGE}: {state}");
    check(crowded(|_| {}), &[]);
    // not asked yet what it holds
    let not_started = "Missing: the downstream has its policy and upstream, and has not started it";
    check(crowded(|world| world.consumers("europe").clear()), &[&found(not_started)]);
    check(
        crowded(|world| {
            world.consumers("europe").clear();
            world.broker("asia").definitions = Some(definitions());
        }),
        &[&found("Starting: no error")],
    );
    check(
        crowded(|world| {
            world.consumers("europe").clear();
            let mut held = definitions();
            held.upstreams.clear();
            world.broker("asia").definitions = Some(held);
        }),
        &[&found("Missing: the downstream lacks the upstream: `fedctl up` puts it back")],
    );
    check(
        crowded(|world| world.broker("europe").consumers = None),
        &[&found(
            "Unknown: the downstream does not say: the broker is up, but its management API does not answer as it \
                  should: it collects no metrics and so counts no consumers",
        )],
    );
    // what it does name counts
    check(
        crowded(|world| {
            *world.broker("asia") = broker_health(&[RegionName::new("europe")]);
            world.broker("asia").reported = Reported::NotRunning;
            world.link("asia").status = "error".into();
            world.links("asia").truncate(1);
        }),
        &[&found("Down: error")],
    );
}

/// What a broker holds for its links when nothing is wrong.
fn definitions() -> LinkDefinitions {
    LinkDefinitions {
        policies: BTreeMap::from([
            ("events".to_owned(), policy(r"\.events$", "exchanges", 0)),
            ("fed".to_owned(), policy(r"^fed\.", "queues", 0)),
        ]),
        upstreams: ["europe".to_owned()].into(),
        paused: [].into(),
    }
}

fn policy(pattern: &str, apply_to: &str, priority: i32) -> Policy {
    Policy {
        pattern: pattern.into(),
        apply_to: apply_to.into(),
        priority,
        definition: serde_json::Map::new(),
    }
}

#[test]
fn a_link_that_the_topology_does_not_call_for_is_unexpected() {
    let reason = "Unexpected: not in the topology";
    check(
        |world| {
            let mut links = world.links("asia").clone();
            links[0].upstream = "mars".into();
            links[1].resource = Resource::Queue("other".into());
            world.links("asia").extend(links);
        },
        &[&format!("europe → asia other: {reason}"), &format!("mars → asia orders.events: {reason}")],
    );
}

#[test]
fn what_no_policy_matches_needs_no_link() {
    check(
        |world| {
            let broker = world.broker("asia");
            broker.exchanges.push("federation: orders.events -> europe A".into());
            broker.exchanges.push("federation: orders.events".into());
            broker.queues.push(queue("local".into(), 3));
        },
        &[],
    );
}

#[test]
fn a_probes_links_are_neither_expected_nor_unexpected() {
    check(
        |world| {
            let of_probe = Resource::Exchange("fedctl.probe.abcdefgh.events".into());
            let link = Link { resource: of_probe.clone(), ..world.links("asia")[0].clone() };
            world.links("asia").push(link);
            world.broker("asia").exchanges.push(of_probe.name().into());
            world.broker("europe").exchanges.push(of_probe.name().into());
            world.broker("asia").queues.push(queue("fed.fedctl.probe.abcdefgh.asia".into(), 1));
        },
        &[],
    );
}

#[test]
fn a_pattern_matches_bytes_as_rabbitmq_does() {
    let policy = r"{name: words, pattern: '^\w+$', apply-to: exchanges}";
    let mut world = World::of(&format!("{TWO}federation: {{policies: [{policy}]}}\n"));
    for broker in world.health.values_mut().flatten() {
        broker.exchanges.extend(["orders".into(), "é".into()]);
        broker.links = Ok(vec![]);
    }
    let expected: Vec<String> =
        world.status().links.iter().map(|link| link.link.resource.name().to_owned()).collect();
    assert_eq!(expected, ["orders"; 2]);
}

#[test]
fn a_link_whose_upstream_does_not_know_a_binding_is_still_starting() {
    let (queue, internal) = ("federation: orders.events -> asia", "federation: orders.events -> asia B");
    let bound = |own: &[&str], on_upstream: &[(&str, &str, &str)]| {
        let own: Vec<Binding> = own.iter().map(|key| binding(EXCHANGE, "indexer", key)).collect();
        let on_upstream: Vec<Binding> =
            on_upstream.iter().map(|(from, to, key)| binding(from, to, key)).collect();
        move |world: &mut World| {
            world.broker("asia").bindings = own;
            world.broker("europe").bindings = on_upstream;
        }
    };
    let of_internal = (internal, queue, "");
    check(bound(&["created"], &[of_internal, (EXCHANGE, internal, "created")]), &[]);
    check(
        bound(&["created"], &[of_internal]),
        &[
            "europe → asia orders.events: Starting: binding `created` not propagated to the upstream: messages with \
           this key are not forwarded",
        ],
    );
    check(
        bound(&["created"], &[(EXCHANGE, internal, "created")]),
        &[
            "europe → asia orders.events: Down: the upstream's internal exchange is not bound to the link's queue: \
           messages are not forwarded",
        ],
    );
    // nothing is bound, so nothing has to arrive
    check(bound(&[], &[]), &[]);
}

fn binding(source: &str, destination: &str, routing_key: &str) -> Binding {
    Binding { source: source.into(), destination: destination.into(), routing_key: routing_key.into() }
}

#[test]
fn the_links_of_a_silent_region_are_counted_from_it_down_and_to_it_unknown() {
    check(
        |world| world.silence("asia"),
        &[
            "asia: Unreachable: timed out",
            "asia → europe orders.events: Down: the upstream is down: timed out",
            "asia → europe fed.work: Down: the upstream is down: timed out",
            "europe → asia orders.events: Unknown: the downstream does not say: timed out",
            "europe → asia fed.work: Unknown: the downstream does not say: timed out",
        ],
    );
}

#[test]
fn a_region_that_only_cannot_be_asked_does_not_take_its_upstream_links_down() {
    for unavailable in [
        Unavailable::Unauthorized,
        Unavailable::OutOfReach("the engine is on another machine".into()),
        Unavailable::Unresponsive("timed out".into()),
        Unavailable::PluginDisabled(Plugin::Management),
    ] {
        let mut world = World::of(TWO);
        world.health.insert(RegionName::new("asia"), Err(unavailable.clone()));
        let links = world.status().links;
        let states = |upstream: &str| -> BTreeSet<LinkState> {
            let links = links.iter().filter(|link| link.link.upstream.as_str() == upstream);
            links.map(LinkStatus::state).collect()
        };
        assert_eq!(states("asia"), [LinkState::Running].into(), "{unavailable}");
        assert_eq!(states("europe"), [LinkState::Unknown].into(), "{unavailable}");
    }
}

#[test]
fn how_many_links_are_required_never_depends_on_who_answers() {
    for (yaml, required) in [(TWO, 4), (THREE, 12)] {
        let mut world = World::of(yaml);
        world.remember();
        let regions: Vec<RegionName> = world.health.keys().cloned().collect();
        for silent in &regions {
            world.silence(silent.as_str());
            assert_eq!(world.status().links.len(), required, "{silent} is silent too");
        }
        // without a memory, what the others have is expected
        world.remembered.clear();
        assert_eq!(world.status().links.len(), 0);
        world.health.insert(regions[0].clone(), Ok(broker_health(&regions[1..])));
        assert_eq!(world.status().links.len(), required);
    }
}

#[test]
fn what_a_region_no_longer_has_is_missing_until_it_is_no_longer_expected() {
    let mut world = World::of(TWO);
    world.remember();
    let asia = world.broker("asia");
    asia.exchanges.retain(|exchange| exchange != EXCHANGE);
    world.links("asia").remove(0);
    let status = world.status();
    let missing: Vec<String> =
        status.links.iter().filter_map(LinkStatus::diagnostic).map(|it| it.message).collect();
    assert_eq!(missing, ["no longer declared by the downstream's services"]);
    assert_eq!(status.links.len(), 4);
    world.remember();
    assert_eq!(world.status().links.len(), 3);
}

#[test]
fn a_paused_region_is_known_to_be_paused() {
    check(
        |world| world.container("shop_asia_broker").state = ContainerState::Paused,
        &[
            "asia: Paused: the broker's container is paused: `fedctl up` unpauses it",
            "asia → europe orders.events: Down: the upstream is down: the broker's container is paused: `fedctl up` \
             unpauses it",
            "asia → europe fed.work: Down: the upstream is down: the broker's container is paused: `fedctl up` \
             unpauses it",
            "europe → asia orders.events: Unknown: the downstream does not say: the broker's container is paused: \
             `fedctl up` unpauses it",
            "europe → asia fed.work: Unknown: the downstream does not say: the broker's container is paused: `fedctl \
             up` unpauses it",
        ],
    );
}

#[test]
fn a_broker_off_the_network_between_the_regions_has_no_link_that_works() {
    let reason = "Down: the broker of `asia` is not attached to network `shop_wan`: `fedctl up` attaches it";
    check(
        |world| world.container("shop_asia_broker").networks.clear(),
        &[
            &format!("asia → europe orders.events: {reason}"),
            &format!("asia → europe fed.work: {reason}"),
            &format!("europe → asia orders.events: {reason}"),
            &format!("europe → asia fed.work: {reason}"),
        ],
    );
}

#[test]
fn a_connection_from_an_address_that_the_downstream_no_longer_has_is_dead() {
    let attached_as = |host: &str, address: &str| {
        let consumer = Consumer {
            queue: internal_queue(EXCHANGE, &Downstream::new("asia", None)),
            user: "link-asia".into(),
            host: host.into(),
        };
        let address = address.to_owned();
        move |world: &mut World| {
            world.consumers("europe").push(consumer);
            world.container("shop_asia_broker").networks.insert("shop_wan".into(), address);
        }
    };
    check(attached_as("172.20.0.4", "172.20.0.4"), &[]);
    check(attached_as("172.20.0.4", ""), &[]);
    let dead = "Down: its connection is dead: the downstream has another address now";
    check(
        attached_as("172.20.0.4", "172.20.0.5"),
        &[&format!("europe → asia orders.events: {dead}"), &format!("europe → asia fed.work: {dead}")],
    );
}

#[test]
fn a_broker_without_the_federation_plugin_is_named_and_not_called_silent() {
    let reason = "Down: plugin `rabbitmq_federation` is not enabled in `asia`: rabbitmq-plugins enable rabbitmq_federation";
    let mut world = World::of(TWO);
    world.broker("asia").links = Err(Plugin::Federation);
    let status = world.status();
    assert_eq!(status.regions[1].broker.state, BrokerState::Running);
    assert_eq!(status.regions[1].broker.missing_plugin.as_deref(), Some("rabbitmq_federation"));
    assert!(!status.is_healthy());
    let found: Vec<String> = status
        .links
        .iter()
        .filter(|link| !link.is_running())
        .map(|link| format!("{}: {:?}: {}", link.link, link.state(), link.condition))
        .collect();
    assert_eq!(
        found,
        [
            // the link of a queue is a plain consumer there
            format!("asia → europe (orders.events): {reason}"),
            format!("europe → asia (orders.events): {reason}"),
            format!("europe → asia (fed.work): {reason}"),
        ]
    );
    world.broker("asia").links = Err(Plugin::FederationManagement);
    let kinds: BTreeSet<LinkState> = world.status().links.iter().map(LinkStatus::state).collect();
    assert_eq!(kinds, [LinkState::Running, LinkState::Unknown].into());
}

#[test]
fn a_stream_that_a_policy_matches_is_neither_expected_nor_unexpected() {
    let mut world = World::of(TWO);
    let stream = Queue { is_stream: true, ..queue("fed.audit".into(), 0) };
    world.broker("asia").queues.push(stream);
    let without = world.status();
    let mut link = world.links("asia")[1].clone();
    link.resource = Resource::Queue("fed.audit".into());
    world.links("asia").push(link);
    for status in [without, world.status()] {
        assert_eq!((status.links.len(), status.is_healthy()), (4, true));
        let warnings: Vec<String> = status.warnings.iter().map(ToString::to_string).collect();
        let text = "queue `fed.audit` in `asia`: is a stream that a policy matches, and RabbitMQ does not federate streams";
        assert_eq!(warnings, [text]);
    }
}

#[test]
fn a_queues_link_that_should_fetch_and_does_not_is_down() {
    let with = |age: u64, waits: u64, fetches: bool, local: bool| {
        move |world: &mut World| {
            let consumer = |queue: &str, user: &str| Consumer {
                queue: queue.into(),
                user: user.into(),
                host: String::new(),
            };
            *world.consumers("europe") = vec![consumer("another", "services")];
            if fetches {
                world.consumers("europe").push(consumer(QUEUE, "link-asia"));
            }
            // a link to a third region is no consumer of the region's own
            *world.consumers("asia") = vec![consumer(QUEUE, "link-mars")];
            if local {
                world.consumers("asia").push(consumer(QUEUE, "services"));
            }
            world.broker("europe").queues.push(queue(QUEUE.into(), waits));
            world.links("asia")[1].age = Some(age);
        }
    };
    let down =
        ["europe → asia fed.work: Down: the downstream's queue has a consumer and is empty, and the link \
                 fetches nothing for it"];
    check(with(20, 0, false, true), &down);
    check(with(1, 7, false, true), &down);
    check(with(1, 0, false, true), &[]);
    check(with(20, 7, true, true), &[]);
    check(with(20, 7, false, false), &[]);

    let unknown = |region: &'static str, user: &'static str| {
        move |world: &mut World| {
            with(20, 7, false, region != "asia")(world);
            let consumer = Consumer { queue: QUEUE.into(), user: user.into(), host: String::new() };
            world.consumers(region).push(consumer);
        }
    };
    for user in ["", "none"] {
        check(unknown("europe", user), &[]);
        check(unknown("asia", user), &[]);
    }
}

#[test]
fn paused_links_are_as_they_should_be() {
    let mut world = World::of(TWO);
    world.links("asia").clear();
    world.broker("asia").definitions =
        Some(LinkDefinitions { paused: ["europe".into()].into(), ..definitions() });
    let status = world.status();
    let paused = status.links.iter().filter(|link| link.state() == LinkState::Paused);
    assert_eq!(paused.count(), 2, "{:?}", status.links);
    assert!(status.is_healthy());

    let mut world = World::of(TWO);
    for link in world.links("asia") {
        (link.is_paused, link.status, link.error) = (true, "error".into(), Some("econnrefused".into()));
    }
    let status = world.status();
    let all: Vec<LinkState> = status.links.iter().map(LinkStatus::state).collect();
    assert_eq!(all.iter().filter(|state| **state == LinkState::Paused).count(), 2, "{all:?}");
    assert!(status.is_healthy());
}

#[test]
fn of_a_broker_without_metrics_links_are_known_and_consumers_are_not() {
    let mut world = World::of(TWO);
    world.broker("asia").consumers = None;
    let status = world.status();
    assert!(status.is_healthy());
    let warnings: Vec<_> = status.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["broker `asia`: collects no metrics: memory, uptime and consumers are not known"]);
}

#[test]
fn a_link_that_runs_is_idle_moves_is_blocked_or_paused() {
    let activity = |resource: &str, damage: &dyn Fn(&mut World)| {
        let mut world = World::of(TWO);
        damage(&mut world);
        let links = world.status().links;
        let link = links
            .iter()
            .find(|link| link.link.resource.name() == resource && link.link.downstream.as_str() == "asia");
        link.unwrap().activity
    };
    let internal = internal_queue(EXCHANGE, &Downstream::new("asia", None));
    let holding = |messages: u64, unacknowledged: u64| {
        let name = internal.clone();
        move |world: &mut World| {
            world.broker("europe").queues =
                vec![Queue { name: name.clone(), messages, unacknowledged, is_stream: false }];
        }
    };
    assert_eq!(activity(EXCHANGE, &holding(0, 0)), Some(Activity::Idle));
    assert_eq!(activity(EXCHANGE, &holding(9, 4)), Some(Activity::Moving));
    assert_eq!(activity(EXCHANGE, &holding(9, 0)), Some(Activity::Blocked));
    assert_eq!(activity(EXCHANGE, &|world| world.silence("europe")), None);
    let consumed = |queue: &str| {
        let queue = queue.to_owned();
        move |world: &mut World| {
            let consumer = Consumer { queue: queue.clone(), user: "services".into(), host: String::new() };
            world.consumers("asia").push(consumer);
        }
    };
    assert_eq!(activity(QUEUE, &consumed(QUEUE)), Some(Activity::Idle));
    assert_eq!(activity(QUEUE, &consumed("another")), Some(Activity::Paused));
    assert_eq!(activity(QUEUE, &|_| {}), Some(Activity::Idle), "the broker counts no consumers");
}

#[test]
fn with_no_broker_at_all_every_region_is_reported() {
    check(
        |world| {
            world.health.clear();
            world.engine = EngineState::default();
        },
        &["europe: Missing: no reason", "europe: taxes: missing", "asia: Missing: no reason"],
    );
}

#[test]
fn a_stopped_broker_or_service_is_shown_with_the_engines_status() {
    check(
        |world| {
            for name in ["shop_europe_taxes", "shop_asia_broker"] {
                let container = world.container(name);
                (container.state, container.status) =
                    (ContainerState::Stopped, "Exited (137) 2 seconds ago".into());
            }
            world.health.remove(&RegionName::new("asia"));
        },
        &[
            "europe: taxes: Exited (137) 2 seconds ago",
            "asia: Stopped: Exited (137) 2 seconds ago",
            &format!("asia → europe orders.events: Down: the upstream is down: {STOPPED}"),
            &format!("asia → europe fed.work: Down: the upstream is down: {STOPPED}"),
            &format!("europe → asia orders.events: Down: the downstream is down: {STOPPED}"),
            &format!("europe → asia fed.work: Down: the downstream is down: {STOPPED}"),
        ],
    );
}

#[test]
fn a_service_that_runs_and_is_not_ready_is_not_healthy() {
    check(
        |world| {
            world.not_ready.insert("shop_europe_taxes".into(), "not connected yet".into());
        },
        &["europe: taxes: not connected yet"],
    );
}

#[test]
fn an_alarm_is_not_healthy() {
    check(|world| world.broker("asia").alarms = Some(vec!["memory".into()]), &["asia: alarm: memory"]);
    let mut world = World::of(TWO);
    world.broker("asia").alarms = None;
    assert_eq!(world.status().regions[1].broker.alarms, None, "unknown is not none");
}

#[test]
fn what_waits_is_counted_where_it_waits() {
    let mut world = World::of(TWO);
    let to_asia = internal_queue(EXCHANGE, &Downstream::new("asia", None));
    world.broker("europe").queues = vec![queue(to_asia, 19_930), queue(QUEUE.into(), 7)];
    world.broker("asia").queues[0].messages = 5;
    let waiting = |status: &Status, downstream: &str| {
        let links = status.links.iter().filter(|link| link.link.downstream.as_str() == downstream);
        links.map(|link| link.waiting).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&world.status(), "asia"), [Some(19_930), Some(7)]);
    assert_eq!(waiting(&world.status(), "europe"), [Some(5), Some(0)]);
    world.silence("europe");
    assert_eq!(waiting(&world.status(), "asia"), [None, None], "unknown");
}

#[test]
fn an_age_is_that_of_the_state_that_is_shown() {
    let age = |damage: &dyn Fn(&mut World)| {
        let mut world = World::of(TWO);
        damage(&mut world);
        let status = world.status();
        status.links.iter().find(|link| link.link.downstream.as_str() == "asia").unwrap().age_seconds
    };
    assert_eq!(age(&|_| {}), Some(180));
    assert_eq!(age(&|world| world.silence("europe")), None, "it is reported as running");
    let set = |status: &'static str| {
        move |world: &mut World| {
            let link = world.link("asia");
            (link.status, link.age) = (status.into(), Some(3));
        }
    };
    assert_eq!(age(&set("starting")), Some(3));
    assert_eq!(age(&set("error")), None, "it was tried three seconds ago");
}

#[test]
fn a_watch_finds_what_changed_and_no_try_of_a_link_that_is_down() {
    let mut world = World::of(TWO);
    let mut watched = Watched::default();
    let mut look = |world: &World| watched.look(&world.status());
    assert_eq!(look(&world), None);
    assert_eq!(look(&world), Some(vec![]));
    let set = |world: &mut World, status: &str, error: Option<&str>| {
        let link = world.link("asia");
        (link.status, link.error, link.age) = (status.into(), error.map(Into::into), Some(1));
    };
    let states = |found: Option<Vec<Change>>| -> Vec<(Option<LinkState>, Option<LinkState>)> {
        let links = found.unwrap().into_iter().map(|change| match change {
            Change::Link { before, after, .. } => (before, after),
            Change::Broker { .. } | Change::Alarms { .. } | Change::Service { .. } => panic!("{change:?}"),
        });
        links.collect()
    };
    let (running, down) = (Some(LinkState::Running), Some(LinkState::Down));
    set(&mut world, "error", Some("econnrefused"));
    assert_eq!(states(look(&world)), [(running, down)]);
    set(&mut world, "starting", None);
    assert_eq!(states(look(&world)), []);
    set(&mut world, "error", Some("econnrefused"));
    assert_eq!(states(look(&world)), []);
    set(&mut world, "error", Some("nxdomain"));
    assert_eq!(states(look(&world)), [(down, down)], "for another reason");
    set(&mut world, "starting", None);
    look(&world);
    set(&mut world, "running", None);
    assert_eq!(states(look(&world)), [(down, running)]);
    for health in world.health.values_mut().flatten() {
        health.exchanges.retain(|name| name != EXCHANGE);
        health.links.as_mut().unwrap().retain(|link| link.resource.name() != EXCHANGE);
    }
    assert_eq!(states(look(&world)), [(running, None); 2]);
}

#[test]
fn a_watch_finds_changes_of_brokers_alarms_and_services() {
    let mut world = World::of(TWO);
    let mut watched = Watched::default();
    watched.look(&world.status());
    world.broker("asia").alarms = Some(vec!["disk".into()]);
    world.not_ready.insert("shop_europe_taxes".into(), "not connected yet".into());
    let found = watched.look(&world.status()).unwrap();
    assert!(
        matches!(&found[..], [Change::Alarms { alarms, .. }, Change::Service { after, .. }]
            if *alarms == ["disk"] && after.error.is_some()),
        "{found:?}"
    );
    world.silence("asia");
    let found = watched.look(&world.status()).unwrap();
    let broker = |change: &Change| matches!(change, Change::Broker { after: BrokerState::Unreachable, .. });
    let links = found.iter().filter(|change| matches!(change, Change::Link { .. })).count();
    assert!(broker(&found[0]) && links == 4 && found.len() == 5, "{found:?}");
}

/// One region of each kind, and a link of each.
fn damaged() -> Status {
    let more = "- {name: america, services: [name: products]}\n- name: africa\n";
    let mut world = World::of(&format!("{TWO}{more}"));
    world.silence("america");
    world.not_ready.insert("shop_america_products".into(), "not connected yet".into());
    world.health.remove(&RegionName::new("africa"));
    world.engine.containers.retain(|container| container.name != "shop_africa_broker");
    world.container("shop_europe_taxes").state = ContainerState::Stopped;
    let asia = world.broker("asia");
    asia.alarms = Some(vec!["disk".into()]);
    let links = world.links("asia");
    (links[0].status, links[0].age) = ("starting".into(), Some(1));
    (links[1].status, links[1].error) = ("error".into(), Some("econnrefused".into()));
    world.broker("europe").queues[0].messages = 12;
    let links = world.links("europe");
    links[0].age = Some(90_000);
    links.remove(1);
    let mut unexpected = links[0].clone();
    unexpected.upstream = "mars".into();
    links.push(unexpected);
    world.status()
}

#[test]
fn the_json_form_keeps_its_names() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&World::of(TWO).status()).unwrap());
}

#[test]
fn an_error_is_shown_with_its_code() {
    let status = serde_json::to_value(damaged()).unwrap();
    let of = |place: &Value| (place["error"].clone(), place["code"].clone());
    let between = |link: &&Value| link["upstream"] == "europe" && link["downstream"] == "asia";
    let links: Vec<&Value> = status["links"].as_array().unwrap().iter().filter(between).collect();
    let link = |state: &str| *links.iter().find(|link| link["state"] == state).unwrap();
    let text = "connection refused: the upstream's broker is not up";
    assert_eq!(of(link("down")), (text.into(), "FED0304".into()));
    assert_eq!(of(link("starting")), (Value::Null, Value::Null));
    assert_eq!(of(&status["regions"][2]["broker"]), ("timed out".into(), "FED0601".into()));
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_status() {
    let kept: Value = serde_json::from_str(include_str!("../../../../status.schema.json")).unwrap();
    assert_eq!(kept, status::schema(), "status.schema.json is out of date: write `status::schema()` to it");
}

#[test]
fn the_json_form_conforms_to_its_schema() {
    let schema = status::schema();
    for status in [damaged(), World::of(TWO).status()] {
        let json = serde_json::to_value(status).unwrap();
        assert_fits(&json, &schema, &schema, "status");
    }
}

/// Validates a value against the part of JSON Schema that schemars uses here. Every property must be described.
#[track_caller]
pub fn assert_fits(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return assert_fits(value, root.pointer(&reference[1..]).unwrap(), root, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        assert!(
            choices.iter().any(|choice| is_kind(value, choice)),
            "{place}: {value} is none of {choices:?}"
        );
        return;
    }
    // an optional reference
    if let Some(choices) = schema["anyOf"].as_array() {
        let some = choices.iter().find(|choice| choice.get("$ref").is_some()).unwrap();
        if !value.is_null() {
            assert_fits(value, some, root, place);
        }
        return;
    }
    let types = &schema["type"];
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = types == kind || types.as_array().is_some_and(|types| types.contains(&kind.into()));
    assert!(allowed, "{place}: {value} is no {types}");
    for item in value.as_array().into_iter().flatten() {
        assert_fits(item, &schema["items"], root, place);
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|key| object.contains_key(key.as_str().unwrap())), "{place}: {value}");
        for (key, value) in object {
            let described =
                properties.get(key).unwrap_or_else(|| panic!("{place}: `{key}` is not described"));
            assert_fits(value, described, root, key);
        }
    }
}

/// Whether a value is this one of several: a word, or an object of one type.
fn is_kind(value: &Value, choice: &Value) -> bool {
    choice["const"] == *value
        || value["type"].is_string() && choice["properties"]["type"]["const"] == value["type"]
}
