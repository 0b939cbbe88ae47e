//! How the report of a topology's own tests is shown.

use libtest_mimic::Trial;

use crate::harness::cases;

use anstream::adapter::strip_str;
use fedctl::output::{json, junit, tests};
use fedctl_model::{
    expectation::{Arrival, Failure, TestReport, TestState, TestsReport},
    observed::Resource,
    topology::RegionName,
};

fn arrival(region: &str, expected: usize, arrived: usize, copies: usize) -> Arrival {
    let last_ms = (arrived > 0).then_some(12.5);
    let (region, resource) = (RegionName::new(region), Resource::Exchange("orders.events".into()));
    Arrival { region, resource, expected: Some(expected), arrived, copies, last_ms }
}

fn test(name: &str, state: TestState, arrivals: Vec<Arrival>, failures: &[(&str, &[&str])]) -> TestReport {
    let failures = failures.iter().map(|(message, causes)| Failure {
        message: (*message).into(),
        causes: causes.iter().map(|cause| (*cause).into()).collect(),
    });
    let published = if state == TestState::NotRun { 0 } else { 10 };
    TestReport { name: name.into(), state, seconds: 0.25, published, arrivals, failures: failures.collect() }
}

/// A test of each kind; the name of one is not made for XML.
fn report() -> TestsReport {
    let link = "link europe → asia (orders.events): messages wait on the upstream until `fedctl link resume`";
    let lost = "expected 10 in `asia` (exchange `orders.events`) within 5s, got 7, 1 twice";
    let stray = "expected nothing in `america` (exchange `orders.events`), got 10";
    let tests = vec![
        test(
            "an order reaches every region",
            TestState::Passed,
            vec![arrival("asia", 10, 10, 0), arrival("america", 10, 10, 0)],
            &[],
        ),
        test(
            "<\"&'>\u{1b}[31m\n",
            TestState::Failed,
            vec![arrival("asia", 10, 7, 1)],
            &[(lost, &[link]), (stray, &[])],
        ),
        test("taxes stay", TestState::NotRun, vec![], &[("exchange `taxes` does not exist in `asia`", &[])]),
    ];
    TestsReport::of("shop", tests, vec![], 5.5)
}

fn the_table_has_a_line_for_every_test_and_what_is_wrong() {
    insta::assert_snapshot!(strip_str(&tests::render(&report())));
}

fn the_json_is_what_is_shown() {
    insta::assert_snapshot!(json(&report()).unwrap());
}

fn the_xml_is_what_build_servers_read() {
    let xml = junit::render(&report());
    insta::assert_snapshot!(xml);
    let elements = parse(&xml);
    let count = |name: &str| elements.iter().filter(|(found, _)| found == name).count();
    assert_eq!(["testsuites", "testsuite", "testcase", "failure", "error"].map(count), [1, 1, 3, 1, 1]);
    let (_, attributes) = elements.iter().find(|(name, _)| name == "testsuite").unwrap();
    for (name, value) in [("tests", "3"), ("failures", "1"), ("errors", "1"), ("name", "shop")] {
        assert!(attributes.contains(&(name.into(), value.into())), "{attributes:?}");
    }
    let names: Vec<&String> = elements
        .iter()
        .filter(|(element, _)| element == "testcase")
        .flat_map(|(_, attributes)| {
            attributes.iter().filter(|(name, _)| name == "name").map(|(_, value)| value)
        })
        .collect();
    assert_eq!(names, ["an order reaches every region", "<\"&'>\u{fffd}[31m\n", "taxes stay"]);
}

type Element = (String, Vec<(String, String)>);

/// The elements of a document with their attributes. It panics at what is not well-formed.
fn parse(xml: &str) -> Vec<Element> {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(is_allowed), "{xml:?}");
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let (mut open, mut elements): (Vec<String>, Vec<Element>) = (Vec::new(), Vec::new());
    let mut parts = body.split('<');
    assert_eq!(parts.next(), Some(""));
    for part in parts {
        let (tag, text) = part.split_once('>').expect("the tag ends");
        unescape(text);
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let (attribute, value) = rest.trim_start().split_once("=\"").expect("an attribute");
            let (value, after) = value.split_once('"').expect("its end");
            attributes.push((attribute.to_owned(), unescape(value)));
            rest = after;
        }
        if !is_empty {
            open.push(name.to_owned());
        }
        elements.push((name.to_owned(), attributes));
    }
    assert!(open.is_empty(), "{open:?} is open");
    elements
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let (entity, rest) = part.split_once(';').expect("the entity ends");
        let meant = match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => char::from_u32(number.strip_prefix('#').unwrap().parse().unwrap()).unwrap(),
        };
        format!("{text}{meant}{rest}")
    })
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_table_has_a_line_for_every_test_and_what_is_wrong,
        the_json_is_what_is_shown,
        the_xml_is_what_build_servers_read,
    }
}
