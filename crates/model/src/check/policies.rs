//! Policies that another one keeps from applying, or that do not do what they say.

use std::collections::BTreeMap;

use super::{
    Check, Look, Region, Rule,
    rules::{Thing, examples},
    versions::Version,
};
use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic},
    status::POLICY_OVERRIDDEN,
    topology::ApplyTo,
};

pub(super) const CHECK: Check = Check { codes: &[EITHER, LOST_KEYS, FEDERATES_NOTHING, MIRRORS], check };

const EITHER: Code = Code::warning(
    "FED0819",
    "Two policies of equal priority match the same exchange or queue and say different things. RabbitMQ applies one of them, \
     and which one may change when either is put again or the broker restarts. Give the one that is to apply a higher \
     priority.",
);
const LOST_KEYS: Code = Code::warning(
    "FED0820",
    "Policies do not add up: of those that match an exchange or queue only the one with the highest priority applies. The \
     policy that federates it wins here, and lacks keys that another one sets, such as a length limit or a dead-letter \
     exchange, which are therefore without effect. Put those keys into the policy that wins, or narrow its pattern.",
);
const FEDERATES_NOTHING: Code = Code::warning(
    "FED0821",
    "The topology's policy matches no exchange or queue in any region, while there are some that it might have been meant \
     for, so nothing is federated by it. The pattern is misspelt, `apply-to` is the other one, or what it is for was never \
     declared. Correct the policy in the file, or remove it.",
);
const MIRRORS: Code = Code::warning(
    "FED0822",
    "RabbitMQ 4.0 removed the mirroring of classic queues, so `ha-mode` and its companions in a policy have no effect any \
     more: these queues are on one node and lost with it. Use quorum queues for what must survive a node, and delete the keys.",
);

/// Keys of policies that mirrored classic queues.
const MIRRORING: [&str; 5] =
    ["ha-mode", "ha-params", "ha-sync-mode", "ha-sync-batch-size", "ha-promote-on-failure"];

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in &look.regions {
        rivals(region, found);
        mirrors(region, found);
    }
    if look.is_complete() {
        federates_nothing(look, found);
    }
}

/// How one policy stands in another's way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rivalry {
    /// The first applies and does not federate; the second would.
    Overrides,
    /// Either may apply.
    Equals,
    /// The first applies and federates; the second has other keys.
    Swallows,
}

/// Two policies, the one that applies first, and the exchanges and queues that both match.
type Rivals<'a> = (&'a Rule, &'a Rule, Vec<&'a str>);

fn rivals(region: &Region<'_>, found: &mut Vec<Diagnostic>) {
    let mut told: BTreeMap<(Rivalry, &str, &str), Rivals<'_>> = BTreeMap::new();
    for thing in region.facts.things().filter(|thing| thing.is_an_applications()) {
        let matching = region.rules.matching(thing);
        let Some((winner, losers)) = matching.split_first() else { continue };
        for loser in losers {
            if let Some(rivalry) = rivalry(winner, loser) {
                let entry = told.entry((rivalry, &winner.name, &loser.name));
                entry.or_insert((winner, loser, Vec::new())).2.push(thing.name);
            }
        }
    }
    for ((rivalry, ..), (winner, loser, names)) in told {
        found.push(told_of(region, rivalry, winner, loser, &names));
    }
}

fn rivalry(winner: &Rule, loser: &Rule) -> Option<Rivalry> {
    let lacks = |key: &str| !winner.policy.definition.contains_key(key);
    let is_equal = winner.policy.priority == loser.policy.priority;
    if is_equal && (winner.federates() || loser.federates()) {
        return (winner.policy.definition != loser.policy.definition).then_some(Rivalry::Equals);
    }
    match (winner.federates(), loser.federates()) {
        (false, true) => Some(Rivalry::Overrides),
        (true, _) => loser.other_keys().any(lacks).then_some(Rivalry::Swallows),
        (false, false) => None,
    }
}

fn told_of(region: &Region<'_>, rivalry: Rivalry, winner: &Rule, loser: &Rule, names: &[&str]) -> Diagnostic {
    let (names, priority) = (examples(names), winner.policy.priority);
    let by = &winner.name;
    match rivalry {
        Rivalry::Overrides => Diagnostic::new(
            POLICY_OVERRIDDEN,
            region.policy(&loser.name),
            format!("does not federate {names}: policy `{by}` of priority {priority} applies"),
        )
        .help("give it a higher `priority` in the topology, or put the keys of both into one policy"),
        Rivalry::Equals => Diagnostic::new(
            EITHER,
            region.policy(&loser.name),
            format!("either it or policy `{by}` applies to {names}: both have priority {priority}"),
        )
        .help("give the one that is to apply a higher priority"),
        Rivalry::Swallows => {
            let lost = loser.other_keys().filter(|key| !winner.policy.definition.contains_key(*key));
            let lost: Vec<String> = lost.map(|key| format!("`{key}`")).collect();
            let message = format!(
                "applies to {names}, so {} of policy `{}` has no effect there",
                lost.join(", "),
                loser.name
            );
            Diagnostic::new(LOST_KEYS, region.policy(by), message)
                .help("put the keys into this policy, or narrow its pattern")
        }
    }
}

fn mirrors(region: &Region<'_>, found: &mut Vec<Diagnostic>) {
    if Version::of(&region.health.version).is_none_or(|version| version < Version::new(4, 0, 0)) {
        return;
    }
    for rule in &region.facts.policies {
        if let Some(key) = MIRRORING.iter().find(|key| rule.policy.definition.contains_key(**key)) {
            let message = format!("`{key}` has no effect in RabbitMQ {}", region.health.version);
            found.push(
                Diagnostic::new(MIRRORS, region.policy(&rule.name), message)
                    .help("use quorum queues, and delete the key"),
            );
        }
    }
}

fn federates_nothing(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    let Some(first) = look.regions.first() else { return };
    for policy in &look.topology.federation.policies {
        let is_queues = policy.apply_to == ApplyTo::Queues;
        let is_candidate =
            |thing: &Thing<'_>| thing.is_an_applications() && thing.queue.is_some() == is_queues;
        let mut candidates = 0;
        let matches = |region: &Region<'_>, thing: Thing<'_>| {
            region.rules.matching(thing).iter().any(|rule| rule.name == policy.name)
        };
        let is_matched = look.regions.iter().any(|region| {
            let mut things = region.facts.things().filter(is_candidate);
            things.any(|thing| {
                candidates += 1;
                matches(region, thing)
            })
        });
        let is_there = look.regions.iter().all(|region| {
            region.facts.policies.iter().any(|rule| rule.name == policy.name && !rule.is_operators)
        });
        if !is_matched && candidates > 0 && is_there {
            let noun = if is_queues { "queue" } else { "exchange" };
            let message = format!("matches none of the {} in all regions", counted(candidates, noun));
            let help = "correct `pattern` or `apply-to` in the topology, or remove the policy";
            found.push(Diagnostic::new(FEDERATES_NOTHING, first.policy(&policy.name), message).help(help));
        }
    }
}
