//! Names of clusters, by which federation knows one broker from another.

use std::collections::BTreeMap;

use super::{Check, Look};
use crate::{
    diagnostic::{Code, Diagnostic},
    topology::RegionName,
};

pub(super) const CHECK: Check = Check { codes: &[DEFAULT, DUPLICATE], check };

const DEFAULT: Code = Code::warning(
    "FED0801",
    "The broker's cluster name was never set, so it is that of a node. Federation asks for it with every message, which \
     costs a host name lookup each time: 12 messages a second were measured where names are not found, and thousands once it \
     was set. In a cluster every node has another such name, and a link that moves to another node leaves its queue behind. \
     Set it before any upstream: `rabbitmqctl set_cluster_name NAME`, or `fedctl up`.",
);
const DUPLICATE: Code = Code::error(
    "FED0802",
    "Two regions have the same cluster name. On an upstream they share one internal queue, so each gets only a part of the \
     messages, and both report their links as running. Cloning a broker from another's exported definitions does this, since \
     they contain the name. Give each region its own with `rabbitmqctl set_cluster_name NAME`, or run `fedctl up`.",
);

/// How the name of a node begins, unless it was changed.
const NODE: &str = "rabbit@";

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&str, &RegionName> = BTreeMap::new();
    for region in look.brokers() {
        let name = region.facts.cluster_name.as_str();
        if let Some(other) = first.get(name) {
            let message = format!("its cluster name `{name}` is also that of `{other}`");
            found.push(Diagnostic::new(DUPLICATE, region.place(), message).help(format!(
                "rabbitmqctl set_cluster_name {}; its links restart, so drain them first",
                region.name
            )));
            continue;
        }
        first.insert(name, region.name);
        if name.starts_with(NODE) || region.facts.nodes.iter().any(|node| node.name == name) {
            let message = format!("its cluster name `{name}` is the name of a node: none was set");
            let help = format!("rabbitmqctl set_cluster_name {}, before any upstream is set", region.name);
            found.push(Diagnostic::new(DEFAULT, region.place(), message).help(help));
        }
    }
}
