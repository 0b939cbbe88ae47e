//! Expected against actual.

use serde_json::json;

use crate::{
    e2e::demo,
    support::{Project, until},
};

pub fn a_removed_policy_is_shown_fails_the_demo_and_is_put_back(project: &Project) {
    project.broker("america").delete("/policies/%2F/events");
    let missing = until("the links are missing", || {
        let missing = project.links("missing");
        (missing.len() == 2).then_some(missing)
    });
    for link in missing {
        assert_eq!(link["downstream"], "america", "{link}");
        assert_eq!(link["resource"], json!({"type": "exchange", "name": "products.events"}), "{link}");
    }
    project.fedctl(&["status"]).exits(4).says("? missing").says("46 of 48 links running");
    project.fedctl(&["status", "-o", "wide"]).exits(4).says("the downstream lacks policy `events`");
    demo::fails(project, &["events"])
        .says("`indexer` in `america` indexed the product 0 times")
        .says("link asia → america (products.events): the downstream lacks policy `events`: `fedctl up` puts it back");
    project.fedctl(&["plan"]).exits(0).says("broker america: policy events on exchanges (not found)");
    demo::passes_again(project);
}

pub fn an_unexpected_link_is_shown_and_left_alone(project: &Project) {
    let broker = project.broker("europe");
    let ghost = json!({"value": {"uri": "amqp://nobody:nothing@atlantis", "reconnect-delay": 60}});
    broker.put("/parameters/federation-upstream/%2F/atlantis", &ghost);
    until("links to nowhere", || {
        let unexpected = project.links("unexpected");
        (unexpected.len() == 8 && unexpected.iter().all(|link| link["upstream"] == "atlantis")).then_some(())
    });
    project
        .fedctl(&["status", "-o", "wide"])
        .exits(4)
        .says("! unexpected")
        .says("not in the topology")
        .conceals("nothing@");
    project.up().says("nothing to do");
    assert!(broker.names("/parameters/federation-upstream/%2F").contains("atlantis"), "it is not ours");
    broker.delete("/parameters/federation-upstream/%2F/atlantis");
    until("they are removed", || project.links("unexpected").is_empty().then_some(()));
}
