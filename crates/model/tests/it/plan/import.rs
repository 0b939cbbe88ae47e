//! Topologies that are made from what brokers hold: a plan for one finds nothing to do but to take ownership.

use std::fmt::Write;

use fedctl_model::{
    desired::Desired,
    import::{Imported, Source, import, read},
    init::first,
    observed::Definitions,
    plan::plan,
    topology::{self, ExternalBroker, RegionName, Topology},
};
use serde_json::json;

use super::{World, region, wanted};
use crate::catalogue::catalogue;

/// Regions on brokers of their own, where the links' user exists, and what follows `federation:`.
fn regions(names: &[&str], federation: &str) -> String {
    let mut text = format!("name: shop\nmaster: {}\nregions:\n", names[0]);
    for name in names {
        writeln!(
            text,
            "- name: {name}\n  broker: {{management: 'http://{name}:15672', amqp: 'amqp://{name}', advertise: \
             'amqps://{name}.internal:5677?verify=verify_none', cluster-name: prod-{name}, user: ada, password: '${{PW}}', \
             link-user: {{name: links}}}}"
        )
        .unwrap();
    }
    format!("{text}federation: {{{federation}}}\n")
}

/// A world that a topology was applied to, and which nobody has recorded as theirs.
fn by_hand(names: &[&str], federation: &str) -> World {
    let wanted = wanted(&regions(names, federation));
    let mut world = World::default();
    for name in names {
        let cluster_name = format!("prod-{name}");
        world.add_elsewhere(name, Definitions { cluster_name, ..Definitions::default() });
    }
    world.up(&wanted);
    for name in names {
        world.broker(name).owned = None;
    }
    world
}

fn imported(world: &mut World, names: &[&str]) -> Imported {
    let sources: Vec<Source> = names
        .iter()
        .map(|name| {
            let broker = ExternalBroker::at(&format!("http://ada@{name}:15672"), &region(name)).unwrap();
            let found = fedctl_model::import::Found::of(world.broker(name).clone(), &broker.vhost, []);
            Source { region: region(name), broker, from_file: false, found }
        })
        .collect();
    import(Some("shop"), &sources)
}

fn read_back(imported: &Imported) -> Topology {
    let read = topology::parse(&imported.text, &catalogue());
    read.unwrap_or_else(|findings| panic!("{findings:#?}\n{}", imported.text)).0
}

const SHAPES: [(&[&str], &str); 9] = [
    (&["europe", "asia", "america"], "shape: full-mesh"),
    (&["europe", "asia", "america", "africa"], "shape: ring, one-way: true"),
    (&["europe", "asia", "america", "africa"], "shape: ring, upstream: {max-hops: 1}"),
    (&["europe", "asia", "america"], "shape: line"),
    (&["europe", "asia", "america"], "shape: line, one-way: true"),
    (&["europe", "asia", "america", "africa"], "shape: hub-and-spoke, hub: asia"),
    (&["europe", "asia", "america", "africa"], "shape: hub-and-spoke, hub: asia, one-way: true"),
    (
        &["europe", "asia", "america"],
        "shape: pairs, pairs: [{upstream: europe, downstream: asia}, {upstream: asia, downstream: europe}, {upstream: asia, \
         downstream: america}]",
    ),
    (
        &["europe", "asia"],
        "upstream: {prefetch-count: 7, heartbeat: 20, expires: 9000, queue-type: quorum, trust-user-id: true}, policies: \
         [{name: a b, pattern: '^a\\.', apply-to: queues, priority: -1, definition: {max-length: 5, overflow: \
         reject-publish}}]",
    ),
];

#[test]
fn every_shape_is_found_and_its_plan_only_takes_ownership() {
    for (names, federation) in SHAPES {
        let mut world = by_hand(names, federation);
        let mut shuffled = names.to_vec();
        shuffled.rotate_left(1);
        let made = imported(&mut world, &shuffled);
        assert_eq!(made.diagnostics, [], "{federation}");
        let read = read_back(&made);
        assert_eq!(read, made.topology, "what is written is what was found:\n{}", made.text);
        let (given, _) = topology::parse(&regions(names, federation), &catalogue()).unwrap();
        assert_eq!(read.federation.shape, given.federation.shape, "{}", made.text);
        let adopting = Desired { adopt: true, ..super::wanted_of(&read) };
        let text = plan(&adopting, &world.look()).to_string();
        let takes = |line: &str| line.contains("record what the project owns (adopts ");
        assert!(!text.is_empty() && text.lines().all(takes), "{federation}:\n{text}\n{}", made.text);
    }
}

#[test]
fn the_default_queue_and_duplicates_are_written_as_they_are() {
    let mesh = "shape: full-mesh, allow-duplicates: true, upstream: {max-hops: 2}";
    let names = ["europe", "asia", "america"];
    let mut world = by_hand(&names, mesh);
    let made = imported(&mut world, &names);
    assert!(
        made.text.contains("allow-duplicates: true") && made.text.contains("max-hops: 2"),
        "{}",
        made.text
    );
    read_back(&made);
}

/// What an import of these two definitions cannot say, as `code place message`.
fn unsaid(europe: &serde_json::Value, asia: &serde_json::Value) -> (Vec<String>, Imported) {
    let source = |name: &str, definitions: &serde_json::Value| {
        let broker = ExternalBroker::at(&format!("http://{name}:15672"), &region(name)).unwrap();
        Source {
            region: region(name),
            broker,
            from_file: true,
            found: read(&definitions.to_string(), "/").unwrap(),
        }
    };
    let made = import(None, &[source("europe", europe), source("asia", asia)]);
    let told =
        made.diagnostics.iter().map(|found| format!("{} {} {}", found.code, found.place, found.message));
    (told.filter(|line| !line.starts_with("FED0915")).collect(), made)
}

fn upstream(name: &str, value: &serde_json::Value) -> serde_json::Value {
    json!({"vhost": "/", "component": "federation-upstream", "name": name, "value": value})
}

fn policy(name: &str, apply_to: &str, definition: &serde_json::Value) -> serde_json::Value {
    json!({"vhost": "/", "name": name, "pattern": "^x\\.", "apply-to": apply_to, "priority": 0, "definition": definition})
}

#[test]
fn what_a_topology_cannot_say_is_said_one_by_one() {
    let all = json!({"federation-upstream-set": "all"});
    let europe = json!({
        "vhosts": [{"name": "/"}],
        "global_parameters": [{"name": "cluster_name", "value": "europe"}],
        "parameters": [
            upstream("asia", &json!({"uri": "amqp://fed:secret@asia/%2F", "prefetch-count": 5.0, "exchange": "other"})),
            upstream("mars", &json!({"uri": "amqp://fed:secret@mars/%2F"})),
            upstream("many", &json!({"uri": ["amqp://asia", "amqp://asia-2"]})),
            {"vhost": "/", "component": "federation-upstream-set", "name": "some", "value": [{"upstream": "asia"}]},
            {"vhost": "/", "component": "shovel", "name": "digger", "value": {}},
            {"vhost": "other", "component": "shovel", "name": "elsewhere", "value": {}},
        ],
        "policies": [
            policy("one", "exchanges", &json!({"federation-upstream": "asia", "odd": [1]})),
            policy("both", "all", &all),
            policy("plain", "queues", &json!({"max-length": 5})),
        ],
    });
    let asia = json!({
        "parameters": [
            upstream("europe", &json!({"uri": "amqp://fed:secret@europe/%2F?connection_timeout=9"})),
            upstream("eu", &json!({"uri": "amqp://fed:secret@europe/%2F"})),
        ],
        "policies": [policy("both", "exchanges", &all)],
    });
    let (told, made) = unsaid(&europe, &asia);
    let expected = [
        "FED0905 upstream `many` in `europe` has several URIs, or none that is AMQP's",
        "FED0901 upstream `mars` in `europe` leads to no region that is imported: amqp://mars/%2F",
        "FED0902 upstream `eu` in `asia` leads to `europe`, and a topology calls it that",
        "FED0903 upstream `europe` in `asia` has prefetch-count 1000, and most have 5",
        "FED0904 upstream `asia` in `europe` has `exchange`, which a topology cannot say",
        "FED0904 upstream `europe` in `asia` has `connection_timeout=9` in its URI, which a topology cannot say",
        "FED0908 policy `both` in `asia` is not the one in `europe`: apply-to exchanges → all",
        "FED0908 policy `one` in `asia` is missing here, and there is one in `europe`",
        "FED0909 policy `one` in `europe` has odd [1], which a topology cannot say",
        "FED0910 policy `one` in `europe` federates from federation-upstream \"asia\", and not from all upstreams",
        "FED0911 policy `both` in `europe` applies to all, and the file says exchanges",
        "FED0913 upstream set `some` in `europe` is not in the topology, and stays as it is",
        "FED0914 broker `europe` shovel `digger` is not in the topology, and stays as it is",
    ];
    let mut sorted = told;
    sorted.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(sorted, expected);
    assert!(
        !made.text.contains("secret") && !format!("{:?}", made.diagnostics).contains("secret"),
        "{}",
        made.text
    );
    assert_eq!(read_back(&made).regions.len(), 2);
}

#[test]
fn an_upstream_with_another_name_is_no_second_link() {
    let all = json!({"federation-upstream-set": "all"});
    let to = |host: &str| {
        json!({"parameters": [upstream("other", &json!({"uri": format!("amqp://{host}/%2F")}))],
        "policies": [policy("fed", "queues", &all)]})
    };
    let source = |name: &str, definitions: serde_json::Value| {
        let broker = ExternalBroker::at(&format!("http://{name}:15672"), &region(name)).unwrap();
        let found = read(&definitions.to_string(), "/").unwrap();
        Source { region: region(name), broker, from_file: false, found }
    };
    let made = import(None, &[source("europe", to("asia")), source("asia", to("mars"))]);
    let told: Vec<_> = made.diagnostics.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(told, ["FED0902", "FED0901"], "{:?}", made.diagnostics);
    assert_eq!(made.topology.pairs().len(), 1, "{}", made.text);
}

#[test]
fn where_nothing_is_federated_the_file_says_so() {
    let (told, made) = unsaid(&json!({}), &json!({"vhosts": [{"name": "/"}]}));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("FED0912")), "{told:?}");
    read_back(&made);
    assert!(read("{\"vhosts\": [{\"name\": \"orders\"}]}", "/").unwrap_err().contains("orders"));
}

#[test]
fn a_first_file_is_valid_and_has_no_finding() {
    let there = |name: &str| {
        let name = RegionName::new(name);
        (name.clone(), Some(ExternalBroker::at("https://ada@rabbit.example.com/mq", &name).unwrap()))
    };
    let here = |name: &str| (RegionName::new(name), None);
    for regions in [vec![here("europe"), here("asia")], vec![there("europe"), there("us-east")]] {
        let text = first("shop", &regions);
        match topology::parse(&text, &catalogue()) {
            Ok((topology, findings)) => {
                assert_eq!(findings, [], "{text}");
                assert_eq!(topology.regions.len(), 2);
                assert_eq!(topology.federation.policies.len(), 2);
            }
            Err(findings) => panic!("{findings:#?}\n{text}"),
        }
    }
}

#[test]
fn a_url_names_the_user_and_never_the_password() {
    let at = |url: &str| ExternalBroker::at(url, &region("us-east"));
    let broker = at("https://a%20da@rabbit.example.com:8443/mq/").unwrap();
    assert_eq!(broker.management, "https://rabbit.example.com:8443/mq");
    assert_eq!((broker.amqp.as_str(), broker.user.as_str()), ("amqps://rabbit.example.com", "a da"));
    assert_eq!(broker.password.as_deref(), Some("${US_EAST_PASSWORD}"));
    assert!(at("http://ada:secret@rabbit").unwrap_err().contains("lists processes"));
    assert!(at("rabbit:15672").is_err());
}
