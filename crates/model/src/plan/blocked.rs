//! What blocks a plan: changes that would do harm.

use serde::Serialize;

use crate::{
    counted::counted,
    definition::Difference,
    diagnostic::{Code, Diagnostic, Place},
    federation::of_queue,
    observed::Queue,
    topology::RegionName,
};

pub(crate) const CODES: [Code; 13] = [
    FOREIGN_OBJECT,
    FOREIGN_DEFINITION,
    BACKLOG,
    OWNED_BY_ANOTHER,
    RENAMED,
    UPGRADE,
    DECLARED_OTHERWISE,
    UNSEEN_QUEUES,
    UNKNOWN_KEY,
    DELETES_BACKLOG,
    OTHERS_DEFINITION,
    SHARED_VHOST,
    OTHER_VHOST,
];

const FOREIGN_OBJECT: Code = Code::error(
    "FED0501",
    "A network, volume or container has a name that this project needs, but not the \
     project's label: it was created by someone else, or by another project of that name. fedctl changes and removes \
     only what carries its label, so nothing was applied. Give the project another name, or remove the object \
     if no one needs it.",
);
const FOREIGN_DEFINITION: Code = Code::error(
    "FED0502",
    "The broker has a policy, upstream or user of this name that differs from the topology's, and no project has recorded \
     it as its own on that broker: it was made by hand, or by another tool. Overwriting it could cut off someone else's \
     messages, so nothing was applied. `fedctl up --adopt` takes it over and makes it what the topology says; `fedctl plan \
     --adopt` shows that first. Or make the topology match it, or delete it on the broker.",
);
const BACKLOG: Code = Code::error(
    "FED0503",
    "A region, or the policy that federates an exchange, was removed from the topology while messages are still in the \
     internal queue of its link on another region's broker. Removing the queue would lose them, and leaving it as it is \
     fills it for ever, so nothing was applied. To have them delivered, put back what was removed and wait until `fedctl \
     status` shows that none wait. `fedctl up --keep` leaves the queue with its messages and takes away what fills it; \
     `fedctl up --discard` deletes it with the messages in it.",
);

const OWNED_BY_ANOTHER: Code = Code::error(
    "FED0504",
    "Another topology file has created the project of this name on this engine. To apply this file would stop and replace \
     what runs for the other, with new passwords, so nothing was applied. Give this file's project another `name`. If \
     the other file was moved or replaced by this one, take the project over with `--take-over`; copy the directory \
     `.fedctl` along, or every password is replaced.",
);
const RENAMED: Code = Code::error(
    "FED0505",
    "The project in this file had another name before, and what was created under that name still exists: fedctl finds \
     things by the project's name, so they would be left running. Remove them with `fedctl down --project NAME`, which \
     keeps their data, or give the project its old name again.",
);

const UPGRADE: Code = Code::error(
    "FED0506",
    "The topology's image has another version of RabbitMQ, which does not start on the data that the broker has: no \
     series of 3.x may be skipped, 4.x starts on data of 3.13 only, and none on that of a newer one. Nothing was \
     applied. Go through the versions in between, one at a time, with all feature flags enabled on each before the next.",
);

const DECLARED_OTHERWISE: Code = Code::error(
    "FED0520",
    "A link declares its internal queue with the `expires`, `message-ttl` and `queue-type` of its upstream, and RabbitMQ \
     refuses one that exists with others (`PRECONDITION_FAILED`): the link would stay down while messages go on waiting in \
     the queue, so nothing was applied. The queue has to be deleted, and what is published before the link has declared it \
     anew is not kept for its downstream. To lose nothing, wait until `fedctl status` shows that no message waits, stop \
     publishing to the exchange in the upstream's region, run `fedctl up --discard`, and publish again. Or put the old \
     value back.",
);
const UNSEEN_QUEUES: Code = Code::error(
    "FED0521",
    "The change of an upstream needs its internal queues to be declared anew, and the region that has them is not among \
     those that this command was told to work on, so nothing is known of the messages in them. Nothing was applied. Name \
     that region too, or none.",
);
const UNKNOWN_KEY: Code = Code::error(
    "FED0522",
    "A broker refuses an upstream with a key that its version of RabbitMQ does not know (`Unrecognised terms`). The \
     downstream's broker holds the upstream's definition, so its version counts. Nothing was applied: leave the key out of \
     `federation.upstream`, or give `broker` a newer image.",
);

const DELETES_BACKLOG: Code = Code::error(
    "FED0530",
    "The upstream's definition on the broker has no `resource-cleanup-mode: never`, so its links delete their queues on the \
     upstream whenever they restart, and any change of the definition restarts them. Messages wait in these queues and \
     would be lost, so nothing was applied. Wait until `fedctl status` shows that none wait, best while nothing is \
     published, and run it again; `--discard` makes the change all the same. `resource-cleanup-mode: default` in \
     `federation.upstream` leaves the definition as it is.",
);
const OTHERS_DEFINITION: Code = Code::error(
    "FED0531",
    "Another topology has recorded this object on the broker as its own: it changes and removes it as its own file says. Two \
     topologies that both claim it would undo each other's changes, so it is never taken over and nothing was applied. Give \
     each topology a virtual host of its own, or its policies and regions other names. If the other topology is given up, \
     take the object out of its file and run `fedctl up` there, or delete its record on the broker with `rabbitmqctl \
     clear_global_parameter fedctl.PROJECT.REGION`.",
);
const SHARED_VHOST: Code = Code::error(
    "FED0532",
    "Another topology has upstreams in the same virtual host. The policies that fedctl puts apply to all upstreams of a virtual \
     host, so the exchanges and queues of each topology would also be federated from the regions of the other, and nothing \
     was applied. Give each topology a virtual host of its own: `vhost` in the region's `broker`.",
);
const OTHER_VHOST: Code = Code::error(
    "FED0533",
    "This project has recorded on the broker that the region is another virtual host. Either another topology has the same \
     project and region, and both would remove what the other has made, or `vhost` was changed in this one, and what is in \
     the old virtual host would be left behind; nothing was applied. Give this topology another `name`, or put the old \
     `vhost` back and take the region out first (`shape: pairs` without links of it, then `fedctl up`). Where nothing is \
     left in the old one, delete the record: `rabbitmqctl clear_global_parameter NAME`.",
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

/// A definition on a broker differs from the one that is wanted, and is nobody's.
pub(super) fn foreign_definition(place: Place, differing: &str) -> Diagnostic {
    let message = format!("exists, differs ({differing}), and was not created by this project");
    Diagnostic::new(FOREIGN_DEFINITION, place, message)
        .help("take it over with `--adopt`, make the topology match it, or delete it on the broker")
}

/// Another topology has recorded it.
pub(super) fn others_definition(place: Place, project: &str) -> Diagnostic {
    Diagnostic::new(OTHERS_DEFINITION, place, format!("belongs to project `{project}`, another topology"))
        .help("give each topology a virtual host of its own, or other names; it is never taken over")
}

/// Another topology's upstreams would be federated from, too.
pub(super) fn shared_vhost(place: Place, vhost: &str, project: &str, upstream: &str) -> Diagnostic {
    let message = format!("virtual host `{vhost}` has upstream `{upstream}` of project `{project}`");
    Diagnostic::new(SHARED_VHOST, place, message)
        .help("give each topology a virtual host of its own: `vhost` of the region's `broker`")
}

/// The record is about another virtual host.
pub(super) fn other_vhost(place: Place, parameter: &str, project: &str, [old, new]: [&str; 2]) -> Diagnostic {
    let message = format!("project `{project}` has the region in virtual host `{old}` and not in `{new}`");
    Diagnostic::new(OTHER_VHOST, place, message).help(format!(
        "give this topology another `name`, or put `vhost: {old}` back; the record is `{parameter}`"
    ))
}

/// The links of an upstream would delete their queues when it is changed.
pub(super) fn deletes_backlog(region: &RegionName, upstream: &str, waiting: u64) -> Diagnostic {
    let place = Place::Upstream { region: region.clone(), name: upstream.to_owned() };
    let wait = if waiting == 1 { "waits" } else { "wait" };
    let message = format!(
        "{} {wait} for its links, which delete their queues when they restart",
        counted(waiting, "message")
    );
    Diagnostic::new(DELETES_BACKLOG, place, message).help("wait until none wait, or lose them: `--discard`")
}

/// Messages wait in the internal queue of a link that exists no more.
pub(super) fn backlog(region: &RegionName, queue: &Queue, downstream: &str, cause: &str) -> Diagnostic {
    let place = Place::Queue { region: region.clone(), name: queue.name.clone() };
    let message = format!("{} still queued for `{downstream}`, {cause}", counted(queue.messages, "message"));
    Diagnostic::new(BACKLOG, place, message).help(
        "put back what the topology no longer has until they are delivered, or choose: `fedctl up --keep` (they stay, \
         and no more are added) or `fedctl up --discard` (they are lost)",
    )
}

/// A link would declare its queue with another value of a key.
pub(super) fn declared_otherwise(
    upstream: &RegionName,
    queue: &Queue,
    downstream: &RegionName,
    changed: &Difference,
) -> Diagnostic {
    let place = Place::Queue { region: upstream.clone(), name: queue.name.clone() };
    let waits = match queue.messages {
        0 => "it is empty now".into(),
        1 => "1 message waits in it".into(),
        messages => format!("{} wait in it", counted(messages, "message")),
    };
    let exchange = of_queue(&queue.name).map_or(queue.name.as_str(), |internal| internal.exchange);
    let message = format!("exists, and cannot be declared anew for {changed}: {waits}");
    Diagnostic::new(DECLARED_OTHERWISE, place, message).help(format!(
        "put the old value back, or wait until none wait, stop publishing to `{exchange}` in `{upstream}`, and delete \
         the queue: `fedctl up --discard` (what is in it, or published meanwhile, is lost for `{downstream}`)"
    ))
}

/// Nothing is known of the queues that a link would declare with another value of a key.
pub(super) fn unseen_queues(
    downstream: &RegionName,
    upstream: &RegionName,
    changed: &Difference,
) -> Diagnostic {
    let place = Place::Upstream { region: downstream.clone(), name: upstream.to_string() };
    let message = format!("{changed} needs the queues in `{upstream}` to be declared anew");
    Diagnostic::new(UNSEEN_QUEUES, place, message).help(format!("name `{upstream}` too, or no region"))
}

/// A broker's version does not know a key of an upstream.
pub(super) fn unknown_key(region: &RegionName, version: &str, key: &str, since: [u32; 3]) -> Diagnostic {
    let place = Place::Broker { region: region.clone() };
    let since = since.map(|number| number.to_string()).join(".");
    Diagnostic::new(UNKNOWN_KEY, place, format!("RabbitMQ {version} does not know `{key}` of upstreams"))
        .help(format!("leave it out, or use an image with RabbitMQ {since} or newer"))
}

/// The project is another topology file's.
pub(super) fn owned_by_another(project: &str, file: &str) -> Diagnostic {
    let place = Place::Project { name: project.to_owned() };
    Diagnostic::new(OWNED_BY_ANOTHER, place, format!("belongs to `{file}`"))
        .help("give this file's project another `name`, or take that one over: --take-over")
}

/// This file's project had another name, and still has containers under that.
pub(super) fn renamed(other: &str, containers: usize) -> Diagnostic {
    let place = Place::Project { name: other.to_owned() };
    let message =
        format!("was this file's project before, and still has {}", counted(containers, "container"));
    Diagnostic::new(RENAMED, place, message).help(format!("remove them: fedctl down --project {other}"))
}

/// A new image does not start on a broker's data.
pub(super) fn upgrade(region: &RegionName, old: &str, new: &str, way: &str) -> Diagnostic {
    let place = Place::Broker { region: region.clone() };
    Diagnostic::new(UPGRADE, place, format!("RabbitMQ {new} does not start on the data of {old}")).help(way)
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
