//! The plan that removes a project.

use std::collections::BTreeMap;

use super::{Cause, Operation, Plan};
use crate::{
    names::PROJECT_LABEL,
    observed::{Container, ContainerState, EngineState},
};

/// What is removed besides containers and networks.
#[derive(Debug, Clone, Default)]
pub struct Removal {
    /// Also the volumes, with every message in them.
    pub volumes: bool,
    /// Also those of these images that no other project's container was created from.
    pub images: Vec<String>,
}

/// Whether it is the project's, by its label.
pub(super) fn is_ours(labels: &BTreeMap<String, String>, project: &str) -> bool {
    labels.get(PROJECT_LABEL).is_some_and(|label| label == project)
}

/// Stops a container if it runs, and removes it, after these steps; the index of the removal.
pub(super) fn remove_container(plan: &mut Plan, found: &Container, cause: &Cause, after: &[usize]) -> usize {
    let after = after.iter().copied();
    let stopped = match found.state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => Some(plan.push(
            Operation::StopContainer { name: found.name.clone() },
            cause.clone(),
            after.clone(),
        )),
        ContainerState::Created | ContainerState::Stopped => None,
    };
    plan.push(Operation::RemoveContainer { name: found.name.clone() }, cause.clone(), after.chain(stopped))
}

/// Plans the removal of everything that carries the project's label, and of nothing else.
#[must_use]
pub fn remove(project: &str, engine: &EngineState, removal: &Removal) -> Plan {
    let mut plan = Plan::default();
    let mut removed = Vec::new();
    for container in engine.containers.iter().filter(|container| is_ours(&container.labels, project)) {
        removed.push(remove_container(&mut plan, container, &Cause::Requested, &[]));
    }
    for network in engine.networks.iter().filter(|network| is_ours(&network.labels, project)) {
        plan.push(Operation::RemoveNetwork { name: network.name.clone() }, Cause::Requested, removed.clone());
    }
    if removal.volumes {
        for volume in engine.volumes.iter().filter(|volume| is_ours(&volume.labels, project)) {
            plan.push(
                Operation::RemoveVolume { name: volume.name.clone() },
                Cause::Requested,
                removed.clone(),
            );
        }
    }
    // an engine refuses to remove an image that another project's container was created from
    let used = |id: &str| {
        engine
            .containers
            .iter()
            .any(|container| !is_ours(&container.labels, project) && container.image_id == id)
    };
    let unused = |reference: &&String| engine.images.get(*reference).is_some_and(|id| !used(id));
    for reference in removal.images.iter().filter(unused) {
        let step = Operation::RemoveImage { reference: reference.clone() };
        plan.push(step, Cause::Requested, removed.clone());
    }
    plan
}
