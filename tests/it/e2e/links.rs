//! Links that are restarted, paused and resumed.

use std::{collections::BTreeSet, time::Duration};

use crate::support::{Project, engine::docker, until};

/// Messages that wait while their link is paused.
const BACKLOG: usize = 50;

pub fn paused_links_lose_nothing_and_stay_paused_until_they_are_resumed(project: &Project) {
    let (europe, asia) = (project.broker("europe"), project.broker("asia"));
    let internal = "federation: products.events -> asia";
    let queue = asia.tap("products.events", "paused");
    europe.await_binding("products.events", "paused", "asia");

    project.fedctl(&["link", "pause", "europe", "asia"]).exits(0).says("messages for asia wait in europe");
    let paused = project.fedctl(&["status"]).exits(0).says("40 of 48 links running, 8 paused");
    paused.says("fedctl link resume");
    for number in 0..BACKLOG {
        assert!(europe.publish("products.events", "paused", &number.to_string()), "message {number}");
    }
    until("the backlog", || (europe.depth(internal) >= BACKLOG as u64).then_some(()));
    project.up().says("nothing to do");
    let probed = project.fedctl(&["up", "--verify"]).exits(0).says("‖ not probed: paused");
    probed.says("10 of 12 links moved 20 messages, each once").says("2 are paused");
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
    let refused = project.fedctl(&["link", "restart", "europe", "asia"]).exits(1);
    refused.says("the links europe → asia are paused").says("fedctl link resume europe asia");

    project.fedctl(&["link", "resume", "europe", "asia"]).exits(0).says("the links europe → asia run");
    until("every message", || (europe.depth(internal) == 0).then_some(()));
    let arrived: BTreeSet<String> = asia.take(&queue).into_iter().collect();
    assert_eq!(arrived.len(), BACKLOG, "each message arrives");
    asia.delete(&format!("/queues/%2F/{queue}"));
    project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
}

pub fn links_are_restarted_by_name(project: &Project) {
    let restarted = project.fedctl(&["link", "restart", "asia", "america"]).exits(0);
    restarted.says("8 links from asia to america").says("the links asia → america run");
    project.fedctl(&["status"]).exits(0);
    project.fedctl(&["link", "restart", "asia", "mars"]).exits(64).says("there is no region `mars`");
    project.fedctl(&["link", "pause", "asia", "asia"]).exits(64).says("no links asia → asia");
}

pub fn links_between_two_regions_are_paused_and_resumed_though_another_is_silent(project: &Project) {
    let america = project.container("america", "broker");
    docker(&["pause", &america]);
    for verb in ["pause", "resume"] {
        project.fedctl(&["link", verb, "europe", "asia"]).exits(0).within(Duration::from_secs(5));
    }
    docker(&["unpause", &america]);
    project.up();
}
