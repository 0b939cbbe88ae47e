//! What keeps fedctl from working on a broker that it did not start: it is said before anything is changed anywhere.

use std::collections::BTreeSet;

use crate::{
    desired::Broker,
    diagnostic::{Code, Diagnostic, Place},
    observed::{Definitions, Snapshot},
    site::Unavailable,
};

pub(super) const CODES: [Code; 2] = [LACKS_TAG, OTHER_CLUSTER_NAME];

const LACKS_TAG: Code = Code::error(
    "FED0507",
    "The user that fedctl works as on this broker lacks a tag that a change needs, so nothing was applied. Links are shown \
     to `monitoring`, policies and upstreams are changed by `policymaker`, and only an `administrator` makes users and \
     virtual hosts. Whoever runs the broker gives a tag with `rabbitmqctl set_user_tags`; no administrator is needed where \
     the virtual host exists and `link-user` names a user for the links of other regions.",
);
const OTHER_CLUSTER_NAME: Code = Code::error(
    "FED0508",
    "The broker's cluster has another name than the topology says. Federation knows a broker by that name: messages for it \
     wait in queues that carry it, and a message is not sent to a cluster where it was. fedctl does not rename a cluster \
     that it did not start, because what waits under the old name would be left behind. Name it in `cluster-name` of the \
     region's `broker`; clusters that have the same name can be told apart by their virtual hosts only.",
);

/// An administrator's tag, which stands for every other.
const ADMINISTRATOR: &str = "administrator";

/// Why nothing can be changed on this broker. One that does not answer may do so soon.
pub(super) fn obstacles(broker: &Broker, observed: &Snapshot<Definitions>) -> Vec<Diagnostic> {
    match observed.answer(&broker.region) {
        Some(held) => {
            let tags = held.tags.iter().flat_map(|tags| lacking(broker, held, tags));
            tags.chain(other_cluster_name(broker, held)).collect()
        }
        None => observed
            .unavailable(&broker.region)
            .and_then(|reason| permanent(broker, reason))
            .into_iter()
            .collect(),
    }
}

fn permanent(broker: &Broker, unavailable: &Unavailable) -> Option<Diagnostic> {
    match unavailable {
        Unavailable::NoCredentials(_)
        | Unavailable::Rejected(_)
        | Unavailable::OutOfReach(_)
        | Unavailable::PluginDisabled(_) => Some(unavailable.diagnostic(&broker.region)),
        Unavailable::Missing
        | Unavailable::Stopped(_)
        | Unavailable::Paused
        | Unavailable::NotPublished(_)
        | Unavailable::NoPassword
        | Unavailable::Unauthorized
        | Unavailable::Unreachable(_)
        | Unavailable::Unresponsive(_)
        | Unavailable::NoVhost(_) => None,
    }
}

fn lacking(broker: &Broker, held: &Definitions, tags: &BTreeSet<String>) -> Vec<Diagnostic> {
    let place = || Place::Broker { region: broker.region.clone() };
    let has = |tag: &str| tags.contains(tag) || tags.contains(ADMINISTRATOR);
    let lacks = |tag: &str, what: &str| {
        (!has(tag)).then(|| {
            Diagnostic::new(LACKS_TAG, place(), format!("fedctl's user has no tag `{tag}`: it cannot {what}"))
        })
    };
    let reads = lacks("monitoring", "see the links").map(|found| found.help("add the tag on the broker"));
    let writes = lacks("policymaker", "change policies and upstreams")
        .map(|found| found.help("add the tag on the broker"));
    let vhost =
        held.lacks_vhost.then(|| lacks(ADMINISTRATOR, &format!("make the virtual host `{}`", broker.vhost)));
    let vhost =
        vhost.flatten().map(|found| found.help("make it on the broker, and give the user permissions in it"));
    let user = broker.users.keys().next();
    let user = user.and_then(|user| lacks(ADMINISTRATOR, &format!("make the user `{user}`")));
    let user = user.map(|found| found.help("name one that exists in `link-user` of the region's `broker`"));
    [reads, writes, vhost, user].into_iter().flatten().collect()
}

fn other_cluster_name(broker: &Broker, held: &Definitions) -> Option<Diagnostic> {
    let (found, said) = (&held.cluster_name, &broker.cluster_name);
    (found != said).then(|| {
        let place = Place::Broker { region: broker.region.clone() };
        let message = format!("its cluster is called `{found}` and not `{said}`");
        Diagnostic::new(OTHER_CLUSTER_NAME, place, message)
            .help(format!("`cluster-name: {found}` in the region's `broker`"))
    })
}
