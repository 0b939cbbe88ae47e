//! Policies, upstreams and users that a broker had before the topology.

use libtest_mimic::Trial;
use serde_json::json;

use super::federation::Federation;
use crate::harness::cases;

const TWO: [&str; 2] = ["europe", "asia"];

pub fn cases() -> Vec<Trial> {
    cases![
        a_policy_of_others_is_overwritten_only_if_it_is_adopted,
        two_topologies_do_not_claim_the_same_virtual_host,
        the_same_project_in_two_files_does_not_share_a_record,
    ]
}

fn a_policy_of_others_is_overwritten_only_if_it_is_adopted() {
    let regions = Federation::new(&TWO, "");
    regions.declare_vhosts();
    let asia = regions.region("asia");
    let policy = json!({"pattern": "^x", "apply-to": "queues", "definition": {"max-length": 7}});
    asia.put(&asia.path("policies", "fed"), &policy);
    regions.fedctl(&["up"]).exits(1).says("FED0502").says("--adopt");
    regions.fedctl(&["plan"]).exits(0).says("blocked");
    assert_eq!(asia.get(&asia.path("policies", "fed"))["pattern"], json!("^x"), "it is as it was");
    regions.fedctl(&["plan", "--adopt"]).exits(0).says("(adopted: ").says("pattern ^x → ^fed\\.");
    let file = regions.path("agreed.plan");
    regions.fedctl(&["plan", "--adopt", "--out", &file]).exits(0);
    regions.fedctl(&["apply", &file, "--yes"]).exits(0);
    assert_eq!(asia.get(&asia.path("policies", "fed"))["pattern"], json!("^fed\\."));
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

fn two_topologies_do_not_claim_the_same_virtual_host() {
    let regions = Federation::new(&TWO, "");
    regions.up();
    let other = Federation::new(&TWO, "");
    for region in TWO {
        other.edit(&other.vhost(region), &regions.vhost(region));
    }
    let refused = other.fedctl(&["up", "--adopt"]).exits(1);
    let owner = format!("belongs to project `{}`", regions.name);
    refused.says("FED0531").says(&owner).says("FED0532").says("nothing was applied");
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

fn the_same_project_in_two_files_does_not_share_a_record() {
    let regions = Federation::new(&TWO, "");
    regions.up();
    let text = regions.text();
    let elsewhere = regions.vhost("elsewhere");
    regions.edit(&regions.vhost("asia"), &elsewhere);
    regions.fedctl(&["up"]).exits(1).says("FED0533").says(&regions.vhost("asia"));
    regions.write(&text);
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}
