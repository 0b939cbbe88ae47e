//! Queues and exchanges that federation does not serve as one would think.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Look, Region, rules::Thing, versions::Version};
use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place},
    names::is_link_user,
    topology::RegionName,
};

pub(super) const CHECK: Check = Check { codes: &[SAME_NAME, TRANSIENT, NO_CONSUMER, TYPES_DIFFER], check };

const SAME_NAME: Code = Code::warning(
    "FED0828",
    "A federated queue and a federated exchange have the same name. Before RabbitMQ 4.3.4 deleting an upstream then damages \
     the exchange (rabbitmq-server #16991). Rename one of them, narrow a pattern so that only one is federated, or upgrade \
     before any upstream is deleted.",
);
const TRANSIENT: Code = Code::warning(
    "FED0829",
    "The queue is neither durable nor exclusive. It is lost with its messages when the broker restarts, and RabbitMQ 4.3 \
     refuses to declare such queues unless its configuration permits them: the application will fail once that line is \
     removed. Declare it durable, or exclusive if it serves one connection.",
);
const NO_CONSUMER: Code = Code::warning(
    "FED0830",
    "Queue federation moves a message only to where a consumer asks for it, and this queue has none in any region, so its \
     messages stay where they were published. Federated exchanges are another matter: they send a copy to every region, consumed \
     or not. Start a consumer in one of the regions, or federate the exchange instead.",
);
const TYPES_DIFFER: Code = Code::warning(
    "FED0831",
    "Exchanges of one name are federated and have different types in two regions. A binding means something else to each \
     type, so the upstream sends what the downstream then drops, or does not send what it would take. Declare the exchange \
     anew with the same type everywhere.",
);

/// From this version on deleting an upstream leaves an exchange of a federated queue's name alone.
const SAME_NAME_MENDED: Version = Version::new(4, 3, 4);
/// From this version on queues that are neither durable nor exclusive are refused by default.
const TRANSIENT_REFUSED: Version = Version::new(4, 3, 0);

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in &look.regions {
        let Some(version) = Version::of(&region.health.version) else { continue };
        if version < SAME_NAME_MENDED {
            found.extend(same_name(region));
        }
        if version >= TRANSIENT_REFUSED {
            found.extend(transient(region));
        }
    }
    if look.is_complete() {
        found.extend(no_consumer(look));
    }
    found.extend(types_differ(look));
}

/// The names of what is federated, of exchanges or of queues.
fn federated<'r>(region: &'r Region<'_>, queues: bool) -> impl Iterator<Item = &'r str> {
    let things = region.facts.things().filter(move |thing| thing.queue.is_some() == queues);
    let things = things.filter(|thing| thing.is_an_applications() && thing.queue != Some("stream"));
    things.filter(|thing| region.rules.federating(*thing).is_some()).map(|thing| thing.name)
}

fn same_name(region: &Region<'_>) -> Vec<Diagnostic> {
    let queues: BTreeSet<&str> = federated(region, true).collect();
    let both = federated(region, false).filter(|name| queues.contains(name));
    let found = |name: &str| {
        let version = &region.health.version;
        let message =
            format!("an exchange has the same name, and RabbitMQ {version} damages it with an upstream");
        Diagnostic::new(SAME_NAME, region.queue(name), message)
            .help("rename one of them, or upgrade to 4.3.4")
    };
    both.map(found).collect()
}

fn transient(region: &Region<'_>) -> Vec<Diagnostic> {
    let queues = region.facts.queues.iter().filter(|queue| !queue.durable && !queue.exclusive);
    let queues = queues.filter(|queue| Thing::from(*queue).is_an_applications());
    let found = queues.map(|queue| {
        let message = "is neither durable nor exclusive, which RabbitMQ 4.3 refuses by default";
        Diagnostic::new(TRANSIENT, region.queue(&queue.name), message).help("declare it durable")
    });
    found.collect()
}

fn no_consumer(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut waiting: BTreeMap<&str, (&Region<'_>, u64)> = BTreeMap::new();
    let mut consumed: BTreeSet<&str> = BTreeSet::new();
    for region in &look.regions {
        // a broker that has just started has not counted yet
        let Some(consumers) = region.health.consumers.as_ref().filter(|all| !all.is_empty()) else {
            return Vec::new();
        };
        let own = consumers.iter().filter(|consumer| !is_link_user(&consumer.user));
        consumed.extend(own.map(|consumer| consumer.queue.as_str()));
        let federated: BTreeSet<&str> = federated(region, true).collect();
        for queue in region.health.queues.iter().filter(|queue| federated.contains(queue.name.as_str())) {
            let most = waiting.entry(&queue.name).or_insert((region, 0));
            if queue.messages > most.1 {
                *most = (region, queue.messages);
            }
        }
    }
    let stuck = waiting.into_iter().filter(|(name, (_, messages))| *messages > 0 && !consumed.contains(name));
    let found = stuck.map(|(name, (region, messages))| {
        let message = format!("holds {}, and no region has a consumer", counted(messages, "message"));
        Diagnostic::new(NO_CONSUMER, region.queue(name), message)
            .help("start a consumer in one of the regions, or federate the exchange instead")
    });
    found.collect()
}

fn types_differ(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, (&RegionName, &str)> = BTreeMap::new();
    let mut found = Vec::new();
    for region in &look.regions {
        for exchange in &region.facts.exchanges {
            let thing = Thing::from(exchange);
            if !thing.is_an_applications() || region.rules.federating(thing).is_none() {
                continue;
            }
            let (other, kind) = *first.entry(&exchange.name).or_insert((region.name, &exchange.kind));
            if kind != exchange.kind {
                let place = Place::Exchange { region: region.name.clone(), name: exchange.name.clone() };
                let message = format!("is of type {}, and of type {kind} in `{other}`", exchange.kind);
                let found_here = Diagnostic::new(TYPES_DIFFER, place, message);
                found.push(found_here.help("declare it with the same type in every region"));
            }
        }
    }
    found
}
