//! Regions that are not all linked to each other.

use crate::support::Project;

/// The links of an exchange and of seven queues, for each of as many pairs.
fn links(pairs: usize) -> String {
    format!("{} of {} links running", 8 * pairs, 8 * pairs)
}

pub fn events_cross_as_many_links_as_a_shape_needs(project: &Project) {
    project.edit("shape: full-mesh", "shape: line");
    project.up().says("queues are federated over one link only");
    project.fedctl(&["status"]).exits(0).says(&links(4));
    project.fedctl(&["demo", "events"]).exits(0);

    project.edit("shape: line", "shape: ring\n  one-way: true");
    project.up();
    project.fedctl(&["status"]).exits(0).says(&links(3));
    project.fedctl(&["demo", "events"]).exits(0);

    project.edit("shape: ring\n  one-way: true", "shape: full-mesh");
    project.up();
    project.fedctl(&["status"]).exits(0).says(&links(6));
    for region in ["europe", "asia", "america"] {
        assert_eq!(
            project.broker(region).get("/parameters/federation-upstream/%2F").as_array().unwrap().len(),
            2,
            "{region}"
        );
    }
}
