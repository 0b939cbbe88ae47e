//! Links that fall behind.

use crate::{
    e2e::demo,
    support::{Project, engine::docker, until},
};

pub fn a_backlog_exceeds_a_limit_and_lags_until_it_shrinks(project: &Project) {
    let (europe, asia) = (project.broker("europe"), project.broker("asia"));
    let queue = asia.tap("products.events", "lagging");
    europe.await_binding("products.events", "lagging", "asia");
    let limits = ["status", "--max-backlog", "0", "--max-lag", "0s"];
    let fine = || (project.fedctl(&limits).code == Some(0)).then_some(());
    until("no link has a backlog", fine);
    docker(&["pause", &project.container("asia", "broker")]);
    assert!(europe.publish("products.events", "lagging", "1"));
    let link = "link europe → asia (products.events): 1 message queued for it";
    until("the lag", || {
        let ran = project.fedctl(&limits);
        (ran.stdout.contains(&format!("{link}, and for")) && ran.code == Some(4)).then_some(ran)
    })
    .says(&format!("{link}, more than 0 (FED0330)"))
    .says("(FED0331)");
    project.fedctl(&["status", "-o", "nagios", "--max-backlog", "0"]).exits(2).says("backlog_max=1;;0;0");
    docker(&["unpause", &project.container("asia", "broker")]);
    demo::passes_again(project);
    until("no link has a backlog any more", fine);
    until("the message", || (asia.depth(&queue) > 0).then_some(()));
    asia.delete(&format!("/queues/%2F/{queue}"));
}
