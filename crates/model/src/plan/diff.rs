//! Desired × observed → plan. All decisions are here, no effects, and it cannot fail.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cause, Operation, Plan, blocked, brokers,
    containers::{self, Containers, Objects},
    ownership,
    removal::{is_ours, remove_container},
    rollout, upgrade, versions,
};
use crate::{
    desired::Desired,
    diagnostic::Diagnostic,
    observed::{Definitions, Object, Snapshot},
};

/// Plans what turns `observed` into `desired`.
///
/// A broker that does not answer is only waited for, unless its volume is new and therefore empty: its definitions
/// are compared once it answers, by planning again.
#[must_use]
pub fn plan(desired: &Desired, observed: &Snapshot<Definitions>) -> Plan {
    let mut plan = Plan { blocked: foreign(desired, observed), ..Plan::default() };
    plan.blocked.extend(upgrade::refused(desired, observed));
    plan.blocked.extend(versions::unknown_keys(desired, observed));
    if containers::provide_broker_images(&mut plan, desired, observed) {
        return plan;
    }
    if let Some(owner) = &desired.owner {
        ownership::claim(&mut plan, &desired.project, owner, &observed.engine);
    }
    let removed = remove_containers(&mut plan, desired, observed);
    let objects = create_objects(&mut plan, desired, observed);
    let mut containers = Containers::new(desired, observed, objects);
    let outdated = containers.reconcile_brokers(&mut plan);
    let unknown = brokers::unknown(desired, observed, &containers.touched);
    let ready = brokers::reconcile(&mut plan, desired, observed, &containers.touched, &removed, &unknown);
    containers.reconcile_services(&mut plan, &ready, &unknown);
    remove_networks(&mut plan, desired, observed, &removed);
    rollout::replace(&mut plan, desired, &observed.engine, &mut containers, &outdated);
    plan
}

fn foreign(desired: &Desired, observed: &Snapshot<Definitions>) -> Vec<Diagnostic> {
    let (engine, project) = (&observed.engine, &desired.project);
    let is_foreign = |labels: &BTreeMap<String, String>| !is_ours(labels, project);
    let taken = |objects: &[Object], name: &str| {
        objects.iter().any(|found| found.name == name && is_foreign(&found.labels))
    };
    let networks = desired.networks.iter().map(|wanted| &wanted.name);
    let networks = networks.filter(|name| taken(&engine.networks, name));
    let volumes = desired.volumes.iter().map(|wanted| &wanted.name);
    let volumes = volumes.filter(|name| taken(&engine.volumes, name));
    let containers = desired.containers.iter().map(|wanted| &wanted.name);
    let containers =
        containers.filter(|name| engine.container(name).is_some_and(|found| is_foreign(&found.labels)));
    networks
        .map(|name| blocked::foreign_network(name, project))
        .chain(volumes.map(|name| blocked::foreign_volume(name, project)))
        .chain(containers.map(|name| blocked::foreign_container(name, project)))
        .collect()
}

/// Removes the containers of this project that the topology no longer has, and keeps their volumes; by name, with
/// the step that removes each.
fn remove_containers(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
) -> BTreeMap<String, usize> {
    if !desired.whole {
        return BTreeMap::new();
    }
    let wanted: BTreeSet<&str> = desired.containers.iter().map(|container| container.name.as_str()).collect();
    observed
        .engine
        .containers
        .iter()
        .filter(|found| is_ours(&found.labels, &desired.project) && !wanted.contains(found.name.as_str()))
        .map(|found| (found.name.clone(), remove_container(plan, found, &Cause::NotInTopology, &[])))
        .collect()
}

fn create_objects(plan: &mut Plan, desired: &Desired, observed: &Snapshot<Definitions>) -> Objects {
    let engine = &observed.engine;
    let mut objects = Objects::default();
    for network in &desired.networks {
        let found = engine.networks.iter().filter(|found| found.name == network.name).count();
        if found != 1 {
            let cause = if found == 0 { Cause::NotFound } else { Cause::Duplicate };
            let step = plan.push(Operation::CreateNetwork(network.clone()), cause, []);
            objects.networks.insert(network.name.clone(), step);
        }
    }
    for volume in &desired.volumes {
        if !engine.volumes.iter().any(|found| found.name == volume.name) {
            let step = plan.push(Operation::CreateVolume(volume.clone()), Cause::NotFound, []);
            objects.volumes.insert(volume.name.clone(), step);
        }
    }
    objects
}

fn remove_networks(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    removed: &BTreeMap<String, usize>,
) {
    if !desired.whole {
        return;
    }
    let wanted: BTreeSet<&str> = desired.networks.iter().map(|network| network.name.as_str()).collect();
    for found in &observed.engine.networks {
        if is_ours(&found.labels, &desired.project) && !wanted.contains(found.name.as_str()) {
            let step = Operation::RemoveNetwork { name: found.name.clone() };
            plan.push(step, Cause::NotInTopology, removed.values().copied());
        }
    }
}
