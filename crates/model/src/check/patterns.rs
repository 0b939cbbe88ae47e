//! Policies that apply to more than was meant: what links keep on an upstream, short-lived queues, RabbitMQ's own
//! exchanges.

use std::collections::BTreeMap;

use super::{
    Check, Look, Region, Rule,
    rules::{Thing, examples},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    federation::is_internal,
    probe::is_probe,
};

pub(super) const CHECK: Check = Check { codes: &[LOSES_BACKLOG, INTERNAL, SHORT_LIVED, BUILT_IN], check };

const LOSES_BACKLOG: Code = Code::error(
    "FED0823",
    "The policy also applies to the internal queues in which messages wait for other regions, `federation: EXCHANGE -> \
     REGION`, and limits their length or the age of what is in them. While a region is away its messages are dropped or \
     refused, and no link reports it. Anchor the pattern at something only your own names have, such as `^orders\\.`; an \
     operator policy has to be narrowed likewise.",
);
const INTERNAL: Code = Code::warning(
    "FED0824",
    "The policy also applies to internal queues or exchanges of links, which RabbitMQ calls `federation: …`. It sets nothing \
     now that loses messages, but a later key would. Anchor the pattern at something only your own names have.",
);
const SHORT_LIVED: Code = Code::warning(
    "FED0825",
    "The policy federates queues that come and go: exclusive ones, ones that delete themselves, or ones that the broker named. \
     Each starts links with connections of their own to every upstream, where a queue of that name is declared too, and \
     connections can grow without bound (rabbitmq-server #14197). Anchor the pattern at the names of the queues that are meant.",
);
const BUILT_IN: Code = Code::warning(
    "FED0826",
    "The policy federates exchanges that every broker has, such as `amq.fanout`, so that whatever any application publishes \
     to them crosses to other regions. Anchor the pattern at something only your own names have, or name the one \
     exchange that is meant.",
);

/// Keys by which a queue drops messages, or refuses them.
const LOSES: [&str; 4] = ["max-length", "max-length-bytes", "message-ttl", "expires"];

/// For each policy, by its name, the names that it takes.
type Taken<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in &look.regions {
        let (mut loses, mut internal): (Taken<'_>, Taken<'_>) = Default::default();
        for thing in region.facts.things().filter(|thing| is_internal(thing.name) && !is_probe(thing.name)) {
            for rule in region.rules.effective(thing) {
                let taken =
                    if thing.queue.is_some() && loses_messages(rule) { &mut loses } else { &mut internal };
                taken.entry(&rule.name).or_default().push(thing.name);
            }
        }
        internal.retain(|policy, _| !loses.contains_key(policy));
        let mut add = |code, taken: Taken<'_>, what: &str, help: &str| {
            found.extend(taken.into_iter().map(|(policy, names)| {
                let message = format!("{what} {}", examples(&names));
                Diagnostic::new(code, region.policy(policy), message).help(help)
            }));
        };
        let own = "anchor its pattern at a prefix or suffix of your own names";
        add(LOSES_BACKLOG, loses, "drops messages that wait for other regions in", own);
        add(INTERNAL, internal, "also applies to", own);
        add(SHORT_LIVED, short_lived(region), "federates queues that come and go:", own);
        let built_in = built_in(region, look);
        add(BUILT_IN, built_in, "federates RabbitMQ's own exchanges:", own);
    }
}

fn loses_messages(rule: &Rule) -> bool {
    LOSES.iter().any(|key| rule.policy.definition.contains_key(*key))
}

fn short_lived<'a>(region: &Region<'a>) -> Taken<'a> {
    let mut taken = Taken::new();
    for queue in &region.facts.queues {
        let thing = Thing::from(queue);
        let comes_and_goes = queue.exclusive || queue.auto_delete || thing.is_built_in();
        if comes_and_goes
            && !is_internal(thing.name)
            && !is_probe(thing.name)
            && let Some(rule) = region.rules.federating(thing)
        {
            taken.entry(&rule.name).or_default().push(&queue.name);
        }
    }
    taken
}

/// Of a policy of the topology its file is warned; one exchange alone may well be meant.
fn built_in<'a>(region: &Region<'a>, look: &Look<'_>) -> Taken<'a> {
    let mut taken = Taken::new();
    for exchange in &region.facts.exchanges {
        let thing = Thing::from(exchange);
        if thing.is_built_in()
            && let Some(rule) = region.rules.federating(thing)
        {
            taken.entry(&rule.name).or_default().push(&exchange.name);
        }
    }
    let policies = &look.topology.federation.policies;
    taken.retain(|policy, names| names.len() > 1 && !policies.iter().any(|own| own.name == **policy));
    taken
}
