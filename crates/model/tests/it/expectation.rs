//! Tests that a topology has of its own: what they do where, and what they make of what arrived.

use std::{collections::BTreeSet, time::Duration};

use crate::catalogue::catalogue;
use fedctl_model::{
    expectation::{Course, Evidence, Failure, Found, Tally, TestReport, TestState, TestsReport, Wanted},
    observed::Resource,
    status::{Condition, LinkRef, LinkStatus},
    topology::{self, RegionName, Topology},
};

const X: &str = "orders.events";

/// Regions like this, of which europe publishes ten messages that asia expects; and more of the test.
fn topology(federation: &str, more: &str) -> Topology {
    let yaml = format!(
        "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\nfederation: {{{federation}}}\n\
         tests:\n- name: orders\n  publish: {{region: europe, exchange: {X}, routing-key: order.created, count: 10}}\n  \
         expect: [{{region: asia, exchange: {X}}}]\n  {more}\n"
    );
    topology::parse(&yaml, &catalogue()).map(|(topology, _)| topology).unwrap()
}

fn region(name: &str) -> RegionName {
    RegionName::new(name)
}

fn exchange() -> Resource {
    Resource::Exchange(X.into())
}

/// Regions whose brokers have the exchange.
fn everywhere() -> Found {
    let held = || Ok(BTreeSet::from([exchange()]));
    ["europe", "asia", "america"].map(|name| (region(name), held())).into()
}

fn course(topology: &Topology, found: &Found) -> Course {
    Course::of(topology, &topology.tests[0], found).unwrap()
}

/// The places in which a test looks, as `region wanted`.
fn looks(topology: &Topology, found: &Found) -> Vec<String> {
    let inboxes = course(topology, found).inboxes.into_iter();
    inboxes.map(|inbox| format!("{} {:?} {}", inbox.region, inbox.wanted, inbox.key)).collect()
}

/// The bindings that are waited for, as `upstream>downstream key`.
fn waits(topology: &Topology) -> Vec<String> {
    let crossings = course(topology, &everywhere()).crossings.into_iter();
    crossings
        .map(|found| format!("{}>{} {}", found.pair.upstream, found.pair.downstream, found.key))
        .collect()
}

#[test]
fn a_test_looks_where_messages_are_expected_and_where_they_are_not() {
    let mesh = topology("", "");
    let asia = "asia Exactly(10) order.created";
    let others = ["europe NoCopies order.created", "america Nothing order.created"];
    assert_eq!(looks(&mesh, &everywhere()), [&[asia], &others[..]].concat());
    assert_eq!(looks(&topology("", "nowhere-else: false"), &everywhere()), [asia]);
    let mut without = everywhere();
    without.insert(region("america"), Ok(BTreeSet::new()));
    assert_eq!(looks(&mesh, &without), [asia, others[0]], "there is nothing to look at");
}

#[test]
fn bindings_are_waited_for_on_every_link_of_the_way() {
    let there = ["europe>asia order.created"];
    assert_eq!(waits(&topology("", "nowhere-else: false")), there);
    // what is watched has to be able to arrive
    assert_eq!(waits(&topology("", "")), [there[0], "europe>america order.created"]);
    let around = topology(
        "shape: pairs, pairs: [{upstream: europe, downstream: america}, {upstream: america, downstream: asia}]",
        "",
    );
    let there = ["america>asia order.created", "europe>america order.created"];
    assert_eq!(waits(&around), [there[0], there[1], there[1]]);
    let nothing = topology("policies: [{name: other, pattern: ^other$, apply-to: exchanges}]", "");
    assert_eq!(waits(&nothing), Vec::<String>::new());
}

#[test]
fn what_a_test_needs_and_is_not_there_is_named() {
    let topology = topology("", "");
    let problems = |change: &dyn Fn(&mut Found)| {
        let mut found = everywhere();
        change(&mut found);
        Course::of(&topology, &topology.tests[0], &found).unwrap_err()
    };
    let lacks = |name: &str| {
        let name = region(name);
        problems(&move |found| drop(found.insert(name.clone(), Ok(BTreeSet::new()))))
    };
    assert_eq!(lacks("asia"), ["exchange `orders.events` does not exist in `asia`"]);
    assert_eq!(lacks("europe"), ["exchange `orders.events` does not exist in `europe`"]);
    let silent = |name: &str| {
        let name = region(name);
        problems(&move |found| drop(found.insert(name.clone(), Err("unreachable".into()))))
    };
    assert_eq!(silent("asia"), ["`asia` takes no part: unreachable"]);
    assert_eq!(
        silent("america"),
        [
            "whether anything reaches `america` would not be known: unreachable (`nowhere-else: false` does not ask for it)"
        ]
    );
}

#[test]
fn a_queue_that_is_consumed_has_to_be_idle_wherever_its_link_fetches() {
    let yaml = |queue: &str| {
        format!(
            "name: shop\nmaster: europe\nregions: [name: europe, name: asia]\ntests:\n- name: q\n  publish: {{region: europe, \
             queue: {queue}}}\n  expect: [{{region: asia, queue: {queue}}}]\n"
        )
    };
    let idle = |queue: &str| {
        let (topology, _) = topology::parse(&yaml(queue), &catalogue()).unwrap();
        let held = || Ok(BTreeSet::from([Resource::Queue(queue.into())]));
        let found: Found = ["europe", "asia"].map(|name| (region(name), held())).into();
        let course = course(&topology, &found);
        assert_eq!(course.inboxes.len(), 1, "of a queue there is nothing to watch elsewhere");
        course.idle.into_iter().map(|(region, _)| region.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(idle("fed.work"), ["asia", "europe"]);
    assert_eq!(idle("work"), ["asia"]);
}

/// What a test makes of so many copies of each message, by the place in which they arrive; ten were published.
fn judged(topology: &Topology, arrivals: &[&[usize]], evidence: &Evidence) -> Vec<Failure> {
    let (test, found) = (&topology.tests[0], everywhere());
    let course = course(topology, &found);
    let mut tally = Tally::default();
    tally.publish(10, 0);
    for (place, copies) in arrivals.iter().enumerate() {
        for (number, times) in copies.iter().enumerate() {
            (0..*times).for_each(|_| tally.arrive(place, number, Duration::from_millis(3)));
        }
    }
    tally.judge(topology, test, &course, &found, evidence)
}

#[track_caller]
fn says(failures: &[Failure], message: &str, causes: &[&str]) {
    let causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
    assert_eq!(failures, [Failure { message: message.into(), causes }]);
}

#[test]
fn everything_that_arrived_once_and_nowhere_else_is_as_expected() {
    let topology = topology("", "");
    let all: &[usize] = &[1; 10];
    assert_eq!(judged(&topology, &[all, all], &Evidence::default()), []);
    let evidence = Evidence::default();
    says(
        &judged(&topology, &[all, &[2; 10]], &evidence),
        "expected nothing to come back to `europe` (exchange `orders.events`), got 10 again",
        &[],
    );
    says(
        &judged(&topology, &[all, all, &[1, 1]], &evidence),
        "expected nothing in `america` (exchange `orders.events`), got 2",
        &["the topology federates `orders.events` there: expect the messages, or say `nowhere-else: false`"],
    );
}

#[test]
fn what_is_missing_or_came_again_is_counted_with_what_is_known_of_the_links() {
    let topology = topology("", "");
    let all: &[usize] = &[1; 10];
    let link = LinkRef { upstream: region("europe"), downstream: region("asia"), resource: exchange() };
    let status = LinkStatus {
        link,
        condition: Condition::Paused,
        activity: None,
        age_seconds: None,
        last_known: None,
        waiting: Some(3),
        growth: None,
        lag_seconds: None,
    };
    let unknown = course(&topology, &everywhere()).crossings;
    let known = Evidence { unknown, links: vec![status] };
    says(
        &judged(&topology, &[&[1, 1, 2, 1, 1, 1, 1], all], &known),
        "expected 10 in `asia` (exchange `orders.events`) within 5s, got 7, 1 twice",
        &[
            "link europe → asia (orders.events): messages wait on the upstream until `fedctl link resume`, 3 messages \
             queued for it on `europe`",
            "`europe` did not know the binding `order.created` of `asia` when messages were published",
        ],
    );
    says(
        &judged(&topology, &[&[1, 3, 2, 1, 1, 1, 1, 1, 1, 1], all], &Evidence::default()),
        "expected 10 in `asia` (exchange `orders.events`) within 5s, got 10, 2 of them up to 3 times",
        &["link europe → asia (orders.events): not reported by the broker of `asia`"],
    );
}

#[test]
fn copies_count_where_more_are_expected_than_published() {
    let mut topology = topology("allow-duplicates: true, upstream: {max-hops: 2}", "nowhere-else: false");
    topology.tests[0].expect[0].count = Some(20);
    assert_eq!(judged(&topology, &[&[2; 10]], &Evidence::default()), []);
    let failures = judged(&topology, &[&[2, 2, 1]], &Evidence::default());
    assert_eq!(failures[0].message, "expected 20 in `asia` (exchange `orders.events`) within 5s, got 5");
}

#[test]
fn messages_that_the_broker_did_not_take_are_no_fault_of_a_link() {
    let topology = topology("", "nowhere-else: false");
    let (test, found) = (&topology.tests[0], everywhere());
    let course = course(&topology, &found);
    let judge = |change: &dyn Fn(&mut Tally)| {
        let mut tally = Tally::default();
        change(&mut tally);
        tally.judge(&topology, test, &course, &found, &Evidence::default())[0].message.clone()
    };
    let alarm = judge(&|tally| tally.publish(4, 0));
    assert_eq!(alarm, "`europe` did not take 6 of 10: no confirmation in time");
    let closed = judge(&|tally| tally.refuse("cannot publish".into()));
    assert_eq!(closed, "`europe` did not take 10 of 10: cannot publish");
    let nobody = judge(&|tally| tally.publish(10, 10));
    assert_eq!(nobody, "in `europe` no queue was bound for 10 of 10");
}

#[test]
fn a_report_has_passed_when_every_test_has() {
    let topology = topology("", "");
    let test = &topology.tests[0];
    let passed = || TestReport::of(test, 10, Vec::new(), Vec::new(), 0.1);
    let not_run = TestReport::not_run(test, vec!["why".into()], 0.1);
    assert_eq!((passed().state, not_run.state), (TestState::Passed, TestState::NotRun));
    assert!(TestsReport::of("shop", vec![passed(), passed()], Vec::new(), 0.2).passed);
    let report = TestsReport::of("shop", vec![passed(), not_run], Vec::new(), 0.2);
    assert_eq!((report.passed, report.count(TestState::NotRun)), (false, 1));
}

#[test]
fn the_region_that_publishes_may_expect_its_own() {
    let mut topology = topology("", "");
    topology.tests[0].expect[0].region = region("europe");
    let inboxes = course(&topology, &everywhere()).inboxes;
    let of = |name: &str| inboxes.iter().filter(|inbox| inbox.region == region(name)).count();
    assert_eq!((of("europe"), of("asia"), of("america")), (1, 1, 1));
    assert_eq!(inboxes[0].wanted, Wanted::Exactly(10));
}
