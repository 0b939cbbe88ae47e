//! Plans that are agreed to, and then applied as they are or not at all.

use libtest_mimic::Trial;
use serde_json::json;

use super::federation::Federation;
use crate::harness::cases;

const TWO: [&str; 2] = ["europe", "asia"];

pub fn cases() -> Vec<Trial> {
    cases![
        a_plan_in_a_file_is_applied_unless_something_has_changed_since,
        nothing_is_applied_that_nobody_agreed_to,
        a_region_alone_is_applied_by_its_name,
    ]
}

fn a_plan_in_a_file_is_applied_unless_something_has_changed_since() {
    let regions = Federation::new(&TWO, "");
    let file = regions.path("agreed.plan");
    regions.fedctl(&["plan", "--out", &file]).exits(0).says("next: fedctl apply");
    let asia = regions.vhost("asia");
    regions.shared.put(&[(format!("vhosts/{asia}"), json!({}))]);
    let refused = regions.fedctl(&["apply", &file, "--yes"]).exits(1);
    refused.says("something has changed since the plan was made").says(&format!("virtual host {asia}"));
    assert!(regions.region("asia").names(&format!("/policies/{asia}")).is_empty(), "nothing was applied");

    regions.fedctl(&["plan", "--out", &file, "--detailed-exitcode"]).exits(2);
    let applied = regions.fedctl(&["apply", &file, "--yes"]).exits(0);
    applied.conceals(&regions.passwords());
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
    regions.fedctl(&["apply", &file, "--yes"]).exits(1).says("nothing was applied");

    regions.file("not.plan", "{}");
    regions.fedctl(&["apply", &regions.path("not.plan")]).exits(64).says("is not a plan");
    let other = Federation::new(&TWO, "");
    other.fedctl(&["apply", &file]).exits(64).says(&format!("the plan is for project `{}`", regions.name));
}

fn nothing_is_applied_that_nobody_agreed_to() {
    let regions = Federation::new(&TWO, "");
    regions.declare_vhosts();
    regions.fedctl(&["apply"]).exits(64).says("policy events on exchanges").says("--yes");
    let vhost = regions.vhost("europe");
    assert!(regions.region("europe").names(&format!("/policies/{vhost}")).is_empty());
    regions.fedctl(&["apply", "--yes"]).exits(0);
    regions.fedctl(&["apply"]).exits(0).says("nothing to do");
}

fn a_region_alone_is_applied_by_its_name() {
    let regions = Federation::new(&TWO, "");
    regions.declare_vhosts();
    regions.fedctl(&["apply", "--region", &regions.at("asia"), "--yes"]).exits(0);
    let policies =
        |region: &str| regions.region(region).names(&format!("/policies/{}", regions.vhost(region))).len();
    assert_eq!((policies("asia"), policies("europe")), (2, 0));
}
