//! Real Nameko services in one region, fedctl's own in the others: they interoperate in every scenario.

use crate::{stage::Stage, support::Project};

const SERVICES: [&str; 3] = ["products", "indexer", "taxes"];

/// Two rounds in one test, because they share the engine and the regions: first Nameko's region is one of
/// those that send orders, then it is the one that processes them.
pub fn nameko_services_stand_in_for_ours_in_any_region(project: &Project) {
    let stage = Stage::new(project, include_str!("../../python/nameko.yaml"));
    for (master, orders) in [("europe", 0), ("asia", 3)] {
        stage.up(|topology| topology.replace("master: europe", &format!("master: {master}")));
        stage.prove(&["events", "master", "reply"]);
        let [processed] = stage.logged("asia", "products", ["order_processed"]);
        assert_eq!(processed, orders, "orders, with master `{master}`");
        for service in SERVICES {
            assert!(stage.logged("asia", service, ["published", "indexed"]).iter().any(|times| *times > 0));
        }
    }
}
