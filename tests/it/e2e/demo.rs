//! The demo: it passes when federation works, and reports why when it does not.

use std::time::Duration;

use crate::support::{Project, engine::docker, ran::Ran, until};

/// Long enough for what arrives at all to arrive.
const TIMEOUT: &str = "3s";

/// Three scenarios, each with its timeout and a little more to report what is wrong.
const ALL_WITHIN: Duration = Duration::from_secs(15);

pub fn every_scenario_passes(project: &Project) {
    let ran = project.fedctl(&["demo"]).exits(0).says("3 of 3 scenarios passed");
    assert!(!ran.stdout.contains('✗'), "{ran}");
    let proofs = project.fedctl(&["demo", "-o", "json"]).exits(0).json();
    assert_eq!(proofs["passed"], true);
    assert_eq!(proofs["scenarios"].as_array().unwrap().len(), 3);
}

/// The demo fails in its time, and as a failure of scenarios.
pub fn fails(project: &Project, scenarios: &[&str]) -> Ran {
    let arguments = [&["demo", "--timeout", TIMEOUT], scenarios].concat();
    project.fedctl(&arguments).exits(5).within(ALL_WITHIN)
}

/// Everything runs. Connections that were cut are given up only when their heartbeats have
/// failed: until then a broker reports such links as running, and then they reconnect.
pub fn passes_again(project: &Project) {
    project.up();
    project.fedctl(&["demo"]).exits(0);
    until("every link runs", || (project.fedctl(&["status"]).code == Some(0)).then_some(()));
}

pub fn a_stopped_service_is_named_and_put_back(project: &Project) {
    docker(&["stop", &project.container("asia", "taxes")]);
    docker(&["rm", "--force", &project.container("america", "indexer")]);
    project.fedctl(&["status"]).exits(4).says("✗ taxes stopped").says("? indexer missing");
    fails(project, &["reply"]).says("service taxes in `asia`: does not run");
    fails(project, &["events"]).says("service indexer in `america`: has no container");
    docker(&["stop", &project.container("europe", "products")]);
    fails(project, &["master"]).says("`europe`").says("`products`").says("fedctl up");
    passes_again(project);
}

pub fn a_region_cut_off_fails_the_demo_and_is_connected_again(project: &Project) {
    docker(&["network", "disconnect", &project.wan(), &project.container("asia", "broker")]);
    let ran = fails(project, &[])
        .says("0 of 3 scenarios passed")
        .says("link asia → europe (products.events)")
        .says("link europe → asia (products.events)")
        .says("link europe → asia (fed.asia_calculate_taxes)")
        .conceals("`taxes` in `america` calculated the tax for europe 0 times");
    let wrong = |line: &&str| {
        line.contains("`indexer` in `america` indexed the product 0 times") && line.ends_with("in `europe`")
    };
    assert_eq!(ran.stdout.lines().find(wrong), None, "what did arrive is not said to be missing");
    passes_again(project);
}
