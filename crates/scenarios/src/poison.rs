//! A message that nobody can work off, to see a scenario fail and say where the message is.

use super::{Scenario, checkout, compute, profile, rpc, shop, watch::Watch};
use fedctl_model::{
    desired::BROKER,
    proof::{Expectation, about},
};

/// Neither JSON nor anything else that a service reads.
const BODY: &str = "{\"neither\": here";

/// Where a scenario's messages go, and how the service that takes them says that it has.
struct Target {
    exchange: &'static str,
    key: &'static str,
    service: &'static str,
    events: &'static [&'static str],
}

impl Scenario {
    fn target(self) -> Target {
        let target = |exchange, key, service, events| Target { exchange, key, service, events };
        match self {
            Self::Events | Self::Master | Self::Reply => {
                target(shop::PRODUCT_EVENTS, "product_added", shop::INDEXER, &["indexed"])
            }
            Self::Profile => {
                target(profile::USER_UPDATES, "user.profile.update", profile::PROFILE, &["profile_updated"])
            }
            Self::Rpc => target("", rpc::QUEUE, rpc::WORKER, &["rpc_handled"]),
            Self::Compute => target(compute::EXCHANGE, "create-vm", compute::HOST, &["vm_created"]),
            Self::Checkout => {
                target(checkout::EVENTS, "order.created", checkout::INVENTORY, &["stock_reserved"])
            }
        }
    }
}

/// Publishes it in the region where the scenario begins, and expects what cannot come.
pub(super) async fn send(watch: &mut Watch<'_>, scenario: Scenario) {
    let Target { exchange, key, service, events } = scenario.target();
    let Some(origin) = watch.regions_of(scenario.front()).into_iter().next() else { return };
    let Some((cause, id)) = watch.publish(&origin, exchange, key, BODY).await else { return };
    watch.expect(Expectation {
        line: about(events, &id),
        meaning: format!("worked off what {BROKER} `{origin}` was given"),
        times: 1,
        way: None,
        cause,
        region: None,
        service: service.into(),
    });
    watch.lines().await;
}
