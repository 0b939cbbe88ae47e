//! Tests that cannot mean what they say.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    observed::Resource,
    topology::{
        Expectation, RegionName, Test, Topology,
        expectations::time,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint {
    codes: &[
        NO_TARGET,
        UNUSED_KEY,
        UNKNOWN_REGION,
        DUPLICATE_TEST,
        INVALID_TIME,
        TOO_MANY,
        EXPECTED_TWICE,
        RESERVED_HEADER,
        UNPRINTABLE,
        NOT_FEDERATED,
        NO_WAY,
    ],
    check,
};

/// The header by which messages of a test are known.
const MARK: &str = crate::expectation::HEADER;

const NO_TARGET: Code = Code::error(
    "FED0160",
    "A test publishes to an exchange or straight to a queue, and looks for its messages at an exchange or in a queue: each \
     entry has one of the two keys. At an exchange the test binds a queue of its own, so that no application loses a \
     message; a queue that is named has to be empty and without consumers.",
);
const UNUSED_KEY: Code = Code::error(
    "FED0161",
    "Routing keys and binding keys are what an exchange routes by. Messages that are published straight to a queue, or looked \
     for in one, have no use for them, so the file does not mean what it says. Remove the key, or name an exchange.",
);
const UNKNOWN_REGION: Code = Code::error(
    "FED0162",
    "A test publishes in a region of the topology and expects its messages in regions of the topology. No region has this \
     name. Name one of them.",
);
const DUPLICATE_TEST: Code = Code::error(
    "FED0163",
    "Two tests have the same name, by which `fedctl test NAME` and its reports tell them apart. Rename one.",
);
const INVALID_TIME: Code = Code::error(
    "FED0164",
    "The time is a number with a unit, or several of them: `500ms`, `5s`, `1m 30s`. It is how long messages may take to \
     arrive after publishing began, and has to be more than nothing and at most an hour.",
);
const TOO_MANY: Code = Code::error(
    "FED0165",
    "More messages are expected in one place than are published, and every message arrives once, so the test would always \
     fail. Only where a topology says `allow-duplicates: true` do copies arrive, and count. Publish more, or expect fewer.",
);
const EXPECTED_TWICE: Code = Code::error(
    "FED0166",
    "Two entries of one test look for the messages in the same place. In a queue each message is consumed once, so that the \
     two would take them from each other; at an exchange with the same key both would see the same. Remove one of them.",
);
const RESERVED_HEADER: Code = Code::error(
    "FED0167",
    "Every message of a test carries the header `x-fedctl-test`, by which the test knows its own and applications can tell \
     them from others. Its value is the test's to set. Choose another name.",
);
const UNPRINTABLE: Code = Code::error(
    "FED0168",
    "The name of a test is a line of its reports, on a terminal and in XML, so it has no line breaks and no other control \
     characters. Write it in one line.",
);
const NOT_FEDERATED: Code = Code::warning(
    "FED0260",
    "The test publishes in one region and expects the messages in another, at an exchange or in a queue of the same name that \
     no policy of the topology matches: no link carries them there. Correct the name or the pattern of a policy. If \
     somebody else's policy federates it, the warning means nothing.",
);
const NO_WAY: Code = Code::warning(
    "FED0261",
    "By the shape of the topology nothing that is published in the one region reaches the other: there is no link, the links \
     lead the other way, or `max-hops` is too small; queues are federated over one link only. Change the shape, or expect \
     the messages elsewhere.",
);

/// The longest time that a test may take.
const LONGEST_SECONDS: u64 = 3600;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, test) in topology.tests.iter().enumerate() {
        let path = format!("tests/{index}");
        if let Some(earlier) = first.insert(&test.name, index) {
            let line = places.line(&format!("tests/{earlier}/name"));
            let message = format!("two tests are called {}", quoted(&test.name));
            let help = format!("the other is on line {line}; rename one of them");
            places.add(DUPLICATE_TEST, &format!("{path}/name"), message, help);
        }
        if test.name.contains(char::is_control) {
            let message = format!("{} has control characters", quoted(&test.name));
            places.add(UNPRINTABLE, &format!("{path}/name"), message, "write the name in one line");
        }
        publication(topology, test, &format!("{path}/publish"), places);
        within(test, &format!("{path}/within"), places);
        let mut seen = BTreeSet::new();
        for (index, expected) in test.expect.iter().enumerate() {
            let path = format!("{path}/expect/{index}");
            expectation(topology, test, expected, &path, places);
            let key = expected.queue.is_none().then(|| test.binding_key(expected));
            if !seen.insert((&expected.region, expected.target(), key)) {
                let message = format!("the messages are expected there twice, in {}", expected.region);
                places.add(EXPECTED_TWICE, &path, message, "remove one of them");
            }
        }
    }
}

fn publication(topology: &Topology, test: &Test, path: &str, places: &mut Places<'_, '_, '_>) {
    let publish = &test.publish;
    region(topology, &publish.region, path, places);
    target([&publish.exchange, &publish.queue], path, places);
    unused([&publish.queue, &publish.routing_key], path, "routing-key", places);
    if publish.headers.contains_key(MARK) {
        let message = format!("fedctl itself sets {}", quoted(MARK));
        places.add_at_key(RESERVED_HEADER, &format!("{path}/headers/{MARK}"), message, "choose another name");
    }
}

fn expectation(
    topology: &Topology,
    test: &Test,
    expected: &Expectation,
    path: &str,
    places: &mut Places<'_, '_, '_>,
) {
    let is_known = region(topology, &expected.region, path, places);
    target([&expected.exchange, &expected.queue], path, places);
    unused([&expected.queue, &expected.binding_key], path, "binding-key", places);
    let (wanted, published) = (test.wanted(expected), test.publish.count);
    if wanted > published && !topology.federation.allow_duplicates {
        let message = format!("{wanted} are expected and {published} published");
        places.add(TOO_MANY, &format!("{path}/count"), message, format!("publish {wanted}, or expect fewer"));
    }
    let target = expected.target();
    if !is_known || expected.region == test.publish.region || target != test.publish.target() {
        return;
    }
    let (kind, name) = (target.kind(), quoted(target.name()));
    if !topology.federates(&target) {
        let message = format!("no policy of the topology federates {kind} {name}");
        let help = "correct the name, or the pattern of a policy";
        places.add(NOT_FEDERATED, &format!("{path}/{kind}"), message, help);
    } else if topology.region(&test.publish.region).is_some()
        && !reaches(topology, &test.publish.region, &expected.region, &target)
    {
        let [from, to] = [&test.publish.region, &expected.region].map(|region| quoted(region.as_str()));
        let message = format!("nothing of {kind} {name} comes from {from} to {to}");
        let help = "change `shape` or `pairs` of `federation`, or expect it elsewhere";
        places.add(NO_WAY, &format!("{path}/region"), message, help);
    }
}

/// Whether something gets from one region to another by the shape.
fn reaches(topology: &Topology, from: &RegionName, to: &RegionName, target: &Resource) -> bool {
    match target {
        Resource::Exchange(_) => !topology.route(from, to).is_empty(),
        Resource::Queue(_) => {
            topology.pairs().iter().any(|pair| pair.upstream == *from && pair.downstream == *to)
        }
    }
}

/// Whether it is one of the topology's.
fn region(topology: &Topology, name: &RegionName, path: &str, places: &mut Places<'_, '_, '_>) -> bool {
    let is_known = topology.region(name).is_some();
    if !is_known {
        let names = topology.regions.iter().map(|region| region.name.as_str());
        let help = suggestion(name.as_str(), names, "the regions are");
        let message = format!("there is no region {}", quoted(name.as_str()));
        places.add(UNKNOWN_REGION, &format!("{path}/region"), message, help);
    }
    is_known
}

fn target([exchange, queue]: [&Option<String>; 2], path: &str, places: &mut Places<'_, '_, '_>) {
    match (exchange, queue) {
        (Some(_), None) | (None, Some(_)) => {}
        (None, None) => {
            let message = "neither `exchange` nor `queue` is given";
            places.add(NO_TARGET, path, message, "`exchange: NAME`, or `queue: NAME`");
        }
        (Some(_), Some(_)) => {
            let message = "both `exchange` and `queue` are given";
            places.add_at_key(NO_TARGET, &format!("{path}/queue"), message, "remove one of them");
        }
    }
}

fn unused([queue, given]: [&Option<String>; 2], path: &str, key: &str, places: &mut Places<'_, '_, '_>) {
    if queue.is_some() && given.is_some() {
        let message = format!("{} has no effect with a queue", quoted(key));
        let help = "remove it, or name an exchange";
        places.add_at_key(UNUSED_KEY, &format!("{path}/{key}"), message, help);
    }
}

fn within(test: &Test, path: &str, places: &mut Places<'_, '_, '_>) {
    let message = match time(&test.within) {
        Ok(time) if time.is_zero() => "the messages would have no time at all".to_owned(),
        Ok(time) if time.as_secs() > LONGEST_SECONDS => "a test takes no longer than an hour".to_owned(),
        Ok(_) => return,
        Err(error) => format!("{} is no time: {error}", quoted(&test.within)),
    };
    places.add(INVALID_TIME, path, message, "a number with a unit, such as `5s` or `1m 30s`");
}
