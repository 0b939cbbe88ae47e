//! The plan that mends links which a broker should have and has not, which run and carry nothing, or which it has not
//! told of their new password.

use std::collections::BTreeSet;

use super::{Cause, Change, Plan};
use crate::{
    desired::Desired,
    observed::Resource,
    status::{LinkState, LinkStatus},
    topology::{ApplyTo, RegionName},
};

/// Plans what makes a broker start these links anew. What waits for them is kept.
///
/// A deaf link is restarted. Where a link is missing though its policy and upstream are there, the broker has
/// missed to start it (rabbitmq-server #16224 and its like): it does when the policy is put anew. One that the upstream
/// refuses, now that passwords are as they should be, has not been told of its own: it is when its upstream is put in
/// other words, and then as it should be.
#[must_use]
pub fn mend<'l>(links: impl IntoIterator<Item = &'l LinkStatus>, desired: &Desired) -> Plan {
    let mut plan = Plan::default();
    let (mut missing, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for link in links {
        let LinkStatus { upstream, downstream, resource, state, .. } = link.clone();
        if link.is_refused() {
            refused.insert((downstream, upstream));
        } else if state == LinkState::Missing {
            missing.insert((downstream, matches!(resource, Resource::Exchange(_))));
        } else {
            plan.push(Change::RestartLink { upstream, resource }.at(&downstream), Cause::Deaf, []);
        }
    }
    for broker in &desired.brokers {
        for upstream in &broker.upstreams {
            if refused.contains(&(broker.region.clone(), RegionName::new(&upstream.name))) {
                let put = |upstream| Change::PutUpstream(upstream).at(&broker.region);
                let respelled = plan.push(put(upstream.respelled()), Cause::Untold, []);
                plan.push(put(upstream.clone()), Cause::Untold, [respelled]);
            }
        }
        for policy in &broker.policies {
            if missing.contains(&(broker.region.clone(), policy.apply_to == ApplyTo::Exchanges)) {
                let delete = Change::DeletePolicy { name: policy.name.clone() }.at(&broker.region);
                let deleted = plan.push(delete, Cause::Unstarted, []);
                let put = Change::PutPolicy(policy.clone()).at(&broker.region);
                plan.push(put, Cause::Follows, [deleted]);
            }
        }
    }
    plan
}
