//! Which policy applies to an exchange or queue: of those that match, the one with the highest priority (RabbitMQ,
//! `rabbit_policy.erl`).

use super::{BrokerFacts, Exchange, Queue, Rule};
use crate::{federation::is_internal, pattern::Pattern, probe::is_probe};

/// How the keys by which a policy federates begin.
const FEDERATES: &str = "federation-upstream";

/// An exchange or queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing<'a> {
    pub name: &'a str,
    /// The type of a queue; none of an exchange.
    pub queue: Option<&'a str>,
}

impl Thing<'_> {
    /// Whether an application declared it: not RabbitMQ, a link or a probe.
    pub fn is_an_applications(self) -> bool {
        !(self.name.is_empty() || self.is_built_in() || is_internal(self.name) || is_probe(self.name))
    }

    pub fn is_built_in(self) -> bool {
        self.name.starts_with("amq.")
    }
}

impl<'a> From<&'a Exchange> for Thing<'a> {
    fn from(exchange: &'a Exchange) -> Self {
        Self { name: &exchange.name, queue: None }
    }
}

impl<'a> From<&'a Queue> for Thing<'a> {
    fn from(queue: &'a Queue) -> Self {
        Self { name: &queue.name, queue: Some(&queue.kind) }
    }
}

impl BrokerFacts {
    /// Every exchange and queue but the default exchange.
    pub(super) fn things(&self) -> impl Iterator<Item = Thing<'_>> {
        let exchanges = self.exchanges.iter().filter(|exchange| !exchange.name.is_empty()).map(Thing::from);
        exchanges.chain(self.queues.iter().map(Thing::from))
    }
}

impl Rule {
    /// Whether it federates what it applies to.
    pub(super) fn federates(&self) -> bool {
        self.policy.definition.keys().any(|key| key.starts_with(FEDERATES))
    }

    /// The names of its keys that do not federate.
    pub(super) fn other_keys(&self) -> impl Iterator<Item = &str> {
        self.policy.definition.keys().map(String::as_str).filter(|key| !key.starts_with(FEDERATES))
    }
}

/// A broker's policies with their patterns compiled. One whose pattern fedctl cannot compile, since it looks around or
/// back, is left out: what it matches is not known.
pub(super) struct Rules<'a>(Vec<(&'a Rule, Pattern)>);

impl<'a> Rules<'a> {
    pub fn of(rules: &'a [Rule]) -> Self {
        let compiled = rules.iter().filter_map(|rule| Some((rule, Pattern::new(&rule.policy.pattern).ok()?)));
        let mut compiled: Vec<_> = compiled.collect();
        compiled.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.policy.priority));
        Self(compiled)
    }

    /// The policies that match, but for the operator's: the first one applies.
    pub fn matching(&self, thing: Thing<'_>) -> Vec<&'a Rule> {
        self.all_matching(thing).filter(|rule| !rule.is_operators).collect()
    }

    /// The policies whose keys have effect: the one that applies, and of the operator's the first.
    pub fn effective(&self, thing: Thing<'_>) -> impl Iterator<Item = &'a Rule> {
        let first =
            |operators: bool| self.all_matching(thing).find(move |rule| rule.is_operators == operators);
        first(false).into_iter().chain(first(true))
    }

    /// The policy that federates an exchange or queue, if one does.
    pub fn federating(&self, thing: Thing<'_>) -> Option<&'a Rule> {
        self.matching(thing).first().copied().filter(|rule| rule.federates())
    }

    fn all_matching(&self, thing: Thing<'_>) -> impl Iterator<Item = &'a Rule> {
        let applies = move |rule: &Rule| match (rule.policy.apply_to.as_str(), thing.queue) {
            ("all", _) | ("exchanges", None) | ("queues", Some(_)) => true,
            ("classic_queues", Some(kind)) => kind == "classic",
            ("quorum_queues", Some(kind)) => kind == "quorum",
            ("streams", Some(kind)) => kind == "stream",
            _ => false,
        };
        let matching = self.0.iter();
        matching
            .filter(move |(rule, pattern)| applies(rule) && pattern.matches(thing.name))
            .map(|(rule, _)| *rule)
    }
}

/// A few of these names and how many more there are, for a message.
pub(super) fn examples(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` and `{other}`"),
        [one, rest @ ..] => format!("`{one}` and {} others", rest.len()),
    }
}
