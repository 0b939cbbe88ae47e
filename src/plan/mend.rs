//! The plan that mends links which a broker should have and has not, or which run and carry nothing.

use std::collections::BTreeSet;

use super::{Cause, Plan, Step};
use crate::{
    desired::Desired,
    observed::Resource,
    status::{LinkState, LinkStatus},
    topology::ApplyTo,
};

/// Plans what makes a broker start these links anew. What waits for them is kept.
///
/// A deaf link is restarted. Where a link is missing though its policy and upstream are there, the broker has
/// missed to start it (rabbitmq-server #16224 and its like): it does when the policy is put anew.
#[must_use]
pub fn mend<'l>(links: impl IntoIterator<Item = &'l LinkStatus>, desired: &Desired) -> Plan {
    let mut plan = Plan::default();
    let mut missing = BTreeSet::new();
    for link in links {
        let LinkStatus { upstream, downstream, resource, state, .. } = link.clone();
        if state == LinkState::Missing {
            missing.insert((downstream, matches!(resource, Resource::Exchange(_))));
        } else {
            plan.push(Step::RestartLink { region: downstream, upstream, resource }, Cause::Deaf, []);
        }
    }
    for broker in &desired.brokers {
        for policy in &broker.policies {
            if missing.contains(&(broker.region.clone(), policy.apply_to == ApplyTo::Exchanges)) {
                let (region, name) = (broker.region.clone(), policy.name.clone());
                let deleted = plan.push(Step::DeletePolicy { region, name }, Cause::Unstarted, []);
                let put = Step::PutPolicy { region: broker.region.clone(), policy: policy.clone() };
                plan.push(put, Cause::Follows, [deleted]);
            }
        }
    }
    plan
}
