//! What blocks a plan: changes that would do harm.

use serde::Serialize;

use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place},
    observed::Queue,
    topology::RegionName,
};

pub(crate) const CODES: [Code; 3] = [FOREIGN_OBJECT, FOREIGN_DEFINITION, BACKLOG];

const FOREIGN_OBJECT: Code = Code::error(
    "FED0501",
    "A network, volume or container has a name that this project needs, but not the \
     project's label: it was created by someone else, or by another project of that name. fedctl changes and removes \
     only what carries its label, so nothing was applied. Give the project another name, or remove the object \
     if no one needs it.",
);
const FOREIGN_DEFINITION: Code = Code::error(
    "FED0502",
    "The broker has a policy or upstream of this name that differs from the topology's, and it is not among those that \
     this project has recorded as its own on that broker. Overwriting it could cut off someone else's messages, so \
     nothing was applied. Delete it on the broker, or make it match the topology.",
);
const BACKLOG: Code = Code::error(
    "FED0503",
    "A region was removed from the topology while messages for it are still in a link's internal queue on another region's \
     broker. Removing the queue would lose them, so nothing was applied. Put the region back into the file until its \
     links have delivered them, or purge the queue if they are not needed.",
);

pub(super) fn foreign_network(name: &str, project: &str) -> Diagnostic {
    foreign_object(Place::Network { name: name.to_owned() }, "network", name, project)
}

pub(super) fn foreign_volume(name: &str, project: &str) -> Diagnostic {
    foreign_object(Place::Volume { name: name.to_owned() }, "volume", name, project)
}

pub(super) fn foreign_container(name: &str, project: &str) -> Diagnostic {
    foreign_object(Place::Container { name: name.to_owned() }, "container", name, project)
}

fn foreign_object(place: Place, kind: &str, name: &str, project: &str) -> Diagnostic {
    Diagnostic::new(FOREIGN_OBJECT, place, format!("exists and does not belong to project `{project}`"))
        .help(format!("give the project another name, or remove it: docker {kind} rm {name}"))
}

/// A definition on a broker differs from the one that is wanted, and is not the project's.
pub(super) fn foreign_definition(place: Place) -> Diagnostic {
    Diagnostic::new(FOREIGN_DEFINITION, place, "exists, differs, and was not created by this project")
        .help("delete it on the broker, or make it match the topology")
}

/// Messages are queued for a region that was removed from the topology.
pub(super) fn backlog(region: &RegionName, queue: &Queue, downstream: &RegionName) -> Diagnostic {
    let place = Place::Queue { region: region.clone(), name: queue.name.clone() };
    let message = format!(
        "{} still queued for `{downstream}`, which is no longer in the topology",
        counted(queue.messages, "message")
    );
    Diagnostic::new(BACKLOG, place, message)
        .help("put the region back until they are delivered, or purge the queue")
}

/// The JSON form of what blocks a plan.
#[derive(Serialize)]
pub(super) struct BlockedForm<'d> {
    subject: String,
    cause: &'d str,
    hint: Option<&'d str>,
    code: Code,
}

impl<'d> From<&'d Diagnostic> for BlockedForm<'d> {
    fn from(blocked: &'d Diagnostic) -> Self {
        Self {
            subject: blocked.place.to_string(),
            cause: &blocked.message,
            hint: blocked.help.as_deref(),
            code: blocked.code,
        }
    }
}
