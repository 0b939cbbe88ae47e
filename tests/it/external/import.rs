//! Topologies that are made from what brokers hold.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::federation::{ADMINISTRATOR, Federation};
use crate::{
    harness::cases,
    support::{ran::Ran, until},
};

const THREE: [&str; 3] = ["europe", "asia", "america"];
const TWO: [&str; 2] = ["europe", "asia"];
const X: &str = "x.events";

pub fn cases() -> Vec<Trial> {
    cases![
        what_up_made_is_imported_and_then_there_is_nothing_to_do,
        what_was_federated_by_hand_is_adopted_and_no_link_restarts,
        a_broker_that_cannot_be_read_is_named,
    ]
}

/// Imports these regions into a new file.
fn import(regions: &Federation, names: &[&str], others: &[&str]) -> Ran {
    let [amqp, management] = regions.shared.addresses();
    let mut arguments = vec!["import".to_owned()];
    for name in names {
        let (region, vhost) = (regions.at(name), regions.vhost(name));
        arguments.push(format!("{region}=http://{}@{management}", ADMINISTRATOR.0));
        arguments.extend([format!("--amqp={region}=amqp://{amqp}"), format!("--vhost={region}={vhost}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(others.iter().copied()).collect();
    regions.fedctl(&arguments)
}

fn what_up_made_is_imported_and_then_there_is_nothing_to_do() {
    let federation = "shape: line, upstream: {prefetch-count: 50, heartbeat: 7}, policies: [{name: events, pattern:                       '\\.events$', apply-to: exchanges, priority: 2, definition: {alternate-exchange: lost}}]";
    let regions = Federation::new(&THREE, federation);
    regions.up();
    // in another order than the line's
    let order = ["america", "europe", "asia"];
    let file = regions.path("imported.yaml");
    let read = ["--password-variable", "TEST_PASSWORD", "--output", &file];
    let imported = import(&regions, &order, &read).exits(0);
    imported.conceals(ADMINISTRATOR.1).conceals(&regions.passwords());
    import(&regions, &order, &read).exits(64).says("is not overwritten");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("shape: line") && !text.contains("pairs") && text.contains("prefetch-count: 50"),
        "{text}"
    );
    regions.write(&text);
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0).says("nothing to do");
}

/// Which links there are, and since when each is as it is.
fn links(regions: &Federation) -> Vec<Value> {
    let mut all = Vec::new();
    for region in TWO {
        let broker = regions.region(region);
        let found = broker.get(&format!("/federation-links/{}", regions.vhost(region)));
        let of =
            |link: &Value| json!([link["id"], link["status"], link["timestamp"], link["local_connection"]]);
        all.extend(found.as_array().unwrap().iter().map(of));
    }
    all
}

fn what_was_federated_by_hand_is_adopted_and_no_link_restarts() {
    let regions = Federation::new(&TWO, "");
    regions.declare_vhosts();
    regions.declare(X, &TWO);
    for (region, upstream) in [("europe", "asia"), ("asia", "europe")] {
        let broker = regions.region(region);
        let (user, password) = ADMINISTRATOR;
        let uri = format!("amqp://{user}:{password}@localhost/{}", regions.vhost(upstream));
        let path = broker.path("parameters/federation-upstream", &regions.at(upstream));
        broker.put(&path, &json!({"value": {"uri": uri}}));
        let policy = json!({"pattern": "^x[.]", "apply-to": "exchanges",
            "definition": {"federation-upstream-set": "all"}});
        broker.put(&broker.path("policies", "by-hand"), &policy);
    }
    until("both links run", || {
        let all = links(&regions);
        (all.len() == 2 && all.iter().all(|link| link[1] == "running")).then_some(())
    });
    let before = links(&regions);

    let imported = import(&regions, &TWO, &["--password-variable", "TEST_PASSWORD", "--name", &regions.name]);
    let imported = imported.exits(0);
    regions.write(&imported.stdout);
    imported.conceals(ADMINISTRATOR.1);
    let planned = regions.fedctl(&["plan", "--adopt"]).exits(0);
    let upstream = regions.at("asia");
    planned
        .says(&format!("(adopts upstream {upstream}, policy by-hand)"))
        .says("0 to add, 2 to change, 0 to remove, 0 blocked");
    regions.fedctl(&["up", "--adopt", "--timeout", "30s"]).exits(0);
    assert_eq!(links(&regions), before, "no link has restarted");
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0).says("nothing to do");
    regions.fedctl(&["status"]).exits(0);

    // its links delete their queues when they end
    let refused = regions.fedctl(&["link", "pause", &regions.at("europe"), &regions.at("asia")]).exits(1);
    refused.says("resource-cleanup-mode");
    assert_eq!(links(&regions), before, "and none has ended");

    // from now on it is the topology's: what is not in it any more goes
    regions.edit("by-hand", "by-file");
    let planned = regions.fedctl(&["plan"]).exits(0);
    planned.says("policy by-hand (not in the topology)").says("policy by-file");
}

fn a_broker_that_cannot_be_read_is_named() {
    let regions = Federation::new(&TWO, "");
    let read = ["--password-variable", "TEST_PASSWORD"];
    import(&regions, &TWO, &read).exits(69).says("has no virtual host").says("FED0615");
    import(&regions, &TWO, &["--password-variable", "NOT_SET"]).exits(64).says("`NOT_SET` is not set");
    let [_, management] = regions.shared.addresses();
    let with_password = format!("europe=http://test:{}@{management}", ADMINISTRATOR.1);
    regions.fedctl(&["import", &with_password]).exits(64).conceals(ADMINISTRATOR.1);
}
