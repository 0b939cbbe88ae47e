//! Upstreams and upstream sets that nothing uses, that do not exist, or that lead to the same place.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AmqpUri, BrokerFacts, Check, Look, Region};
use crate::{
    diagnostic::{Code, Diagnostic},
    pattern::Pattern,
};

pub(super) const CHECK: Check = Check {
    codes: &[UNUSED_UPSTREAM, NO_UPSTREAM, NO_SET, NOT_A_MEMBER, UNUSED_SET, SAME_BROKER, ITSELF],
    check,
};

const UNUSED_UPSTREAM: Code = Code::warning(
    "FED0812",
    "No policy of the broker names this upstream, a set with it, or a pattern that matches it, so it has no link. Either a \
     policy is missing and something is not federated that should be, or the upstream is left over. Add the policy or delete \
     the upstream.",
);
const NO_UPSTREAM: Code = Code::error(
    "FED0813",
    "The policy names an upstream that the broker does not have, or a pattern that matches none. RabbitMQ accepts that, \
     starts no link and reports nothing. Correct the name in the policy, or declare the upstream.",
);
const NO_SET: Code = Code::error(
    "FED0814",
    "The policy names an upstream set that the broker does not have. RabbitMQ accepts that, starts no link and reports \
     nothing. Correct the name in the policy, declare the set, or name the set `all`, which always exists and has every \
     upstream.",
);
const NOT_A_MEMBER: Code = Code::error(
    "FED0815",
    "The upstream set lists an upstream that the broker does not have. RabbitMQ accepts that and leaves it out: links from \
     that upstream are missing without a word. Declare the upstream, or take it out of the set.",
);
const UNUSED_SET: Code = Code::warning(
    "FED0816",
    "No policy of the broker names this upstream set, so it has no effect. Either a policy is missing, or the set is left \
     over. Add the policy or delete the set.",
);
const SAME_BROKER: Code = Code::warning(
    "FED0817",
    "Two upstreams of the broker lead to the same virtual host of the same broker. An exchange that uses both has two links \
     which share one internal queue, each with its own user and settings, so which of them moves a message is chance; a \
     queue has two consumers there. Delete one of them.",
);
const ITSELF: Code = Code::error(
    "FED0818",
    "The upstream leads to the broker that holds it. A message of a federated exchange then comes back to it as a second copy, \
     and a federated queue fetches from itself. Delete the upstream, or correct its URI.",
);

/// The set that always exists and has every upstream.
const EVERY: &str = "all";

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in &look.regions {
        let uses = Uses::of(region.facts);
        unused(region, &uses, found);
        missing(region, found);
        addresses(region, found);
    }
}

/// What the policies of a broker name.
struct Uses<'a> {
    sets: BTreeSet<&'a str>,
    upstreams: BTreeSet<&'a str>,
}

impl<'a> Uses<'a> {
    fn of(facts: &'a BrokerFacts) -> Self {
        let (mut sets, mut upstreams) = (BTreeSet::new(), BTreeSet::new());
        for (_, key, value) in named(facts) {
            match key {
                Key::Upstream => drop(upstreams.insert(value)),
                Key::Pattern => upstreams.extend(matched(facts, value)),
                Key::Set if value == EVERY => upstreams.extend(facts.upstreams.keys().map(String::as_str)),
                Key::Set => {
                    sets.insert(value);
                    let members = facts.upstream_sets.get(value).into_iter().flatten();
                    upstreams.extend(members.map(String::as_str));
                }
            }
        }
        Self { sets, upstreams }
    }
}

/// By what a policy names its upstreams.
#[derive(Clone, Copy)]
enum Key {
    Upstream,
    Set,
    Pattern,
}

/// Each policy's name, with by what and as what it names upstreams.
fn named(facts: &BrokerFacts) -> impl Iterator<Item = (&str, Key, &str)> {
    const KEYS: [(&str, Key); 3] = [
        ("federation-upstream", Key::Upstream),
        ("federation-upstream-set", Key::Set),
        ("federation-upstream-pattern", Key::Pattern),
    ];
    facts.policies.iter().flat_map(|rule| {
        KEYS.into_iter().filter_map(|(name, key)| {
            let value = rule.policy.definition.get(name).and_then(Value::as_str)?;
            Some((rule.name.as_str(), key, value))
        })
    })
}

fn matched<'a>(facts: &'a BrokerFacts, pattern: &str) -> Vec<&'a str> {
    let Ok(pattern) = Pattern::new(pattern) else {
        return facts.upstreams.keys().map(String::as_str).collect();
    };
    facts.upstreams.keys().map(String::as_str).filter(|name| pattern.matches(name)).collect()
}

fn unused(region: &Region<'_>, uses: &Uses<'_>, found: &mut Vec<Diagnostic>) {
    for name in region.facts.upstreams.keys().filter(|name| !uses.upstreams.contains(name.as_str())) {
        let message = "no policy uses it, so it has no link";
        let help = format!("add the policy, or: rabbitmqctl clear_parameter federation-upstream {name}");
        found.push(Diagnostic::new(UNUSED_UPSTREAM, region.upstream(name), message).help(help));
    }
    for name in region.facts.upstream_sets.keys().filter(|name| !uses.sets.contains(name.as_str())) {
        let help = format!("add the policy, or: rabbitmqctl clear_parameter federation-upstream-set {name}");
        found.push(Diagnostic::new(UNUSED_SET, region.set(name), "no policy uses it").help(help));
    }
}

fn missing(region: &Region<'_>, found: &mut Vec<Diagnostic>) {
    let facts = region.facts;
    for (policy, key, value) in named(facts) {
        let (code, message) = match key {
            Key::Upstream if !facts.upstreams.contains_key(value) => {
                (NO_UPSTREAM, format!("there is no upstream `{value}`, so it has no link"))
            }
            Key::Pattern if matched(facts, value).is_empty() => {
                (NO_UPSTREAM, format!("no upstream matches `{value}`, so it has no link"))
            }
            Key::Set if value != EVERY && !facts.upstream_sets.contains_key(value) => {
                (NO_SET, format!("there is no upstream set `{value}`, so it has no link"))
            }
            Key::Upstream | Key::Pattern | Key::Set => continue,
        };
        let help = "correct the name in the policy, or declare what it names";
        found.push(Diagnostic::new(code, region.policy(policy), message).help(help));
    }
    for (set, members) in &facts.upstream_sets {
        for member in members.iter().filter(|member| !facts.upstreams.contains_key(*member)) {
            let message = format!("there is no upstream `{member}`, so it has no link");
            let help = "declare the upstream, or take it out of the set";
            found.push(Diagnostic::new(NOT_A_MEMBER, region.set(set), message).help(help));
        }
    }
}

fn addresses(region: &Region<'_>, found: &mut Vec<Diagnostic>) {
    let upstreams = || {
        let uris = region.facts.upstreams.iter();
        uris.filter_map(|(name, upstream)| Some((name, address(upstream.uris.first()?)?)))
    };
    for (index, (name, address)) in upstreams().enumerate() {
        if address.0 == region.name.as_str() {
            let help = format!("correct its URI, or: rabbitmqctl clear_parameter federation-upstream {name}");
            let message = "leads to its own broker";
            found.push(Diagnostic::new(ITSELF, region.upstream(name), message).help(help));
        }
        if let Some((other, _)) = upstreams().take(index).find(|(_, earlier)| *earlier == address) {
            let message = format!("leads to the same broker and virtual host as upstream `{other}`");
            let help = "delete one of the two";
            found.push(Diagnostic::new(SAME_BROKER, region.upstream(name), message).help(help));
        }
    }
}

/// Where a URI leads; none within the same broker.
fn address(uri: &AmqpUri) -> Option<(&str, Option<u16>, Option<&str>)> {
    let port = uri.port.unwrap_or(if uri.encrypted { 5671 } else { crate::site::AMQP_PORT });
    Some((uri.host.as_deref()?, Some(port), uri.vhost.as_deref()))
}
