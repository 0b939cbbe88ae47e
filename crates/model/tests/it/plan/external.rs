//! Brokers that fedctl did not start: nothing is done at an engine, and nothing that is not fedctl's to change.

use std::collections::BTreeSet;

use fedctl_model::{
    desired::Desired,
    observed::{Definitions, Queue},
    plan::{Plan, plan},
    secret::Secret,
};

use super::{World, region, wanted};

/// Three virtual hosts of one broker, that reach each other within it.
pub(super) const TENANTS: &str = "
name: shop
master: europe
regions:
- name: europe
  broker: &hub
    management: http://localhost:15672
    amqp: amqp://localhost
    advertise: amqp://
    cluster-name: hub
    vhost: eu/rope
- {name: asia, broker: {<<: *hub, vhost: asia}}
- {name: america, broker: {<<: *hub, vhost: america}}
";

/// Two brokers of others, where the links' user exists.
pub(super) const OTHERS: &str = "
name: shop
master: europe
regions:
- name: europe
  broker:
    management: https://eu.example.com/rabbit
    amqp: amqps://eu.example.com
    link-user: {name: li/nk}
- name: asia
  broker:
    management: https://asia.example.com
    amqp: amqps://asia.example.com:5679
    cluster-name: tokyo
    link-user: {name: links}
";

/// Brokers that hold nothing of this project yet.
pub(super) fn empty(clusters: [(&str, &str); 2], tags: &[&str]) -> World {
    let mut world = World::default();
    for (name, cluster) in clusters {
        world.add_elsewhere(name, held(cluster, tags));
    }
    world
}

pub(super) fn held(cluster: &str, tags: &[&str]) -> Definitions {
    Definitions { cluster_name: cluster.into(), tags: Some(tags_of(tags)), ..Definitions::default() }
}

fn tags_of(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().copied().map(str::to_owned).collect()
}

pub(super) fn tenants(tags: &[&str]) -> World {
    let mut world = World::default();
    for name in ["europe", "asia", "america"] {
        world.add_elsewhere(name, Definitions { lacks_vhost: true, ..held("hub", tags) });
    }
    world
}

pub(super) fn blocked(plan: &Plan) -> Vec<String> {
    plan.blocked.iter().map(|found| format!("{} {} {}", found.code, found.place, found.message)).collect()
}

fn uri(wanted: &Desired, downstream: &str, upstream: &str) -> String {
    let broker = wanted.brokers.iter().find(|broker| broker.region == region(downstream)).unwrap();
    broker.upstreams[upstream].uri.expose().to_owned()
}

#[test]
fn virtual_hosts_of_one_broker_are_federated_without_an_engine() {
    let wanted = wanted(TENANTS);
    let mut world = tenants(&["administrator"]);
    let text = plan(&wanted, &world.look()).to_string();
    assert!(text.starts_with("+ broker europe: virtual host eu/rope (not found)\n"), "{text}");
    assert!(text.lines().all(|line| line.contains("broker ")), "{text}");
    world.up(&wanted);
    assert_eq!(plan(&wanted, &world.look()).to_string(), "");
    let users: Vec<_> = world.broker("asia").users.keys().cloned().collect();
    assert_eq!(users, ["link-shop-asia-america", "link-shop-asia-europe"]);
    assert_eq!(uri(&wanted, "asia", "europe"), "amqp:///eu%2Frope?heartbeat=5&connection_timeout=5000");
    let permissions = &world.broker("asia").permissions["link-shop-asia-europe"].write;
    assert_eq!(permissions, "^federation: .+ -> hub:eu/rope:.+( [AB])?$");
}

#[test]
fn every_region_has_a_record_of_its_own() {
    let wanted = wanted(TENANTS);
    let records: BTreeSet<&str> = wanted.brokers.iter().map(|broker| broker.parameter.as_str()).collect();
    assert_eq!(records, ["fedctl.shop.america", "fedctl.shop.asia", "fedctl.shop.europe"].into());
}

#[test]
fn no_administrator_is_needed_where_users_and_virtual_hosts_exist() {
    let wanted = wanted(OTHERS);
    let mut world = empty([("europe", "europe"), ("asia", "tokyo")], &["monitoring", "policymaker"]);
    let text = plan(&wanted, &world.look()).to_string();
    assert!(!text.contains("user ") && !text.contains("permissions "), "{text}");
    world.up(&wanted);
    assert_eq!(plan(&wanted, &world.look()).to_string(), "");
    assert_eq!(
        uri(&wanted, "asia", "europe"),
        "amqps://li%2Fnk:hunter2-europe-li%2Fnk@eu.example.com/%2F?heartbeat=5&connection_timeout=5000"
    );
    assert_eq!(
        uri(&wanted, "europe", "asia"),
        "amqps://links:hunter2-asia-links@asia.example.com:5679/%2F?heartbeat=5&connection_timeout=5000"
    );
}

#[test]
fn a_lacking_right_is_said_before_anything_is_changed() {
    let world = tenants(&["policymaker", "monitoring"]);
    let found = blocked(&plan(&wanted(TENANTS), &world.look()));
    assert_eq!(
        found[..2],
        [
            "FED0507 broker `europe` fedctl's user has no tag `administrator`: it cannot make the virtual host `eu/rope`",
            "FED0507 broker `europe` fedctl's user has no tag `administrator`: it cannot make the user \
             `link-shop-europe-america`",
        ]
    );
    let clusters = [("europe", "europe"), ("asia", "tokyo")];
    let found = blocked(&plan(&wanted(OTHERS), &empty(clusters, &["policymaker"]).look()));
    let cannot = "fedctl's user has no tag `monitoring`: it cannot see the links";
    assert_eq!(found, ["europe", "asia"].map(|region| format!("FED0507 broker `{region}` {cannot}")));
}

#[test]
fn a_cluster_is_never_renamed() {
    let world = empty([("europe", "rabbit@node-1"), ("asia", "tokyo")], &["administrator"]);
    let plan = plan(&wanted(OTHERS), &world.look());
    let found = "FED0508 broker `europe` its cluster is called `rabbit@node-1` and not `europe`";
    assert_eq!(blocked(&plan), [found]);
    assert!(!plan.to_string().contains("+ broker europe: cluster name"), "{plan}");
}

#[test]
fn what_is_somebody_elses_blocks_a_plan_and_stays() {
    let wanted = wanted(OTHERS);
    let mut world = empty([("europe", "europe"), ("asia", "tokyo")], &["monitoring", "policymaker"]);
    let mut foreign = wanted.brokers[0].upstreams["asia"].clone();
    foreign.uri = Secret::new("amqp://elsewhere");
    world.broker("europe").upstreams.insert("asia".into(), foreign);
    let plan = plan(&wanted, &world.look());
    assert_eq!(blocked(&plan).len(), 1, "{plan}");
    assert!(blocked(&plan)[0].starts_with("FED0502"), "{plan}");
}

#[test]
fn the_internal_queue_of_another_virtual_host_is_known_for_what_it_is() {
    let wanted = wanted(TENANTS);
    let mut world = tenants(&["administrator"]);
    world.up(&wanted);
    let internal = "federation: x.events -> hub:asia:x.events";
    let queue = |messages| Queue { name: internal.into(), messages, unacknowledged: 0, is_stream: false };
    world.broker("europe").queues.push(queue(3));
    world.broker("europe").exchanges.push(format!("{internal} A"));
    assert_eq!(plan(&wanted, &world.look()).to_string(), "", "it waits for a region that is there");

    let two = super::wanted(&TENANTS.replace("- {name: asia, broker: {<<: *hub, vhost: asia}}\n", ""));
    let plan = plan(&two, &world.look());
    let found = blocked(&plan);
    assert!(found.len() == 1 && found[0].contains("3 messages still queued for `hub:asia`"), "{found:?}");
}
