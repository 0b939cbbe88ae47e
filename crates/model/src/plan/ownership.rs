//! Which topology file a project belongs to: the label of an empty volume on the engine says so.

use std::collections::BTreeMap;

use super::{Cause, Operation, Plan, blocked};
use crate::{
    desired::{Owner, Volume},
    diagnostic::Diagnostic,
    names::{PROJECT_LABEL, TOPOLOGY_LABEL, owner_volume},
    observed::{EngineState, Object},
};

/// Marks the project as this file's, or blocks the plan if it is another's.
pub(super) fn claim(plan: &mut Plan, project: &str, owner: &Owner, engine: &EngineState) {
    let name = owner_volume(project);
    let found = engine.volumes.iter().find(|volume| volume.name == name);
    let conflict = conflict(project, owner, engine);
    plan.blocked.extend(renamed(project, &owner.file, engine));
    let create = |plan: &mut Plan, cause, after: Option<usize>| {
        let labels = [(PROJECT_LABEL, project), (TOPOLOGY_LABEL, owner.file.as_str())];
        let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
        plan.push(
            Operation::CreateVolume(Volume { name: name.clone(), labels: labels.into() }),
            cause,
            after,
        );
    };
    match (found, conflict) {
        (None, _) => create(plan, Cause::NotFound, None),
        (Some(_), None) if owner.take_over && !belongs_to(found, &owner.file) => {
            let removed = plan.push(Operation::RemoveVolume { name: name.clone() }, Cause::TakenOver, []);
            create(plan, Cause::TakenOver, Some(removed));
        }
        (Some(_), conflict) => plan.blocked.extend(conflict),
    }
}

/// What is wrong if the project belongs to another file and is not to be taken over.
#[must_use]
pub fn conflict(project: &str, owner: &Owner, engine: &EngineState) -> Option<Diagnostic> {
    let name = owner_volume(project);
    let found = engine.volumes.iter().find(|volume| volume.name == name)?;
    let other = found.labels.get(TOPOLOGY_LABEL).filter(|other| **other != owner.file && !owner.take_over)?;
    Some(blocked::owned_by_another(project, other))
}

fn belongs_to(volume: Option<&Object>, file: &str) -> bool {
    volume.and_then(|volume| volume.labels.get(TOPOLOGY_LABEL)).is_some_and(|owner| owner == file)
}

/// The containers of a project that this file had another name for.
fn renamed(project: &str, file: &str, engine: &EngineState) -> Vec<Diagnostic> {
    let others = engine.volumes.iter().filter(|volume| belongs_to(Some(volume), file));
    let others =
        others.filter_map(|volume| volume.labels.get(PROJECT_LABEL)).filter(|other| *other != project);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for other in others {
        let of_other = |labels: &BTreeMap<String, String>| labels.get(PROJECT_LABEL) == Some(other);
        let count = engine.containers.iter().filter(|container| of_other(&container.labels)).count();
        counts.insert(other, count);
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(other, count)| blocked::renamed(other, count))
        .collect()
}
