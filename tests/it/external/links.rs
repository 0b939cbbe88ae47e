//! What links between virtual hosts carry, and what fedctl says of them.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::federation::Federation;
use crate::{
    harness::cases,
    support::{ran::Ran, until},
};

const TWO: [&str; 2] = ["europe", "asia"];
const THREE: [&str; 3] = ["europe", "asia", "america"];
const EVENTS: &str = r"policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
const QUEUES: &str = "policies: [{name: fed, pattern: '^fed\\.', apply-to: queues}]";
const X: &str = "x.events";

pub fn cases() -> Vec<Trial> {
    cases![
        regions_are_federated_without_an_engine_and_then_nothing_is_left_to_do,
        an_event_reaches_every_region_once_from_wherever_it_comes,
        a_one_way_ring_carries_events_all_the_way_round_and_no_further,
        a_shape_with_several_paths_copies_events_as_often_as_the_plan_says,
        two_way_links_that_allow_many_hops_do_not_loop,
        exchanges_bound_to_the_federated_one_get_what_it_gets,
        what_is_no_longer_bound_downstream_no_longer_crosses,
        a_queue_gives_its_messages_to_the_region_that_consumes,
        a_quorum_queue_does_too,
        a_queue_that_left_its_policy_keeps_its_messages,
        an_exchange_of_a_federated_queues_name_outlives_the_upstream,
        an_exchange_that_is_deleted_upstream_is_declared_again,
        links_over_the_network_carry_the_same,
        a_probe_moves_messages_through_every_link_and_leaves_nothing,
        a_missing_upstream_is_named_and_put_back,
        a_link_that_cannot_connect_is_named_with_its_error,
        links_are_paused_and_lose_nothing,
        two_topologies_on_one_broker_do_not_see_each_other,
        a_region_that_leaves_takes_its_links_and_keeps_its_messages,
    ]
}

impl Federation {
    /// Waits until what is published in `upstream` crosses to `downstream`.
    fn crosses(&self, exchange: &str, key: &str, upstream: &str, downstream: &str) {
        let known = format!("{}:{}", self.shared.cluster_name(), self.vhost(downstream));
        self.region(upstream).await_binding(exchange, key, &known);
    }

    /// Regions that are up, all linked with each other, with an exchange in each.
    fn mesh(regions: &[&str], federation: &str) -> Self {
        let all = Self::new(regions, federation);
        all.up();
        all.declare(X, regions);
        for upstream in regions {
            for downstream in regions.iter().filter(|other| *other != upstream) {
                all.crosses(X, X, upstream, downstream);
            }
        }
        all
    }

    /// Publishes ten numbered messages in a region.
    fn publish(&self, region: &str) {
        for number in 0..10 {
            assert!(self.region(region).publish(X, X, &format!("{region} {number}")));
        }
    }

    /// `fedctl link`.
    fn link(&self, verb: &str, upstream: &str, downstream: &str) -> Ran {
        self.fedctl(&["link", verb, &self.at(upstream), &self.at(downstream)])
    }

    fn publish_in(&self, regions: &[&str]) {
        for region in regions {
            self.publish(region);
        }
    }

    fn all_have(&self, regions: &[&str], messages: usize) {
        for region in regions {
            self.has(region, messages);
        }
    }

    /// Waits until this many messages reached a region and none is on its way. A link that starts anew may send one again.
    fn has(&self, region: &str, messages: usize) {
        let taken = self.settled(region, messages);
        let distinct: BTreeSet<String> = taken.into_iter().collect();
        assert_eq!(distinct.len(), messages, "{region}");
    }

    /// What reached a region, once it is at least this much and nothing is on its way.
    fn settled(&self, region: &str, count: usize) -> Vec<String> {
        let broker = self.region(region);
        let queue = format!("tap.{X}");
        until(&format!("{count} messages in {region}"), || {
            (broker.depth(&queue) >= count as u64).then_some(())
        });
        until("nothing is on its way", || {
            let queues = broker.get("/queues?disable_stats=true&enable_queue_totals=true");
            let internal = |queue: &&Value| {
                let text = |key: &str| queue[key].as_str().unwrap_or_default().to_owned();
                text("vhost").starts_with(&format!("{}.", self.name))
                    && text("name").starts_with("federation: ")
            };
            queues.as_array()?.iter().filter(internal).all(|queue| queue["messages"] == 0).then_some(())
        });
        broker.take(&queue)
    }
}

fn regions_are_federated_without_an_engine_and_then_nothing_is_left_to_do() {
    let regions = Federation::mesh(&THREE, "");
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0).says("nothing to do");
    regions.up().says("nothing to do: 6 links running");
    regions.runs(6);
    let status = regions.fedctl(&["status"]).exits(0);
    let status = status.says("6 of 6 links running");
    assert!(!status.stdout.contains("of 384 MiB"), "no container has a limit: {status}");
    regions.fedctl(&["queues"]).exits(0);
}

fn an_event_reaches_every_region_once_from_wherever_it_comes() {
    let regions = Federation::mesh(&THREE, EVENTS);
    regions.publish_in(&THREE);
    regions.all_have(&THREE, 30);
}

fn a_one_way_ring_carries_events_all_the_way_round_and_no_further() {
    let ring = Federation::new(&THREE, &format!("shape: ring, one-way: true, {EVENTS}"));
    ring.up();
    ring.declare(X, &THREE);
    ring.runs(3);
    for (upstream, downstream) in [("europe", "asia"), ("asia", "america"), ("america", "europe")] {
        ring.crosses(X, X, upstream, downstream);
    }
    ring.publish("europe");
    ring.all_have(&THREE, 10);
}

/// By RabbitMQ's own test: two copies for each region by the two paths of at most two links.
fn a_shape_with_several_paths_copies_events_as_often_as_the_plan_says() {
    let hops = format!("upstream: {{max-hops: 2}}, {EVENTS}");
    let refused = Federation::new(&THREE, &hops);
    refused.fedctl(&["plan"]).exits(65).says("FED0128");
    let regions = Federation::mesh(&THREE, &format!("allow-duplicates: true, {hops}"));
    regions.publish("europe");
    for (region, copies) in [("europe", 1), ("asia", 2), ("america", 2)] {
        let taken = regions.settled(region, 10 * copies);
        let times = |message: &String| taken.iter().filter(|other| *other == message).count();
        assert!(taken.iter().all(|message| times(message) >= copies), "{region}: {taken:?}");
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 10, "{region}: {taken:?}");
    }
}

fn two_way_links_that_allow_many_hops_do_not_loop() {
    let regions = Federation::mesh(&TWO, &format!("upstream: {{max-hops: 10}}, {EVENTS}"));
    regions.publish_in(&TWO);
    regions.all_have(&TWO, 20);
}

fn exchanges_bound_to_the_federated_one_get_what_it_gets() {
    let regions = Federation::new(&TWO, EVENTS);
    regions.up();
    regions.declare(X, &["europe"]);
    let asia = regions.region("asia");
    for exchange in [X, "inner"] {
        asia.put(&asia.path("exchanges", exchange), &json!({"type": "fanout", "durable": true}));
    }
    asia.post(&asia.path("bindings", &format!("e/{X}/e/inner")), &json!({"routing_key": "inner"}));
    let queue = asia.tap("inner", "any");
    regions.crosses(X, "inner", "europe", "asia");
    regions.publish("europe");
    until("all of them", || (asia.depth(&queue) == 10).then_some(()));
}

fn what_is_no_longer_bound_downstream_no_longer_crosses() {
    let regions = Federation::mesh(&TWO, EVENTS);
    let (europe, asia) = (regions.region("europe"), regions.region("asia"));
    asia.delete(&asia.path("queues", &format!("tap.{X}")));
    until("the binding is gone upstream too", || {
        let bindings = europe.get(&europe.path("exchanges", &format!("{X}/bindings/source")));
        let is_internal = |found: &Value| found["destination"].as_str().unwrap().starts_with("federation: ");
        (!bindings.as_array().unwrap().iter().any(is_internal)).then_some(())
    });
    regions.publish("europe");
    regions.has("europe", 10);
    asia.tap(X, X);
    regions.crosses(X, X, "europe", "asia");
    regions.publish("europe");
    regions.has("asia", 10);
}

fn a_queue_gives_its_messages_to_the_region_that_consumes() {
    federated_queue(&json!({"durable": true}));
}

fn a_quorum_queue_does_too() {
    federated_queue(&json!({"durable": true, "arguments": {"x-queue-type": "quorum"}}));
}

/// A probe consumes in every region, through queues of its own. This one has no consumer, so nothing leaves it.
fn federated_queue(definition: &Value) {
    let regions = Federation::new(&THREE, QUEUES);
    regions.up();
    for region in THREE {
        let broker = regions.region(region);
        broker.put(&broker.path("queues", "fed.work"), definition);
    }
    regions.runs(6);
    let europe = regions.region("europe");
    for number in 0..10 {
        assert!(europe.publish("", "fed.work", &format!("work {number}")));
    }
    // the broker itself takes from the queue of a region that consumes, and a `get` is no consumer
    let asia = Consumer::of(&regions, "asia", "fed.work");
    asia.receives(10);
    assert_eq!(europe.depth("fed.work"), 0);
}

/// A consumer that acknowledges everything.
struct Consumer {
    runtime: tokio::runtime::Runtime,
    probe: crate::services::broker::Probe,
    queue: String,
}

impl Consumer {
    fn of(regions: &Federation, region: &str, queue: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let uri = regions.shared.uri(&regions.vhost(region));
        let probe = runtime.block_on(crate::services::broker::Probe::connect(&uri));
        Self { runtime, probe, queue: queue.to_owned() }
    }

    fn receives(&self, count: usize) {
        let received = self.runtime.block_on(self.probe.consume(&self.queue, count));
        assert_eq!(received, count);
    }
}

fn a_queue_that_left_its_policy_keeps_its_messages() {
    let regions = Federation::new(&TWO, QUEUES);
    regions.up();
    for region in TWO {
        let broker = regions.region(region);
        broker.put(&broker.path("queues", "fed.work"), &json!({"durable": true}));
    }
    regions.runs(2);
    assert!(regions.region("europe").publish("", "fed.work", "kept"));
    regions.edit("^fed", "^other");
    regions.up();
    assert_eq!(regions.links("running"), Vec::<Value>::new());
    assert_eq!(regions.region("europe").take("fed.work"), ["kept"]);
    regions.edit("^other", "^fed");
    regions.up().says("2 links running");
}

fn an_exchange_of_a_federated_queues_name_outlives_the_upstream() {
    let both = "policies: [{name: a, pattern: '^fed\\.', apply-to: queues}]";
    let regions = Federation::new(&TWO, both);
    regions.up();
    for region in TWO {
        let broker = regions.region(region);
        broker.put(&broker.path("queues", "fed.same"), &json!({"durable": true}));
        broker.put(&broker.path("exchanges", "fed.same"), &json!({"type": "fanout", "durable": true}));
    }
    regions.runs(2);
    regions.link("pause", "europe", "asia").exits(0);
    for region in TWO {
        let vhost = regions.vhost(region);
        let names = regions.region(region).names(&format!("/exchanges/{vhost}"));
        assert!(names.contains("fed.same"), "{region}: {names:?}");
    }
}

fn an_exchange_that_is_deleted_upstream_is_declared_again() {
    let regions = Federation::mesh(&TWO, EVENTS);
    let europe = regions.region("europe");
    europe.delete(&europe.path("exchanges", X));
    regions.fedctl(&["up", "--timeout", "30s"]).exits(0);
    regions.declare(X, &["europe"]);
    regions.crosses(X, X, "europe", "asia");
    regions.publish("europe");
    regions.has("asia", 10);
}

fn links_over_the_network_carry_the_same() {
    let regions = Federation::new(&TWO, EVENTS);
    // the broker's own port, as it reaches itself
    regions.edit("advertise: 'amqp://'", "advertise: 'amqp://localhost:5672'");
    regions.up();
    regions.declare(X, &TWO);
    regions.crosses(X, X, "europe", "asia");
    regions.publish("europe");
    regions.has("asia", 10);
    let links = regions.region("asia").links_from(&regions.at("europe")).unwrap();
    let uri = links[0]["uri"].as_str().unwrap();
    assert!(uri.starts_with("amqp://localhost:5672/") && !uri.contains('@'), "{uri}");
    let user = format!("link-{}-{}-{}", regions.name, regions.at("europe"), regions.at("asia"));
    assert!(regions.region("europe").names("/users").contains(&user));
}

fn a_probe_moves_messages_through_every_link_and_leaves_nothing() {
    let regions = Federation::new(&THREE, "");
    regions.up();
    let names = || {
        let kinds = ["exchanges", "queues", "policies"];
        let all = THREE.iter().flat_map(|region| kinds.map(|kind| (*region, kind)));
        all.map(|(region, kind)| regions.region(region).names(&format!("/{kind}/{}", regions.vhost(region))))
            .collect::<Vec<_>>()
    };
    let before = names();
    let report = regions.fedctl(&["probe", "--count", "5", "-o", "json"]).json();
    let links = report["links"].as_array().unwrap();
    // where many links start at once, one may start anew and send a message again
    assert!(links.len() == 12 && links.iter().all(|link| link["lost"] == 0), "{report:#}");
    assert_eq!(names(), before);
}

fn a_missing_upstream_is_named_and_put_back() {
    let regions = Federation::mesh(&TWO, EVENTS);
    let asia = regions.region("asia");
    asia.delete(&asia.path("parameters/federation-upstream", &regions.at("europe")));
    until("it is missing", || (regions.links("missing").len() == 1).then_some(()));
    regions.fedctl(&["status"]).exits(4).says("FED0325");
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(2).says(&format!(
        "broker {}: upstream {} (not found)",
        regions.at("asia"),
        regions.at("europe")
    ));
    regions.up().says("2 links running");
}

fn a_link_that_cannot_connect_is_named_with_its_error() {
    let regions = Federation::new(&TWO, EVENTS);
    regions.edit("advertise: 'amqp://'", "advertise: 'amqp://localhost:1'");
    regions.declare_vhosts();
    regions.declare(X, &TWO);
    let ran = regions.fedctl(&["up", "--timeout", "4s"]).exits(75);
    ran.says("connection refused").conceals("link-");
    until("both are down", || (regions.links("down").len() == 2).then_some(()));
    regions.edit("advertise: 'amqp://localhost:1'", "advertise: 'amqp://'");
    regions.up().says("2 links running");
}

fn links_are_paused_and_lose_nothing() {
    let regions = Federation::mesh(&TWO, EVENTS);
    regions.link("pause", "europe", "asia").exits(0);
    regions.publish("europe");
    regions.runs(1);
    regions.fedctl(&["status"]).exits(0).says("paused");
    regions.up().says("nothing to do");
    assert_eq!(regions.links("paused").len(), 1);
    regions.link("resume", "europe", "asia").exits(0);
    regions.has("asia", 10);
    regions.link("restart", "europe", "asia").exits(0);
    regions.link("restart", "europe", "atlantis").exits(64);
}

fn two_topologies_on_one_broker_do_not_see_each_other() {
    let one = Federation::mesh(&TWO, EVENTS);
    let other = Federation::mesh(&TWO, EVENTS);
    for regions in [&one, &other] {
        regions.up().says("nothing to do");
        regions.runs(2);
        assert_eq!(regions.links("unexpected"), Vec::<Value>::new());
    }
    one.publish("europe");
    one.has("asia", 10);
    assert_eq!(other.region("asia").depth(&format!("tap.{X}")), 0);
}

fn a_region_that_leaves_takes_its_links_and_keeps_its_messages() {
    let regions = Federation::mesh(&THREE, EVENTS);
    regions.link("pause", "europe", "america").exits(0);
    regions.publish("europe");
    let text = regions.text();
    let without_links = || {
        let pair =
            |one, other| format!("{{upstream: {}, downstream: {}}}", regions.at(one), regions.at(other));
        let pairs =
            format!("shape: pairs, pairs: [{}, {}], ", pair("europe", "asia"), pair("asia", "europe"));
        regions.edit("federation: {", &format!("federation: {{{pairs}"));
    };
    without_links();
    regions.fedctl(&["up"]).exits(1).says("10 messages still queued for");
    regions.write(&text);
    regions.link("resume", "europe", "america").exits(0);
    regions.has("america", 10);
    without_links();
    regions.up();
    for region in TWO {
        let vhost = regions.vhost(region);
        let queues = regions.region(region).names(&format!("/queues/{vhost}"));
        assert!(!queues.iter().any(|name| name.contains("america")), "{region}: {queues:?}");
    }
    let text = regions.text();
    let america = format!("- name: {}", regions.at("america"));
    let (start, end) = (text.find(&america).unwrap(), text.find("federation: {").unwrap());
    regions.write(&format!("{}{}", &text[..start], &text[end..]));
    regions.up().says("nothing to do: 2 links running");
}
