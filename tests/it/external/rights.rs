//! As whom fedctl works on a broker that it did not start, and what it lacks.

use libtest_mimic::Trial;
use serde_json::json;

use super::federation::{ADMINISTRATOR, Federation};
use crate::{harness::cases, support::broker::Broker};

const TWO: [&str; 2] = ["europe", "asia"];
const X: &str = "x.events";

pub fn cases() -> Vec<Trial> {
    cases![
        no_administrator_is_needed_where_users_and_virtual_hosts_exist,
        a_lacking_tag_is_said_before_anything_is_changed,
        a_wrong_password_and_a_missing_one_are_told_apart,
        another_cluster_name_blocks_a_plan_and_is_not_changed,
        an_address_at_which_nothing_answers_is_named_and_hinders_no_other,
        what_needs_containers_says_so,
    ]
}

/// A user of the shared broker with these tags and its permissions in all regions, who is removed with them.
fn user(regions: &Federation, name: &str, tags: &str) -> String {
    let name = format!("link-{}-{name}", regions.name);
    regions.shared.put(&[(format!("users/{name}"), json!({"password": "hush", "tags": tags}))]);
    for region in regions.names() {
        let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
        regions.shared.put(&[(format!("permissions/{}/{name}", regions.vhost(&region)), everything)]);
    }
    name
}

/// Regions whose virtual hosts exist, worked on by a user with these tags; other regions' links connect as another.
pub fn worked_on(names: &[&str], federation: &str, tags: &str) -> Federation {
    let regions = Federation::new(names, federation);
    regions.declare_vhosts();
    let (worker, links) = (user(&regions, "worker", tags), user(&regions, "links", ""));
    let as_worker = format!(
        "user: {worker}, password-file: worker.txt, link-user: {{name: {links}, password: '${{LINKS}}'}}"
    );
    regions.edit(&format!("user: {}, password: '${{TEST_PASSWORD}}'", ADMINISTRATOR.0), &as_worker);
    regions.file("worker.txt", "hush\n");
    regions
}

fn no_administrator_is_needed_where_users_and_virtual_hosts_exist() {
    let regions = worked_on(&TWO, "", "monitoring,policymaker");
    regions.up();
    regions.declare(X, &TWO);
    regions.runs(2);
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0).conceals("hush");
    regions.fedctl(&["probe", "--count", "3"]).exits(0).says("4 of 4 links moved 3 messages");
    regions.fedctl(&["link", "restart", &regions.at("europe"), &regions.at("asia")]).exits(0);
}

fn a_lacking_tag_is_said_before_anything_is_changed() {
    let regions = worked_on(&TWO, "", "monitoring");
    regions.fedctl(&["plan"]).exits(0).says("has no tag `policymaker`").says("blocked");
    regions.fedctl(&["up"]).exits(1).says("FED0507").says("nothing was applied");
    let vhost = regions.vhost("asia");
    assert!(regions.region("asia").names(&format!("/policies/{vhost}")).is_empty());
}

fn a_wrong_password_and_a_missing_one_are_told_apart() {
    let regions = worked_on(&TWO, "", "monitoring,policymaker");
    regions.file("worker.txt", "wrong\n");
    regions.fedctl(&["status"]).exits(4).says("FED0614").says("rejects user");
    regions.fedctl(&["up"]).exits(1).says("FED0614").conceals("wrong");
    regions.edit("worker.txt", "nothing.txt");
    regions.fedctl(&["status"]).exits(4).says("FED0613");
    regions.fedctl(&["up"]).exits(64).says("cannot read `nothing.txt`");
}

fn another_cluster_name_blocks_a_plan_and_is_not_changed() {
    let regions = Federation::new(&TWO, "");
    let name = regions.shared.cluster_name().to_owned();
    regions.edit(&format!("cluster-name: {name}"), "cluster-name: other");
    regions.fedctl(&["up"]).exits(1).says("FED0508").says(&format!("cluster-name: {name}"));
    let all = Broker::of("shared", &regions.shared.addresses()[1], ADMINISTRATOR);
    assert_eq!(all.get("/cluster-name")["name"], json!(name));
}

fn an_address_at_which_nothing_answers_is_named_and_hinders_no_other() {
    let regions = Federation::new(&TWO, "");
    regions.up();
    let text = regions.text();
    let vhost = regions.vhost("asia");
    let [amqp, management] = regions.shared.addresses();
    let asia = text.lines().find(|line| line.contains(&vhost)).unwrap();
    let moved = asia.replace(&amqp, "127.0.0.1:1").replace(&management, "127.0.0.1:2");
    regions.edit(asia, &moved);
    let found = regions.fedctl(&["status", "-o", "json"]).exits(4).json();
    let states: Vec<&str> = found["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|region| region["broker"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["running", "unreachable"]);
    regions.fedctl(&["up", "--timeout", "2s"]).exits(75).says(&format!("broker {}", regions.at("asia")));
}

fn what_needs_containers_says_so() {
    let regions = Federation::new(&TWO, "");
    regions.fedctl(&["down", "--volumes", "--confirm", &regions.name]).exits(64).says("nothing to remove");
    regions.fedctl(&["demo"]).exits(64).says("fedctl probe");
    regions.fedctl(&["export", "compose"]).exits(64).says("runs elsewhere");
}
