//! Tests that a topology has of its own: what they find, what they say, and that nothing of them is left.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::federation::Federation;
use crate::{
    harness::cases,
    support::{ran::Running, until},
};

const TWO: [&str; 2] = ["europe", "asia"];
const THREE: [&str; 3] = ["europe", "asia", "america"];
const EVENTS: &str = r"policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
const QUEUES: &str = "policies: [{name: fed, pattern: '^fed\\.', apply-to: queues}]";
const X: &str = "x.events";

pub fn cases() -> Vec<Trial> {
    cases![
        tests_of_a_mesh_pass_and_leave_nothing,
        a_test_waits_for_its_bindings_over_several_links,
        a_paused_link_is_named_by_the_test_that_it_fails,
        an_exchange_that_no_policy_matches_is_named,
        a_copy_in_a_third_region_fails_a_test_that_wants_it_nowhere_else,
        what_arrives_twice_is_counted,
        what_does_not_exist_is_named_and_nothing_is_published,
        a_federated_queue_is_consumed_where_its_messages_are_expected,
        a_queue_in_use_is_left_alone,
        what_comes_into_a_queue_meanwhile_stays_there,
        an_interrupted_test_leaves_nothing,
    ]
}

impl Federation {
    /// Gives the topology these tests, in which `@REGION` stands for the whole name of a region.
    fn with_tests(&self, tests: &str) {
        let text = self.text();
        let without = text.split("tests:").next().unwrap().to_owned();
        let named = THREE
            .iter()
            .fold(tests.to_owned(), |tests, region| tests.replace(&format!("@{region}"), &self.at(region)));
        self.write(&format!("{without}tests:\n{named}"));
    }

    /// A topology of these regions with an exchange of a type in each, and nothing bound to it.
    fn of_topics(regions: &[&str], federation: &str) -> Self {
        let all = Self::new(regions, federation);
        all.up();
        for region in regions {
            all.exchange(region, X, "topic");
        }
        until("links are as they should be", || (all.fedctl(&["status"]).code == Some(0)).then_some(()));
        all
    }

    fn exchange(&self, region: &str, name: &str, kind: &str) {
        let broker = self.region(region);
        broker.put(&broker.path("exchanges", name), &json!({"type": kind, "durable": true}));
    }

    /// Everything that a test could leave, by region.
    fn inventory(&self, regions: &[&str]) -> BTreeMap<String, Value> {
        let of_region = |region: &&str| {
            let (broker, vhost) = (self.region(region), self.vhost(region));
            let bindings = broker.get(&format!("/bindings/{vhost}"));
            let bindings = bindings.as_array().unwrap().iter();
            let bindings = bindings.map(|found| {
                format!("{} {} {}", found["source"], found["destination"], found["routing_key"])
            });
            let mut bindings: Vec<String> = bindings.collect();
            bindings.sort();
            let names =
                ["exchanges", "queues", "policies"].map(|kind| broker.names(&format!("/{kind}/{vhost}")));
            ((*region).to_owned(), json!([names, bindings]))
        };
        regions.iter().map(of_region).collect()
    }

    /// What `fedctl test` reports of the only test, which must end like this.
    fn only(&self, state: &str) -> Value {
        let ran = self.fedctl(&["test", "-o", "json"]).exits(if state == "passed" { 0 } else { 5 });
        let report = ran.json()["tests"][0].clone();
        assert_eq!(report["state"], state, "{report:#}");
        report
    }
}

/// What is wrong, and what is known of why: each a line.
fn failures(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |failure: &Value| {
        let causes: Vec<String> = failure["causes"].as_array().unwrap().iter().map(text).collect();
        [vec![text(&failure["message"])], causes].concat()
    };
    report["failures"].as_array().unwrap().iter().flat_map(of).collect()
}

/// That ten messages get from europe to asia, with other keys of the test.
fn to_asia(more: &str) -> String {
    format!(
        "- name: to asia\n  publish: {{region: @europe, exchange: {X}, routing-key: order.created, count: 10}}\n  \
         expect: [{{region: @asia, exchange: {X}}}]\n  {more}\n"
    )
}

fn tests_of_a_mesh_pass_and_leave_nothing() {
    let regions = Federation::of_topics(&THREE, EVENTS);
    let queue = regions.region("america").tap(X, "order.*");
    regions.with_tests(&format!(
        "- name: everywhere\n  publish: {{region: @europe, exchange: {X}, routing-key: order.created, count: 10, payload: '{{}}', \
         headers: {{kind: test, urgent: true}}}}\n  expect:\n  - {{region: @asia, exchange: {X}, binding-key: order.*}}\n  \
         - {{region: @america, exchange: {X}}}\n  - {{region: @europe, exchange: {X}, binding-key: '#'}}\n\
         - name: from asia\n  publish: {{region: @asia, exchange: {X}, routing-key: tax.due}}\n  \
         expect: [{{region: @europe, exchange: {X}}}, {{region: @america, exchange: {X}}}]\n  within: 2s\n\
         - name: in a queue\n  publish: {{region: @europe, exchange: {X}, routing-key: order.paid, count: 3}}\n  \
         expect: [{{region: @america, queue: {queue}}}]\n  nowhere-else: false\n"
    ));
    // nobody may find messages of tests in the queue that one of them names
    regions
        .fedctl(&["test", "everywhere", "from asia", "--progress", "plain"])
        .exits(0)
        .says("2 of 2 tests passed");
    until("what was published for nobody has expired", || {
        (regions.region("america").depth(&queue) == 0).then_some(())
    });
    let before = regions.inventory(&THREE);
    let ran = regions.fedctl(&["test", "in a queue", "-o", "json"]).exits(0);
    let report = ran.json();
    assert_eq!(
        (&report["passed"], &report["tests"][0]["published"]),
        (&json!(true), &json!(3)),
        "{report:#}"
    );
    assert_eq!(report["tests"][0]["arrivals"][0]["arrived"], 3, "{report:#}");
    until("nothing of it is left", || (regions.inventory(&THREE) == before).then_some(()));
    assert_eq!(regions.region("america").depth(&queue), 0);
    regions.fedctl(&["test", "nowhere"]).exits(64).says("tests: `everywhere`, `from asia`, `in a queue`");
}

fn a_test_waits_for_its_bindings_over_several_links() {
    let ring = Federation::of_topics(&THREE, &format!("shape: ring, one-way: true, {EVENTS}"));
    ring.with_tests(&format!(
        "- name: round\n  publish: {{region: @europe, exchange: {X}, routing-key: far.away, count: 5}}\n  \
         expect: [{{region: @america, exchange: {X}}}, {{region: @asia, exchange: {X}}}]\n"
    ));
    let before = ring.inventory(&THREE);
    for _ in 0..3 {
        ring.only("passed");
    }
    until("nothing of it is left", || (ring.inventory(&THREE) == before).then_some(()));
}

fn a_paused_link_is_named_by_the_test_that_it_fails() {
    let regions = Federation::of_topics(&TWO, EVENTS);
    let [europe, asia] = TWO.map(|region| regions.at(region));
    regions.with_tests(&to_asia("within: 1s"));
    regions.only("passed");
    regions.fedctl(&["link", "pause", &europe, &asia]).exits(0);
    let report = regions.only("failed");
    let found = failures(&report);
    assert_eq!(found[0], format!("expected 10 in `{asia}` (exchange `{X}`) within 1s, got 0"), "{report:#}");
    let link =
        format!("link {europe} → {asia} ({X}): messages wait on the upstream until `fedctl link resume`");
    assert!(found[1].starts_with(&link), "{report:#}");
    regions.fedctl(&["link", "resume", &europe, &asia]).exits(0);
    regions.only("passed");
}

fn an_exchange_that_no_policy_matches_is_named() {
    let regions = Federation::of_topics(&TWO, EVENTS);
    for region in TWO {
        regions.exchange(region, "orders", "topic");
    }
    regions.with_tests(&to_asia("within: 1s").replace(X, "orders"));
    regions.fedctl(&["check", "--offline"]).exits(4).says("FED0260");
    let found = failures(&regions.only("failed"));
    assert_eq!(found[1], "no policy of the topology federates exchange `orders`", "{found:?}");
    // one that a policy with a higher priority takes out of the federation
    let asia = regions.region("asia");
    regions.with_tests(&to_asia("within: 1s"));
    asia.put(
        &asia.path("policies", "theirs"),
        &json!({"pattern": "^x", "apply-to": "exchanges", "priority": 9, "definition": {"alternate-exchange": "amq.fanout"}}),
    );
    let found = failures(&regions.only("failed"));
    assert!(found[1].contains("`theirs`"), "{found:?}");
}

fn a_copy_in_a_third_region_fails_a_test_that_wants_it_nowhere_else() {
    let regions = Federation::of_topics(&THREE, EVENTS);
    let america = regions.at("america");
    regions.with_tests(&to_asia("nowhere-else: true"));
    let report = regions.only("failed");
    let expected = [
        format!("expected nothing in `{america}` (exchange `{X}`), got 10"),
        format!("the topology federates `{X}` there: expect the messages, or say `nowhere-else: false`"),
    ];
    assert_eq!(failures(&report), expected, "{report:#}");
    regions.with_tests(&to_asia("nowhere-else: false"));
    regions.only("passed");
    let broker = regions.region("america");
    broker.delete(&broker.path("exchanges", X));
    regions.with_tests(&to_asia(""));
    regions.only("passed");
}

/// By the two paths of at most two links.
fn what_arrives_twice_is_counted() {
    let hops = format!("allow-duplicates: true, upstream: {{max-hops: 2}}, {EVENTS}");
    let regions = Federation::of_topics(&THREE, &hops);
    regions.with_tests(&to_asia("nowhere-else: false"));
    let found = failures(&regions.only("failed"));
    let asia = regions.at("asia");
    assert_eq!(found[0], format!("expected 10 in `{asia}` (exchange `{X}`) within 5s, got 10, 10 twice"));
    regions.with_tests(
        &to_asia("nowhere-else: false").replace("[{region: @asia,", "[{region: @asia, count: 20,"),
    );
    regions.only("passed");
}

fn what_does_not_exist_is_named_and_nothing_is_published() {
    let regions = Federation::of_topics(&TWO, EVENTS);
    let (asia, queue) = (regions.region("asia"), regions.region("europe").tap(X, "#"));
    asia.delete(&asia.path("exchanges", X));
    regions.with_tests(&to_asia(""));
    let report = regions.only("not-run");
    assert_eq!(failures(&report), [format!("exchange `{X}` does not exist in `{}`", regions.at("asia"))]);
    assert_eq!(regions.region("europe").depth(&queue), 0);
    assert!(!asia.names(&format!("/exchanges/{}", regions.vhost("asia"))).contains(X));
    let junit = regions.fedctl(&["test", "-o", "junit"]).exits(5);
    assert!(junit.stdout.contains("<error message=\"exchange `x.events` does not exist"), "{junit}");
}

/// That three messages get from a queue of europe to one of asia.
const TO_QUEUE: &str = "- name: work\n  publish: {region: @europe, queue: fed.work, count: 3}\n  \
                        expect: [{region: @asia, queue: fed.work}]\n  within: 3s\n";

fn of_queues() -> Federation {
    let regions = Federation::new(&TWO, QUEUES);
    regions.up();
    for region in TWO {
        let broker = regions.region(region);
        broker.put(&broker.path("queues", "fed.work"), &json!({"durable": true}));
    }
    regions.runs(2);
    regions.with_tests(TO_QUEUE);
    regions
}

fn a_federated_queue_is_consumed_where_its_messages_are_expected() {
    let regions = of_queues();
    let before = regions.inventory(&TWO);
    let report = regions.only("passed");
    assert_eq!(report["arrivals"][0]["resource"], json!({"type": "queue", "name": "fed.work"}), "{report:#}");
    assert_eq!(regions.inventory(&TWO), before);
}

fn a_queue_in_use_is_left_alone() {
    let regions = of_queues();
    let europe = regions.region("europe");
    assert!(europe.publish("", "fed.work", "an application's"));
    let found = failures(&regions.only("not-run"));
    let expected = format!(
        "queue `fed.work` in `{}` is in use, with 1 message: the test would take or move what is not its own",
        regions.at("europe")
    );
    assert_eq!(found, [expected]);
    assert_eq!(europe.take("fed.work"), ["an application's"]);
}

fn what_comes_into_a_queue_meanwhile_stays_there() {
    let regions = of_queues();
    let asia = regions.region("asia");
    // more are expected than come, so that the test waits
    regions.with_tests(
        &TO_QUEUE.replace("within", "nowhere-else: false\n  within").replace("count: 3", "count: 4").replace(
            "expect: [{region: @asia, queue: fed.work}]",
            "expect: [{region: @asia, queue: fed.work, count: 3}]",
        ),
    );
    let waits = |event: &Value| event["event"] == "progress" && event["text"] == "publishing";
    let running = Running::of(regions.command(&["test", "--progress", "json"])).until_it_reports(waits);
    assert!(asia.publish("", "fed.work", "an application's"));
    running.end();
    until("it is there again", || (asia.peek("fed.work") == ["an application's"]).then_some(()));
}

fn an_interrupted_test_leaves_nothing() {
    let regions = Federation::of_topics(&TWO, EVENTS);
    let before = regions.inventory(&TWO);
    let asia = regions.region("asia");
    asia.tap(X, "other");
    asia.delete(&asia.path("queues", "tap.other"));
    // more than are published would be waited for
    regions.with_tests(
        &to_asia("within: 1m").replace("[{region: @asia,", "[{region: @asia, binding-key: none,"),
    );
    let waits = |event: &Value| {
        event["event"] == "progress"
            && event["text"].as_str().is_some_and(|text| text.contains("on their way"))
    };
    let mut running = Running::of(regions.command(&["test", "--progress", "json"])).until_it_reports(waits);
    assert_ne!(regions.inventory(&TWO), before, "its queues are there");
    running.signal("INT");
    running.end().exits(130);
    until("nothing of it is left", || (regions.inventory(&TWO) == before).then_some(()));
}
