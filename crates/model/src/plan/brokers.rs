//! The steps for what brokers hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    Cause, Change, Operation, Plan,
    adoption::{Kind, Owners, told},
    backlog,
    containers::Touched,
    external,
    leftovers::{self, Before, Left},
    redeclare::{self, Way, Ways},
};
use crate::{
    definition::{Difference, Permissions, Policy, difference},
    desired::{Broker, Desired, User},
    names::{APPLICATION, BROKER, container},
    observed::{Definitions, Plugin, Snapshot},
    password,
    site::Unavailable,
    topology::{ApplyTo, RegionName},
};

/// What a broker holds; none for one that is about to be created with an empty volume.
type Known<'a> = Option<&'a Definitions>;

/// The regions whose brokers did not answer and may hold definitions.
pub(super) fn unknown(
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    touched: &Touched,
) -> BTreeSet<RegionName> {
    let is_new = |container: &String| touched.new_volumes.contains(container);
    let is_unknown = |broker: &&Broker| {
        observed.answer(&broker.region).is_none() && !broker.container.as_ref().is_some_and(is_new)
    };
    desired.brokers.iter().filter(is_unknown).map(|broker| broker.region.clone()).collect()
}

/// Plans the changes of every broker; returns the steps after which each region's services can connect.
pub(super) fn reconcile(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    touched: &Touched,
    removed: &BTreeMap<String, usize>,
    unknown: &BTreeSet<RegionName>,
) -> BTreeMap<RegionName, usize> {
    let awaited = begin(plan, desired, observed, touched);
    plan.provisional |= desired.brokers.iter().any(|broker| unknown.contains(&broker.region));
    let known: Vec<(&Broker, Known<'_>)> = desired
        .brokers
        .iter()
        .filter(|broker| !unknown.contains(&broker.region))
        .map(|broker| (broker, observed.answer(&broker.region)))
        .collect();
    let mut ready = awaited.clone();
    // a link keeps the cluster name that it started with
    let mut named = BTreeMap::new();
    let mut link_users = BTreeMap::new();
    let mut changed = BTreeMap::new();
    let mut claimed = BTreeMap::new();
    for &(broker, known) in &known {
        let await_step = awaited.get(&broker.region).copied();
        let owners = Owners::of(desired, broker, known);
        owners.conflicts(plan);
        let claim = owners.claim(plan, await_step);
        let begun = claim.or(await_step);
        claimed.extend(claim.map(|step| (broker.region.clone(), step)));
        let named_step = cluster_name(plan, broker, known, await_step);
        let before: Vec<usize> = named_step.into_iter().chain(begun).collect();
        users(plan, broker, known, &owners, begun, &mut link_users, &mut ready);
        let put = policies(plan, broker, known, &owners, &before);
        named.insert(broker.region.clone(), before);
        let deleted = prune(plan, broker, known, &owners, await_step);
        changed.insert(broker.region.clone(), put.into_iter().chain(deleted).collect());
    }
    let before = Before { removed, policies: &changed, unknown };
    for &(broker, known) in &known {
        let await_step = awaited.get(&broker.region).copied();
        let left =
            known.map(|held| leftovers::remove(plan, desired, observed, broker, held, await_step, &before));
        let Left { removed, kept } = left.unwrap_or_default();
        let after = await_step.into_iter().chain(removed);
        let after = after.chain(changed[&broker.region].iter().copied()).collect::<Vec<_>>();
        let owners = Owners::of(desired, broker, known);
        owners.settle(plan, claimed.get(&broker.region).copied(), kept, after);
    }
    let ways = redeclare::make_way(plan, desired, observed, &known, &awaited, unknown);
    let before = BeforeUpstreams { link_users: &link_users, touched, ways: &ways };
    for &(broker, known) in &known {
        upstreams(plan, broker, known, &named[&broker.region], &before, (desired, observed));
    }
    ready
}

/// Waits for brokers that do not answer, and makes virtual hosts; the last of these steps for each region.
fn begin(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    touched: &Touched,
) -> BTreeMap<RegionName, usize> {
    let mut awaited = BTreeMap::new();
    for broker in &desired.brokers {
        let definitions = observed.answer(&broker.region);
        let running = broker.container.as_ref().and_then(|name| touched.running.get(name)).copied();
        if broker.container.is_none() {
            plan.blocked.extend(external::obstacles(broker, observed));
        }
        if running.is_some() || definitions.is_none() {
            let enabled = if running.is_none() { enable_plugins(plan, broker, observed) } else { None };
            let cause = if running.or(enabled).is_some() { Cause::Follows } else { Cause::Unknown };
            let step = Change::Await { container: broker.container.clone() }.at(&broker.region);
            awaited.insert(broker.region.clone(), plan.push(step, cause, running.or(enabled)));
        }
        if definitions.is_some_and(|held| held.lacks_vhost) {
            let put = Change::PutVhost { name: broker.vhost.clone() }.at(&broker.region);
            awaited.insert(broker.region.clone(), plan.push(put, Cause::NotFound, []));
        }
    }
    awaited
}

/// A broker that starts enables its plugins itself; one that runs without one is told to. Whether it lacks others as well
/// shows when it has that one.
fn enable_plugins(plan: &mut Plan, broker: &Broker, observed: &Snapshot<Definitions>) -> Option<usize> {
    let Some(Unavailable::PluginDisabled(missing)) = observed.unavailable(&broker.region) else {
        return None;
    };
    let plugins = match missing {
        Plugin::Federation => vec![Plugin::Federation, Plugin::FederationManagement],
        Plugin::FederationManagement | Plugin::Management => vec![*missing],
    };
    let container = broker.container.clone()?;
    let enabled = plan.push(Operation::EnablePlugins { container, plugins }, Cause::PluginDisabled, []);
    if *missing == Plugin::Federation {
        put_queue_policies_again(plan, broker, enabled);
    }
    Some(enabled)
}

/// The links of queues whose consumers were there before the plugin was do not fetch until their policy is put again.
fn put_queue_policies_again(plan: &mut Plan, broker: &Broker, after: usize) {
    for (name, policy) in
        broker.policies.iter().filter(|(_, policy)| policy.apply_to == ApplyTo::Queues.as_str())
    {
        let delete = Change::DeletePolicy { name: name.clone() }.at(&broker.region);
        let deleted = plan.push(delete, Cause::PluginDisabled, [after]);
        let put = Change::PutPolicy { name: name.clone(), policy: policy.clone() }.at(&broker.region);
        plan.push(put, Cause::Follows, [deleted]);
    }
}

fn cluster_name(plan: &mut Plan, broker: &Broker, known: Known<'_>, after: Option<usize>) -> Option<usize> {
    // a new broker takes the name from its configuration, and that of another is not fedctl's to change
    let found = known?.cluster_name.clone();
    (found != broker.cluster_name && broker.container.is_some()).then(|| {
        let step = Change::PutClusterName { name: broker.cluster_name.clone() }.at(&broker.region);
        let key = "cluster name".to_owned();
        let (found, wanted) = (Some(found.into()), Some(broker.cluster_name.clone().into()));
        plan.push(step, Cause::Differs(Difference { key, found, wanted }), after)
    })
}

fn users(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    owners: &Owners<'_>,
    after: Option<usize>,
    link_users: &mut BTreeMap<(RegionName, RegionName), usize>,
    ready: &mut BTreeMap<RegionName, usize>,
) {
    for (name, User { password, permissions, downstream }) in &broker.users {
        let region = broker.region.clone();
        let put = match known.and_then(|definitions| definitions.users.get(name)) {
            None => Some(Cause::NotFound),
            Some(hash) if !password::matches(password, hash) => Some(Cause::PasswordDiffers),
            Some(_) => None,
        };
        let found = known.and_then(|definitions| definitions.permissions.get(name)).map(Permissions::value);
        let permitted = cause_of(&permissions.value(), found.clone());
        let differing = || {
            let password = put.iter().map(ToString::to_string);
            password.chain(told(&permissions.value(), &found.unwrap_or_default())).collect()
        };
        let either = put.clone().or_else(|| permitted.clone());
        let adopted = owners.judged(plan, (Kind::User, name), either, differing);
        let adopted = adopted.filter(|cause| matches!(cause, Cause::Adopted(_)));
        let [put, permitted] =
            [put, permitted].map(|cause| cause.map(|cause| adopted.clone().unwrap_or(cause)));
        let put = put.map(|cause| {
            let step = Change::PutUser { name: name.clone(), password: password.clone() };
            plan.push(step.at(&region), cause, after)
        });
        let permitted = permitted.map(|cause| {
            let step = Change::PutPermissions { user: name.clone(), permissions: permissions.clone() };
            plan.push(step.at(&region), cause, put.into_iter().chain(after))
        });
        if let Some(last) = permitted.or(put) {
            if name == APPLICATION {
                ready.insert(region, last);
            } else if let Some(downstream) = downstream {
                link_users.insert((region, downstream.clone()), last);
            }
        }
    }
}

/// Why a definition has to be put, if it has to.
fn cause_of(wanted: &Map<String, Value>, found: Option<Map<String, Value>>) -> Option<Cause> {
    match found {
        None => Some(Cause::NotFound),
        Some(found) => difference(wanted, &found).map(Cause::Differs),
    }
}

fn policies(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    owners: &Owners<'_>,
    after: &[usize],
) -> Vec<usize> {
    let mut steps = Vec::new();
    for (name, policy) in &broker.policies {
        let found = known.and_then(|definitions| definitions.policies.get(name)).map(Policy::value);
        let cause = cause_of(&policy.value(), found.clone());
        let differing = || told(&policy.value(), &found.unwrap_or_default()).collect();
        let Some(cause) = owners.judged(plan, (Kind::Policy, name), cause, differing) else { continue };
        let step = Change::PutPolicy { name: name.clone(), policy: policy.clone() };
        steps.push(plan.push(step.at(&broker.region), cause, after.iter().copied()));
    }
    steps
}

/// The steps that come before an upstream's.
struct BeforeUpstreams<'a> {
    /// Those that put the links' users, by region and user.
    link_users: &'a BTreeMap<(RegionName, RegionName), usize>,
    touched: &'a Touched,
    ways: &'a Ways,
}

fn upstreams(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    after: &[usize],
    before: &BeforeUpstreams<'_>,
    (desired, observed): (&Desired, &Snapshot<Definitions>),
) {
    let BeforeUpstreams { link_users, touched, ways } = before;
    let owners = Owners::of(desired, broker, known);
    let paused = owners.paused();
    for (name, upstream) in broker.upstreams.iter().filter(|(name, _)| !paused.contains(*name)) {
        let id = (broker.region.clone(), name.clone());
        let deleted = match ways.get(&id) {
            Some(Way::Withheld) => continue,
            Some(Way::After(steps)) => steps.as_slice(),
            None => &[],
        };
        let anew = (!deleted.is_empty()).then_some(Cause::Follows);
        let found = known.and_then(|definitions| definitions.upstreams.get(name));
        let differing = found.map(|found| upstream.differences(found, &broker.vhost));
        let shown = match &differing {
            None => Some(Cause::NotFound),
            Some(differing) => differing.first().cloned().map(Cause::Differs),
        };
        let secret = found.filter(|found| upstream.connects_otherwise(found, &broker.vhost));
        let secret = secret.map(|_| Cause::PasswordDiffers);
        let interrupted = desired.interrupted.contains(&id);
        let again = (found.is_some() && interrupted).then_some(Cause::ChangeInterrupted);
        let is_equal = shown.is_none() && secret.is_none() && anew.is_none();
        let differing = || {
            let password = secret.iter().map(ToString::to_string);
            differing.iter().flatten().map(ToString::to_string).chain(password).collect()
        };
        let cause = shown.or(secret.clone()).or(again).or(anew.clone());
        let Some(cause) = owners.judged(plan, (Kind::Upstream, name), cause, differing) else { continue };
        let upstream_region = RegionName::new(name);
        let upstream_broker = container(&desired.project, &upstream_region, BROKER);
        let connected = broker.container.as_ref().and_then(|name| touched.connected.get(name));
        let needs = [
            link_users.get(&(upstream_region.clone(), broker.region.clone())).copied(),
            connected.copied(),
            touched.connected.get(&upstream_broker).copied(),
        ];
        let cause = anew.filter(|_| found.is_some()).unwrap_or(cause);
        let put = |upstream| Change::PutUpstream { name: name.clone(), upstream }.at(&broker.region);
        let needs = needs.into_iter().flatten().chain(deleted.iter().copied()).chain(after.iter().copied());
        // an equal definition is told to no link
        let between = is_equal.then(|| plan.push(put(upstream.perturbed()), cause.clone(), needs.clone()));
        let step = plan.push(put(upstream.clone()), cause, needs.chain(between));
        if let Some(found) = found.filter(|found| found.deletes_backlog()) {
            plan.steps[step].loses_backlog = true;
            let waits = backlog::of(desired, observed, &upstream_region, &broker.region);
            plan.blocked.extend(backlog::obstacles(desired, broker, name, found, waits));
        }
    }
}

/// Removes the policies, upstreams and users that this project recorded as its own and no longer requires; the steps.
fn prune(
    plan: &mut Plan,
    broker: &Broker,
    known: Known<'_>,
    owners: &Owners<'_>,
    after: Option<usize>,
) -> Vec<usize> {
    let Some(owned) = known.and_then(|known| known.owned.as_ref()) else { return Vec::new() };
    let region = &broker.region;
    // what another project has recorded too is left to it
    let is_ours = |kind: Kind, name: &String| owners.other(kind, name).is_none();
    let mut steps = Vec::new();
    let policies = owned.policies.iter().filter(|name| !broker.policies.contains_key(*name));
    for name in policies.filter(|name| is_ours(Kind::Policy, name)).cloned() {
        steps.push(plan.push(Change::DeletePolicy { name }.at(region), Cause::NotInTopology, after));
    }
    let upstreams = owned.upstreams.iter().filter(|name| !broker.upstreams.contains_key(*name));
    for name in upstreams.filter(|name| is_ours(Kind::Upstream, name)).cloned() {
        steps.push(plan.push(Change::DeleteUpstream { name }.at(region), Cause::NotInTopology, after));
    }
    let held = known.into_iter().flat_map(|known| &known.upstreams);
    let paused = owners.paused();
    for (name, upstream) in held.filter(|(name, held)| paused.contains(*name) && !held.is_paused()) {
        let put = Change::PutUpstream { name: name.clone(), upstream: upstream.paused() };
        steps.push(plan.push(put.at(region), Cause::LinksPaused, after));
    }
    let users = owned.users.iter().filter(|name| !broker.users.contains_key(*name));
    for name in users.filter(|name| is_ours(Kind::User, name)).cloned() {
        steps.push(plan.push(Change::DeleteUser { name }.at(region), Cause::NotInTopology, after));
    }
    steps
}
