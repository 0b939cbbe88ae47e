//! Expected against actual: the status of regions and links, and its JSON form.

use std::collections::BTreeMap;

use crate::catalogue::catalogue;
use fedctl_model::{
    desired::Passwords,
    diagnostic::Place,
    federation::internal_queue,
    names,
    observed::{
        Binding, BrokerHealth, Container, ContainerState, EngineState, Link, Observed, Queue, Resource,
        Snapshot,
    },
    site::{Inventory, Unavailable},
    status::{self, BrokerState, LinkRef, Status},
    topology::{self, RegionName, Topology},
};
use serde_json::Value;

const TWO: &str =
    "name: shop\nmaster: europe\nregions:\n- {name: europe, services: [name: taxes]}\n- name: asia\n";
const THREE: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\n";
const EXCHANGE: &str = "orders.events";
const QUEUE: &str = "fed.work";

/// What is found: an engine, and the state of each broker.
struct World {
    topology: Topology,
    engine: EngineState,
    health: BTreeMap<RegionName, Result<BrokerHealth, Unavailable>>,
    not_ready: BTreeMap<String, String>,
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
        Self { topology, engine, health, not_ready: BTreeMap::new() }
    }

    fn broker(&mut self, region: &str) -> &mut BrokerHealth {
        self.health.get_mut(&RegionName::new(region)).unwrap().as_mut().unwrap()
    }

    /// The link of the exchange that ends in this region.
    fn link(&mut self, downstream: &str) -> &mut Link {
        &mut self.broker(downstream).links[0]
    }

    fn container(&mut self, name: &str) -> &mut Container {
        self.engine.containers.iter_mut().find(|container| container.name == name).unwrap()
    }

    fn silence(&mut self, region: &str) {
        self.health.insert(RegionName::new(region), Err(Unavailable::Unreachable("timed out".into())));
    }

    fn status(&self) -> Status {
        let sites = Inventory::of(&self.topology, &Passwords::new()).sites(&self.engine);
        let brokers = sites.into_iter().map(|(region, site)| {
            let answered = self.health.get(&region).cloned().unwrap_or(Err(Unavailable::NoPassword));
            let answer = site.as_ref().map_err(Clone::clone).and(answered);
            (region, Observed { site: site.ok(), answer })
        });
        let found = Snapshot {
            engine: self.engine.clone(),
            brokers: brokers.collect(),
            not_ready: self.not_ready.clone(),
        };
        status::status(&self.topology, &found)
    }
}

fn container(name: String, ports: BTreeMap<u16, u16>) -> Container {
    Container {
        name,
        labels: BTreeMap::new(),
        state: ContainerState::Running,
        status: "Up 3 minutes".into(),
        image_id: String::new(),
        networks: vec![],
        ports,
    }
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
        })
    });
    let internal =
        others.iter().map(|downstream| Queue { name: internal_queue(EXCHANGE, downstream), messages: 0 });
    BrokerHealth {
        version: "4.3.6".into(),
        uptime_ms: Some(185_000),
        memory_used: Some(130 << 20),
        alarms: vec![],
        exchanges: vec![String::new(), "amq.topic".into(), EXCHANGE.into()],
        queues: internal.chain([Queue { name: QUEUE.into(), messages: 0 }]).collect(),
        bindings: vec![],
        links: links.collect(),
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
        found.extend(broker.alarms.iter().map(|alarm| format!("{name}: alarm: {alarm}")));
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
}

#[test]
fn where_every_expected_link_runs_everything_is_healthy() {
    check(|_| {}, &[]);
    assert_eq!(World::of(TWO).status().links.len(), 4);
    assert_eq!(World::of(THREE).status().links.len(), 12);
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
    let missing = |name| {
        format!(
            "europe → asia {name}: Missing: the broker has not started it: is its policy or upstream missing?"
        )
    };
    check(|world| drop(world.broker("asia").links.remove(0)), &[&missing(EXCHANGE)]);
    check(|world| world.broker("asia").links.clear(), &[&missing(EXCHANGE), &missing(QUEUE)]);
}

#[test]
fn a_link_that_the_topology_does_not_call_for_is_unexpected() {
    let reason = "Unexpected: not in the topology";
    check(
        |world| {
            let mut links = world.broker("asia").links.clone();
            links[0].upstream = "mars".into();
            links[1].resource = Resource::Queue("other".into());
            world.broker("asia").links.extend(links);
        },
        &[&format!("mars → asia orders.events: {reason}"), &format!("europe → asia other: {reason}")],
    );
}

#[test]
fn what_no_policy_matches_needs_no_link() {
    check(
        |world| {
            let broker = world.broker("asia");
            broker.exchanges.push("federation: orders.events -> europe A".into());
            broker.exchanges.push("federation: orders.events".into());
            broker.queues.push(Queue { name: "local".into(), messages: 3 });
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
        broker.links.clear();
    }
    let expected: Vec<String> =
        world.status().links.iter().map(|link| link.link.resource.name().to_owned()).collect();
    assert_eq!(expected, ["orders"; 2]);
}

#[test]
fn a_link_whose_upstream_does_not_know_a_binding_is_still_starting() {
    let binding = |destination: &str| Binding {
        source: EXCHANGE.into(),
        destination: destination.into(),
        routing_key: "created".into(),
    };
    check(
        |world| world.broker("asia").bindings.push(binding("indexer")),
        &[
            "europe → asia orders.events: Starting: binding `created` not propagated to the upstream: messages with this key are not forwarded",
        ],
    );
    check(
        |world| {
            world.broker("asia").bindings.push(binding("indexer"));
            world.broker("europe").bindings.push(binding("federation: orders.events -> asia B"));
        },
        &[],
    );
}

#[test]
fn an_unreachable_region_does_not_hide_the_others() {
    check(
        |world| {
            world.silence("asia");
            let link = world.link("europe");
            (link.status, link.error) = ("error".into(), Some("econnrefused".into()));
        },
        &[
            "asia: Unreachable: timed out",
            "asia → europe orders.events: Down: connection refused: the upstream's broker is not up",
        ],
    );
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
        &["europe: taxes: Exited (137) 2 seconds ago", "asia: Stopped: Exited (137) 2 seconds ago"],
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
    check(|world| world.broker("asia").alarms.push("memory"), &["asia: alarm: memory"]);
}

#[test]
fn what_waits_is_counted_where_it_waits() {
    let mut world = World::of(TWO);
    let to_asia = internal_queue(EXCHANGE, &RegionName::new("asia"));
    world.broker("europe").queues =
        vec![Queue { name: to_asia, messages: 19_930 }, Queue { name: QUEUE.into(), messages: 7 }];
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
    asia.alarms.push("disk");
    (asia.links[0].status, asia.links[0].age) = ("starting".into(), Some(1));
    asia.links.remove(1);
    (asia.links[1].status, asia.links[1].error) = ("error".into(), Some("econnrefused".into()));
    asia.links[2].age = Some(90_000);
    let europe = world.broker("europe");
    europe.queues[0].messages = 12;
    let mut unexpected = europe.links[0].clone();
    unexpected.upstream = "mars".into();
    europe.links.push(unexpected);
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
    let link =
        |state: &str| status["links"].as_array().unwrap().iter().find(|link| link["state"] == state).unwrap();
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
fn assert_fits(value: &Value, schema: &Value, root: &Value, place: &str) {
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
    let types = &schema["type"];
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
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
