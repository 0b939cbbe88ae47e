//! Brokers that are close to a limit, cut off from a node, or out of step with the others.

use super::{Check, Look, Node, Region, Usage};
use crate::diagnostic::{Code, Diagnostic};

pub(super) const CHECK: Check = Check {
    codes: &[FILES, SOCKETS, PROCESSES, MEMORY, DISK, NODE_DOWN, PARTITION, CLOCK, CERTIFICATE],
    check,
};

const FILES: Code = Code::warning(
    "FED0832",
    "A node uses most of the file descriptors that it may. Each connection and each queue takes some; when there are none \
     left it accepts no connection, and links from and to it go down. Raise the limit (`open-files` of `broker`, or `ulimit \
     -n` of the process), or find out who opens so many connections.",
);
const SOCKETS: Code = Code::warning(
    "FED0833",
    "A node uses most of the sockets that it may. Each connection of a client or link takes one; when there are none left it \
     accepts no connection. Raise the limit of open files, of which sockets are a part, or find out who opens so many \
     connections.",
);
const PROCESSES: Code = Code::warning(
    "FED0834",
    "A node uses most of the Erlang processes that it may. Each connection, channel, queue and link takes some, and a node \
     that runs out of them crashes. Close channels that nobody uses, or raise the limit with `RABBITMQ_MAX_NUMBER_OF_PROCESSES`.",
);
const MEMORY: Code = Code::warning(
    "FED0835",
    "A node uses nine tenths of the memory at which it raises its alarm and takes no more messages from publishers. \
     Federation links do not heed the alarm, so what arrives from other regions goes on filling it. Let consumers catch \
     up, or raise `memory` of `broker`.",
);
const DISK: Code = Code::warning(
    "FED0836",
    "A node has less than twice the free disk space at which it raises its alarm and takes no more messages from \
     publishers. A backlog for a region that is away can fill the rest. Free some space, or let consumers catch up.",
);
const NODE_DOWN: Code = Code::error(
    "FED0837",
    "A node of the region's cluster does not run. Links that ran on it move to another node if there is one; classic queues \
     on it cannot be reached, and quorum queues lose a replica. Start it, or if it is gone for good: `rabbitmqctl \
     forget_cluster_node NODE`.",
);
const PARTITION: Code = Code::error(
    "FED0838",
    "The nodes of the region's cluster were cut off from each other and have not come together again, so they disagree about \
     queues, bindings and policies, and links may run twice or not at all. Restart the nodes of the side that is to give up \
     its state, and look at `cluster_partition_handling`.",
);
const CLOCK: Code = Code::warning(
    "FED0839",
    "The clocks of two regions differ by more than five seconds. When messages expire does not depend on that, but times in messages \
     and logs of different regions cannot be compared, and certificates and tokens may be refused as not valid yet. \
     Synchronise the clocks of the machines, for example with chrony.",
);
const CERTIFICATE: Code = Code::warning(
    "FED0840",
    "A certificate of one of the broker's listeners expires within a month, or has expired. Links and clients that verify it \
     are refused from then on, in every region at once. Renew it; RabbitMQ reads the new file without a restart.",
);

/// From which part of a limit on it is close, in percent.
const CLOSE: u64 = 80;
const CLOSE_MEMORY: u64 = 90;
/// Seconds by which clocks may differ.
const TOLERANCE: i64 = 5;

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in look.brokers() {
        for node in &region.facts.nodes {
            if node.running {
                limits(region, node, found);
            } else {
                let message = format!("node `{}` does not run", node.name);
                found.push(Diagnostic::new(NODE_DOWN, region.place(), message).help("start the node"));
            }
        }
        for certificate in &region.facts.expiring {
            let message = format!("a certificate of port {} expires at {}", certificate.port, certificate.at);
            found.push(Diagnostic::new(CERTIFICATE, region.place(), message).help("renew it"));
        }
    }
    found.extend(clocks(look));
}

fn limits(region: &Region<'_>, node: &Node, found: &mut Vec<Diagnostic>) {
    let name = &node.name;
    let mut add = |code, message: String, help: &str| {
        found.push(Diagnostic::new(code, region.place(), message).help(help));
    };
    if !node.partitions.is_empty() {
        let message = format!("node `{name}` was cut off from {}", node.partitions.join(", "));
        add(PARTITION, message, "restart the nodes of the side that is to give up its state");
    }
    let counts = [
        (FILES, node.file_descriptors, "file descriptors", "raise `open-files` of `broker`"),
        (SOCKETS, node.sockets, "sockets", "raise `open-files` of `broker`"),
        (PROCESSES, node.processes, "Erlang processes", "close channels that nobody uses"),
    ];
    for (code, usage, noun, help) in counts {
        if let Some((used, limit)) = beyond(usage, CLOSE) {
            add(code, format!("node `{name}` uses {used} of {limit} {noun}"), help);
        }
    }
    let alarms = region.health.alarms.as_deref().unwrap_or_default();
    let is_alarmed = |resource: &str| alarms.iter().any(|alarm| alarm == resource);
    if let Some((used, limit)) = beyond(node.memory, CLOSE_MEMORY).filter(|_| !is_alarmed("memory")) {
        let message =
            format!("node `{name}` uses {} MiB, and its alarm begins at {}", used >> 20, limit >> 20);
        add(MEMORY, message, "let consumers catch up, or raise `memory` of `broker`");
    }
    if let (Some(free), Some(limit)) = (node.disk_free, node.disk_limit)
        && free < 2 * limit
        && !is_alarmed("disk")
    {
        let message = format!(
            "node `{name}` has {} MiB of free disk, and its alarm begins at {}",
            free >> 20,
            limit >> 20
        );
        add(DISK, message, "free some disk space");
    }
}

/// What is used and the limit, if so many percent of it are.
fn beyond(usage: Usage, percent: u64) -> Option<(u64, u64)> {
    let (used, limit) = (usage.used?, usage.limit.filter(|limit| *limit > 0)?);
    (used.saturating_mul(100) >= limit.saturating_mul(percent)).then_some((used, limit))
}

fn clocks(look: &Look<'_>) -> Option<Diagnostic> {
    let known = || look.brokers().filter_map(|region| Some((region.facts.clock_ahead?, region)));
    let (slowest, behind) = known().min_by_key(|(ahead, _)| *ahead)?;
    let (fastest, ahead) = known().max_by_key(|(ahead, _)| *ahead)?;
    let seconds = fastest - slowest;
    (seconds > TOLERANCE).then(|| {
        let message = format!("its clock is {seconds} s ahead of that of `{}`", behind.name);
        Diagnostic::new(CLOCK, ahead.place(), message).help("synchronise the clocks of the two machines")
    })
}
