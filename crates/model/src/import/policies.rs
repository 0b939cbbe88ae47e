//! The policies that federate, as far as all regions have the same.

use serde_json::Map;

use super::{Source, codes};
use crate::{
    definition::{Policy, difference},
    diagnostic::{Diagnostic, Place},
    topology::{ApplyTo, Federation, FederationPolicy, RegionName},
};

/// How the keys of a policy begin that make links.
const KEY: &str = "federation-upstream";
const SET: &str = "federation-upstream-set";

/// The policies of all regions, those of the first region first. Without any the file has the ones of a new topology.
pub(super) fn common(sources: &[Source], diagnostics: &mut Vec<Diagnostic>) -> Vec<FederationPolicy> {
    let mut common: Vec<FederationPolicy> = Vec::new();
    for source in sources {
        for (name, policy) in source.found.policies.iter().filter(|(_, policy)| federates(policy)) {
            if common.iter().all(|known| known.name != *name) {
                common.push(said(&source.region, name, policy, diagnostics));
                differing(sources, &source.region, name, policy, diagnostics);
            }
        }
    }
    let place = sources.first().map(|source| Place::Broker { region: source.region.clone() });
    if let Some(place) = place.filter(|_| common.is_empty()) {
        let message = "no policy of these brokers federates anything";
        let help = "look at `policies` before anything is applied: the file has those of a new topology";
        diagnostics.push(Diagnostic::new(codes::NOT_FEDERATED, place, message).help(help));
        return Federation::default().policies;
    }
    common
}

fn federates(policy: &Policy) -> bool {
    policy.definition.keys().any(|key| key.starts_with(KEY))
}

/// A policy as a topology says it.
fn said(
    region: &RegionName,
    name: &str,
    policy: &Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> FederationPolicy {
    let mut add = |code, message: String, help: &str| {
        let place = Place::Policy { region: region.clone(), name: name.to_owned() };
        diagnostics.push(Diagnostic::new(code, place, message).help(help));
    };
    let apply_to = match policy.apply_to.as_str() {
        "exchanges" => ApplyTo::Exchanges,
        "queues" => ApplyTo::Queues,
        other => {
            let nearest = if other == "all" { ApplyTo::Exchanges } else { ApplyTo::Queues };
            let message = format!("applies to {other}, and the file says {}", nearest.as_str());
            add(
                codes::APPLIES_TO,
                message,
                "a topology may have one policy for exchanges and one for queues",
            );
            nearest
        }
    };
    let mut definition = Map::new();
    for (key, value) in &policy.definition {
        if key.starts_with(KEY) {
            if key != SET || value != "all" {
                let message = format!("federates from {key} {value}, and not from all upstreams");
                add(codes::POLICY_TARGET, message, "`fedctl plan --adopt` shows what becomes of it");
            }
        } else if value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64() {
            definition.insert(key.clone(), value.clone());
        } else {
            let message = format!("has {key} {value}, which a topology cannot say");
            add(codes::POLICY_KEY, message, "`fedctl plan --adopt` shows what becomes of it");
        }
    }
    let Policy { pattern, priority, .. } = policy.clone();
    FederationPolicy { name: name.to_owned(), pattern, apply_to, priority, definition }
}

/// The regions where it is another policy, or missing.
fn differing(
    sources: &[Source],
    first: &RegionName,
    name: &str,
    policy: &Policy,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for source in sources.iter().filter(|source| source.region != *first) {
        let message = match source.found.policies.get(name) {
            None => Some(format!("is missing here, and there is one in `{first}`")),
            Some(other) => difference(&policy.value(), &other.value())
                .map(|difference| format!("is not the one in `{first}`: {difference}")),
        };
        if let Some(message) = message {
            let place = Place::Policy { region: source.region.clone(), name: name.to_owned() };
            let help = "the file has the one of the first region for all";
            diagnostics.push(Diagnostic::new(codes::POLICY_DIFFERS, place, message).help(help));
        }
    }
}
