//! Several regions that are virtual hosts of one broker, which is asked for all of them at once.

use libtest_mimic::Trial;

use super::{
    federation::{ADMINISTRATOR, Federation},
    rights::worked_on,
};
use crate::{harness::cases, support::ran::Ran};

const FIVE: [&str; 5] = ["europe", "asia", "america", "africa", "oceania"];
/// A cheap shape, and one policy.
const LINE: &str = r"shape: line, policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
const X: &str = "x.events";

pub fn cases() -> Vec<Trial> {
    cases![
        many_virtual_hosts_of_a_broker_cost_it_as_many_requests_as_one,
        of_many_virtual_hosts_one_that_is_not_there_hinders_no_other,
        who_is_no_administrator_sees_every_one_of_many_virtual_hosts,
    ]
}

fn many_virtual_hosts_of_a_broker_cost_it_as_many_requests_as_one() {
    let regions = Federation::new(&FIVE, LINE);
    regions.up();
    regions.declare(X, &FIVE);
    regions.runs(8);
    // eight or twelve for one region, and a few more where another case makes the broker fail for a moment
    for (arguments, most) in [(["status"].as_slice(), 16), (&["plan", "--detailed-exitcode"], 20)] {
        let (ran, requests) = Ran::traced(&regions.command(arguments));
        ran.exits(0);
        assert!((6..=most).contains(&requests.len()), "{requests:#?}");
        assert!(requests.iter().all(|request| request.starts_with("GET /api/")), "{requests:#?}");
    }
}

fn of_many_virtual_hosts_one_that_is_not_there_hinders_no_other() {
    let regions = Federation::new(&FIVE, LINE);
    let all = regions.text();
    let cluster = regions.shared.cluster_name();
    let [.., last] = FIVE;
    let before = all.lines().filter(|line| !line.contains(&format!("name: {}", regions.at(last))));
    let before: Vec<&str> = before.filter(|line| !line.contains(&regions.vhost(last))).collect();
    assert_eq!(all.matches(cluster).count(), before.join("\n").matches(cluster).count() + 1);
    regions.write(&before.join("\n"));
    regions.up();
    regions.write(&all);
    let found = regions.fedctl(&["status", "-o", "json"]).exits(4).json();
    let states = found["regions"].as_array().unwrap().iter().map(|region| region["broker"]["error"].as_str());
    let states: Vec<Option<&str>> = states.collect();
    let missing = format!("it has no virtual host `{}`: `fedctl up` creates it", regions.vhost(last));
    assert_eq!(states, [None, None, None, None, Some(missing.as_str())]);
    regions.up();
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

fn who_is_no_administrator_sees_every_one_of_many_virtual_hosts() {
    let regions = worked_on(&FIVE, LINE, "monitoring,policymaker");
    assert!(!regions.text().contains(&format!("user: {}", ADMINISTRATOR.0)));
    regions.up();
    regions.declare(X, &FIVE);
    regions.runs(8);
    regions.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}
