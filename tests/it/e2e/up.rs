//! Coming up, staying up, going down.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Project, engine::docker, proxy::Proxy, ran::Running};

/// 2 exchange links and 14 queue links in each of three regions.
const LINKS: usize = 48;

pub fn before_up_a_plan_has_changes(project: &Project) {
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(2).says("0 blocked");
    project.fedctl(&["plan"]).exits(0);
    assert!(project.objects("network").is_empty(), "a plan does nothing");
}

pub fn up_from_nothing_runs_every_link(project: &Project) {
    project.up().says(&format!("{LINKS} links running"));
    assert_eq!(project.links("running").len(), LINKS);
    project.fedctl(&["status"]).exits(0).says(&format!("{LINKS} of {LINKS} links running"));
}

pub fn a_second_up_changes_nothing_and_restarts_no_link(project: &Project) {
    let before = links_as_brokers_see_them(project);
    let proxy = Proxy::recording();
    let ran = project.fedctl(&["up", "--host", &proxy.host()]).exits(0).says("nothing to do");
    ran.within(Duration::from_secs(5));
    assert!(proxy.count() > 0, "it asked the engine behind the proxy");
    assert_eq!(proxy.mutating(), Vec::<String>::new());
    assert_eq!(links_as_brokers_see_them(project), before);
}

pub fn after_up_a_plan_has_none(project: &Project) {
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0).says("nothing to do");
}

/// A link that restarts gets another identifier and time.
fn links_as_brokers_see_them(project: &Project) -> Vec<Value> {
    let mut links: Vec<Value> = ["europe", "asia", "america"]
        .iter()
        .flat_map(|region| project.broker(region).get("/federation-links").as_array().unwrap().clone())
        .map(|link| {
            json!([
                link["node"],
                link["upstream"],
                link["exchange"],
                link["queue"],
                link["id"],
                link["timestamp"]
            ])
        })
        .collect();
    links.sort_by_key(ToString::to_string);
    assert_eq!(links.len(), LINKS);
    links
}

pub fn logs_are_those_of_the_chosen_container(project: &Project) {
    let ran = project.fedctl(&["logs", "europe", "broker"]).exits(0).says("Server startup complete");
    let name = project.container("europe", "broker");
    assert!(ran.stdout.lines().all(|line| line.starts_with(&name)), "{ran}");
    let ran = project.fedctl(&["logs", "-n", "1", "asia"]).exits(0);
    assert_eq!(ran.stdout.lines().count(), 4, "a broker and three services: {ran}");
    project.fedctl(&["logs", "atlantis"]).exits(64).says("regions: europe, asia, america");
}

pub fn following_logs_ends_with_an_interrupt(project: &Project) {
    let mut following =
        Running::of(project.command(&["logs", "-f", "europe", "broker"])).until_it_prints("startup complete");
    following.signal("INT");
    following.end().exits(130);
}

pub fn down_keeps_the_data_and_another_up_finds_it(project: &Project) {
    let queue = project.broker("asia").tap("orders", "kept");
    assert!(project.broker("asia").publish("orders", "kept", "over the night"));
    docker(&["rm", "--force", &project.container("america", "broker")]);
    let volumes = project.objects("volume");
    assert_eq!(volumes.len(), 7, "one a broker, one for a region's services, and the owner's: {volumes:?}");

    project.fedctl(&["down"]).exits(0).says("volumes are kept");
    assert_eq!(project.objects("container"), Vec::<String>::new());
    assert_eq!(project.objects("network"), Vec::<String>::new());
    assert_eq!(project.objects("volume"), volumes);
    project.fedctl(&["status"]).exits(4).says("missing");
    project.fedctl(&["down"]).exits(0);

    project.up().says(&format!("{LINKS} links running"));
    assert_eq!(project.broker("asia").take(&queue), ["over the night"]);
    project.fedctl(&["demo"]).exits(0);
}

pub fn down_with_volumes_leaves_nothing(project: &Project) {
    project.fedctl(&["down", "--volumes"]).exits(64).says(&format!("--confirm {}", project.name));
    project.fedctl(&["down", "--volumes", "--confirm", "other"]).exits(64);
    assert_eq!(project.running().len(), 12, "nothing was touched");
    project.fedctl(&["down", "--volumes", "--confirm", &project.name]).exits(0).says("nothing is left");
    for kind in ["container", "network", "volume"] {
        assert_eq!(project.objects(kind), Vec::<String>::new());
    }
    assert!(!project.workdir().exists());
}
