//! The steps for what brokers hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Cause, Change, Plan, blocked, containers::Touched};
use crate::{
    desired::{
        APPLICATION, BROKER, Broker, Desired, Policy, Upstream, User, container, link_user,
        ownership_parameter,
    },
    diagnostic::Place,
    federation::{downstream_of_exchange, downstream_of_queue},
    observed::{self, Definitions, Owned, Snapshot},
    password,
    site::without_user,
    topology::RegionName,
};

/// What a broker holds; none for one that is about to be created with an empty volume.
type Known<'a> = Option<&'a Definitions>;

/// The regions whose brokers did not answer and may hold definitions.
pub(super) fn unknown(
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    touched: &Touched,
) -> BTreeSet<RegionName> {
    let is_unknown = |broker: &&Broker| {
        observed.answer(&broker.region).is_none() && !touched.new_volumes.contains(&broker.container)
    };
    desired.brokers.iter().filter(is_unknown).map(|broker| broker.region.clone()).collect()
}

/// Plans the changes of every broker; gives the steps after which each region's services can connect.
pub(super) fn reconcile(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    touched: &Touched,
    removed: &BTreeMap<String, usize>,
    unknown: &BTreeSet<RegionName>,
) -> BTreeMap<RegionName, usize> {
    let mut awaited = BTreeMap::new();
    let mut known = Vec::new();
    for broker in &desired.brokers {
        let definitions = observed.answer(&broker.region);
        let running = touched.running.get(&broker.container).copied();
        if running.is_some() || definitions.is_none() {
            let cause = if running.is_some() { Cause::Follows } else { Cause::Unknown };
            let step = Change::Await { container: broker.container.clone() }.at(&broker.region);
            awaited.insert(broker.region.clone(), plan.push(step, cause, running));
        }
        if unknown.contains(&broker.region) {
            plan.provisional = true;
        } else {
            known.push((broker, definitions));
        }
    }
    let mut ready = awaited.clone();
    // a link keeps the cluster name that it started with
    let mut named = BTreeMap::new();
    let mut link_users = BTreeMap::new();
    for &(broker, known) in &known {
        let await_step = awaited.get(&broker.region).copied();
        let named_step = cluster_name(plan, broker, known, await_step).or(await_step);
        named.extend(named_step.map(|step| (broker.region.clone(), step)));
        users(plan, broker, known, await_step, &mut link_users, &mut ready);
        policies(plan, broker, known, named_step);
        let deleted = prune(plan, desired, broker, known, await_step, removed);
        record_ownership(plan, desired, broker, known, await_step.into_iter().chain(deleted));
    }
    for &(broker, known) in &known {
        let named_step = named.get(&broker.region).copied();
        upstreams(plan, broker, known, named_step, &link_users, touched, desired);
    }
    ready
}

fn cluster_name(plan: &mut Plan, broker: &Broker, known: Known<'_>, after: Option<usize>) -> Option<usize> {
    // a new broker takes the name from its configuration
    let found = known?.cluster_name.clone();
    (found != broker.cluster_name).then(|| {
        let step = Change::PutClusterName { name: broker.cluster_name.clone() }.at(&broker.region);
        plan.push(
            step,
            differs("cluster name", Some(found.into()), Some(broker.cluster_name.clone().into())),
            after,
        )
    })
}

fn users(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    after: Option<usize>,
    link_users: &mut BTreeMap<(RegionName, String), usize>,
    ready: &mut BTreeMap<RegionName, usize>,
) {
    for user in &broker.users {
        let region = broker.region.clone();
        let cause = match known.and_then(|definitions| definitions.users.get(&user.name)) {
            None => Some(Cause::NotFound),
            Some(hash) if !password::matches(&user.password, hash) => Some(Cause::PasswordDiffers),
            Some(_) => None,
        };
        let put = cause.map(|cause| plan.push(Change::PutUser(user.clone()).at(&region), cause, after));
        let permitted = permission_cause(user, known).map(|cause| {
            let step = Change::PutPermissions(user.clone()).at(&region);
            plan.push(step, cause, put.into_iter().chain(after))
        });
        if let Some(last) = permitted.or(put) {
            if user.name == APPLICATION {
                ready.insert(region, last);
            } else {
                link_users.insert((region, user.name.clone()), last);
            }
        }
    }
}

fn permission_cause(user: &User, known: Known<'_>) -> Option<Cause> {
    let wanted = &user.permissions;
    let Some([configure, write, read]) =
        known.and_then(|definitions| definitions.permissions.get(&user.name))
    else {
        return Some(Cause::NotFound);
    };
    [
        ("configure", configure, &wanted.configure),
        ("write", write, &wanted.write),
        ("read", read, &wanted.read),
    ]
    .into_iter()
    .find(|(_, found, wanted)| found != wanted)
    .map(|(key, found, wanted)| differs(key, Some(found.clone().into()), Some(wanted.clone().into())))
}

fn policies(plan: &mut Plan, broker: &Broker, known: Known<'_>, after: Option<usize>) {
    for policy in &broker.policies {
        let cause = match known.and_then(|definitions| definitions.policies.get(&policy.name)) {
            None => Some(Cause::NotFound),
            Some(found) => policy_difference(policy, found),
        };
        let Some(cause) = cause else { continue };
        if is_foreign(&cause, known, |owned| &owned.policies, &policy.name) {
            let (region, name) = (broker.region.clone(), policy.name.clone());
            plan.blocked.push(blocked::foreign_definition(Place::Policy { region, name }));
        }
        plan.push(Change::PutPolicy(policy.clone()).at(&broker.region), cause, after);
    }
}

fn policy_difference(wanted: &Policy, found: &observed::Policy) -> Option<Cause> {
    let apply_to = wanted.apply_to.as_str();
    if found.pattern != wanted.pattern {
        Some(differs("pattern", Some(found.pattern.clone().into()), Some(wanted.pattern.clone().into())))
    } else if found.apply_to != apply_to {
        Some(differs("apply-to", Some(found.apply_to.clone().into()), Some(apply_to.into())))
    } else if found.priority != wanted.priority {
        Some(differs("priority", Some(found.priority.into()), Some(wanted.priority.into())))
    } else {
        first_difference(&wanted.definition, &found.definition)
    }
}

fn upstreams(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    after: Option<usize>,
    link_users: &BTreeMap<(RegionName, String), usize>,
    touched: &Touched,
    desired: &Desired,
) {
    for upstream in &broker.upstreams {
        let cause = match known.and_then(|definitions| definitions.upstreams.get(&upstream.name)) {
            None => Some(Cause::NotFound),
            Some(found) => upstream_difference(upstream, found),
        };
        let Some(cause) = cause else { continue };
        if is_foreign(&cause, known, |owned| &owned.upstreams, &upstream.name) {
            let (region, name) = (broker.region.clone(), upstream.name.clone());
            plan.blocked.push(blocked::foreign_definition(Place::Upstream { region, name }));
        }
        let upstream_region = RegionName::new(&upstream.name);
        let upstream_broker = container(&desired.project, &upstream_region, BROKER);
        let user = link_user(&broker.region);
        let needs = [
            after,
            link_users.get(&(upstream_region, user)).copied(),
            touched.connected.get(&broker.container).copied(),
            touched.connected.get(&upstream_broker).copied(),
        ];
        let step = Change::PutUpstream(upstream.clone()).at(&broker.region);
        plan.push(step, cause, needs.into_iter().flatten());
    }
}

fn upstream_difference(wanted: &Upstream, found: &observed::Upstream) -> Option<Cause> {
    let (wanted_uri, found_uri) = (without_user(&wanted.uri), without_user(&found.uri));
    if wanted_uri != found_uri {
        Some(differs("uri", Some(found_uri.into()), Some(wanted_uri.into())))
    } else if wanted.uri != found.uri {
        Some(Cause::PasswordDiffers)
    } else {
        first_difference(&wanted.settings, &found.settings)
    }
}

/// Removes what this project recorded as its own and no longer requires; the steps.
fn prune(
    plan: &mut Plan,
    desired: &Desired,
    broker: &Broker,
    known: Known<'_>,
    after: Option<usize>,
    removed: &BTreeMap<String, usize>,
) -> Vec<usize> {
    let Some((definitions, owned)) = known.and_then(|known| known.owned.as_ref().map(|owned| (known, owned)))
    else {
        return Vec::new();
    };
    let region = &broker.region;
    let wanted = ownership(broker);
    let mut steps = Vec::new();
    for name in owned.policies.iter().filter(|name| !wanted.policies.contains(name)).cloned() {
        steps.push(plan.push(Change::DeletePolicy { name }.at(region), Cause::NotInTopology, after));
    }
    for name in owned.upstreams.iter().filter(|name| !wanted.upstreams.contains(name)).cloned() {
        steps.push(plan.push(Change::DeleteUpstream { name }.at(region), Cause::NotInTopology, after));
    }
    for name in owned.users.iter().filter(|name| !wanted.users.contains(name)).cloned() {
        steps.push(plan.push(Change::DeleteUser { name }.at(region), Cause::NotInTopology, after));
    }
    for downstream in owned.downstreams.iter().filter(|name| !wanted.downstreams.contains(name)) {
        let downstream = RegionName::new(downstream);
        let gone = removed.get(&container(&desired.project, &downstream, BROKER));
        let needs: Vec<usize> = after.into_iter().chain(gone.copied()).collect();
        steps.extend(prune_internal(plan, broker, definitions, &downstream, &needs));
    }
    steps
}

/// Removes the internal exchanges and queues that a downstream's links left here, unless messages wait in them.
fn prune_internal(
    plan: &mut Plan,
    broker: &Broker,
    definitions: &Definitions,
    downstream: &RegionName,
    after: &[usize],
) -> Vec<usize> {
    let gone = Some(downstream.as_str());
    let mut exchanges = Vec::new();
    for name in definitions.exchanges.iter().filter(|name| downstream_of_exchange(name) == gone) {
        let step = Change::DeleteExchange { name: name.clone() }.at(&broker.region);
        exchanges.push(plan.push(step, Cause::NotInTopology, after.iter().copied()));
    }
    let mut steps = exchanges.clone();
    for queue in definitions.queues.iter().filter(|queue| downstream_of_queue(&queue.name) == gone) {
        if queue.messages > 0 {
            plan.blocked.push(blocked::backlog(&broker.region, queue, downstream));
        }
        let step = Change::DeleteEmptyQueue { name: queue.name.clone() }.at(&broker.region);
        steps.push(plan.push(step, Cause::NotInTopology, after.iter().chain(&exchanges).copied()));
    }
    steps
}

fn record_ownership(
    plan: &mut Plan,
    desired: &Desired,
    broker: &Broker,
    known: Known<'_>,
    after: impl IntoIterator<Item = usize>,
) {
    let wanted = ownership(broker);
    let cause = match known.and_then(|definitions| definitions.owned.as_ref()) {
        None => Cause::NotFound,
        Some(found) if *found != wanted => Cause::Follows,
        Some(_) => return,
    };
    let parameter = ownership_parameter(&desired.project);
    plan.push(Change::RecordOwnership { parameter, owned: wanted }.at(&broker.region), cause, after);
}

fn ownership(broker: &Broker) -> Owned {
    Owned {
        users: broker.users.iter().map(|user| user.name.clone()).collect(),
        upstreams: broker.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        policies: broker.policies.iter().map(|policy| policy.name.clone()).collect(),
        downstreams: broker.downstreams.iter().map(ToString::to_string).collect(),
    }
}

fn is_foreign(cause: &Cause, known: Known<'_>, list: impl Fn(&Owned) -> &Vec<String>, name: &String) -> bool {
    let owned = known
        .and_then(|definitions| definitions.owned.as_ref())
        .is_some_and(|owned| list(owned).contains(name));
    *cause != Cause::NotFound && !owned
}

fn differs(key: &str, found: Option<Value>, wanted: Option<Value>) -> Cause {
    Cause::Differs { key: key.into(), found, wanted }
}

/// The first key in which two definitions differ. Numbers are compared by value: a broker may answer
/// `5.0` where `5` was put.
fn first_difference(
    wanted: &serde_json::Map<String, Value>,
    found: &serde_json::Map<String, Value>,
) -> Option<Cause> {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    keys.into_iter()
        .find(|key| match (wanted.get(*key), found.get(*key)) {
            (Some(Value::Number(wanted)), Some(Value::Number(found))) => wanted.as_f64() != found.as_f64(),
            (wanted, found) => wanted != found,
        })
        .map(|key| differs(key, found.get(key).cloned(), wanted.get(key).cloned()))
}
