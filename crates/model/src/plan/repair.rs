//! The plan that repairs links which do not come up by themselves.

use std::{collections::BTreeSet, time::Duration};

use super::{Cause, Change, Plan};
use crate::{
    desired::Broker,
    observed::Resource,
    status::{Condition, LinkRef, LinkStatus, Reason},
    topology::{ApplyTo, RegionName},
};

/// What makes a link run that may otherwise stay as it is for ever.
#[derive(Debug, Clone, Copy)]
enum Remedy {
    /// It runs, and the bindings are propagated when it starts.
    Restart,
    /// The broker failed to start it though its policy and upstream exist (as in rabbitmq-server #16224),
    /// and does when the policy is put again.
    PutPolicyAgain,
    /// Passwords are as they should be, and the link still uses another: it takes the right one when its upstream is
    /// changed and changed back.
    PutUpstreamAgain,
}

/// Every other link comes up by itself, or its trouble is not the broker's to repair.
fn remedy(condition: &Condition) -> Option<Remedy> {
    match condition {
        Condition::Running | Condition::Connecting | Condition::Paused | Condition::Unknown(_) => None,
        Condition::Failing(reason) => match reason {
            Reason::BindingNotPropagated { .. }
            | Reason::InternalBindingMissing
            | Reason::NotFetching
            | Reason::Stale => Some(Remedy::Restart),
            Reason::NotStarted => Some(Remedy::PutPolicyAgain),
            Reason::AccessRefused => Some(Remedy::PutUpstreamAgain),
            Reason::OffNetwork { .. }
            | Reason::UpstreamUnavailable(_)
            | Reason::DownstreamUnavailable(_)
            | Reason::PluginDisabled { .. }
            | Reason::NotDeclared
            | Reason::PolicyMissing { .. }
            | Reason::PolicyOverridden { .. }
            | Reason::UpstreamMissing
            | Reason::VhostRefused
            | Reason::TlsAlert { .. }
            | Reason::ConnectionRefused
            | Reason::UnknownHost
            | Reason::NoRoute
            | Reason::TimedOut
            | Reason::Silent
            | Reason::ConnectionLost
            | Reason::ClosedByUpstream
            | Reason::DownstreamChannelLost
            | Reason::RefusedByUpstream { .. }
            | Reason::StartingTooLong { .. }
            | Reason::NotInTopology
            | Reason::Other { .. } => None,
        },
    }
}

/// How long a link may take to become right by itself before [`repair`] helps; none if it cannot help.
///
/// A broker starts a link, passes it a changed password, and propagates bindings over it within a second or two; it
/// counts consumers every five.
#[must_use]
pub fn patience(link: &LinkStatus) -> Option<Duration> {
    remedy(&link.condition)?;
    let counts = link.condition == Condition::Failing(Reason::NotFetching);
    Some(Duration::from_secs(if counts { 6 } else { 3 }))
}

/// Plans what makes the brokers start the stalled ones of these links again. Messages that wait for them are kept.
#[must_use]
pub fn repair<'l>(links: impl IntoIterator<Item = &'l LinkStatus>, brokers: &[Broker]) -> Plan {
    let mut plan = Plan::default();
    let (mut not_started, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for status in links {
        let LinkRef { upstream, downstream, resource } = status.link.clone();
        match remedy(&status.condition) {
            None => {}
            Some(Remedy::Restart) => {
                plan.push(
                    Change::RestartLink { upstream, resource }.at(&downstream),
                    Cause::BindingsNotPropagated,
                    [],
                );
            }
            Some(Remedy::PutPolicyAgain) => {
                not_started.insert((downstream, matches!(resource, Resource::Exchange(_))));
            }
            Some(Remedy::PutUpstreamAgain) => {
                refused.insert((downstream, upstream));
            }
        }
    }
    for broker in brokers {
        for (name, upstream) in &broker.upstreams {
            if refused.contains(&(broker.region.clone(), RegionName::new(name))) {
                let put = |upstream| Change::PutUpstream { name: name.clone(), upstream }.at(&broker.region);
                let perturbed = plan.push(put(upstream.perturbed()), Cause::CredentialsNotPropagated, []);
                plan.push(put(upstream.clone()), Cause::CredentialsNotPropagated, [perturbed]);
            }
        }
        for (name, policy) in &broker.policies {
            if not_started.contains(&(broker.region.clone(), policy.apply_to == ApplyTo::Exchanges.as_str()))
            {
                let delete = Change::DeletePolicy { name: name.clone() }.at(&broker.region);
                let deleted = plan.push(delete, Cause::LinkNotStarted, []);
                let put = Change::PutPolicy { name: name.clone(), policy: policy.clone() }.at(&broker.region);
                plan.push(put, Cause::Follows, [deleted]);
            }
        }
    }
    plan
}
