//! What was published and what arrived, and what is wrong with that.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    course::{Course, Crossing, Found, Inbox, Wanted, absent, has},
    report::{Arrival, Failure},
};
use crate::{
    observed::Resource,
    status::{LinkRef, LinkStatus, described},
    topology::{Pair, Test, Topology},
};

/// What was published and what arrived, by the time since publishing began.
#[derive(Debug, Default)]
pub struct Tally {
    taken: usize,
    unroutable: usize,
    refusal: Option<String>,
    /// By inbox and number.
    arrived: BTreeMap<(usize, usize), usize>,
    last: BTreeMap<usize, Duration>,
}

/// What else is known when something did not arrive as it should.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The bindings that their upstream did not know when messages were published.
    pub unknown: BTreeSet<Crossing>,
    /// The links, as a status has them.
    pub links: Vec<LinkStatus>,
}

impl Tally {
    /// The broker took so many messages, and could not route some of them to any queue.
    pub fn publish(&mut self, taken: usize, unroutable: usize) {
        (self.taken, self.unroutable) = (taken, unroutable);
    }

    /// Why the broker took none.
    pub fn refuse(&mut self, reason: String) {
        self.refusal = Some(reason);
    }

    /// How many messages the broker took.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// A message arrived in an inbox.
    pub fn arrive(&mut self, inbox: usize, number: usize, after: Duration) {
        *self.arrived.entry((inbox, number)).or_default() += 1;
        self.last.insert(inbox, after);
    }

    /// How many arrived, copies too.
    #[must_use]
    pub fn arrivals(&self) -> usize {
        self.arrived.values().sum()
    }

    /// The longest that it took until the last message arrived anywhere.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.last.values().max().copied().unwrap_or_default()
    }

    /// How many have yet to arrive.
    #[must_use]
    pub fn outstanding(&self, test: &Test, course: &Course) -> usize {
        let missing = course.inboxes.iter().enumerate().map(|(index, inbox)| match inbox.wanted {
            Wanted::Exactly(wanted) => wanted.saturating_sub(self.of(index).counted(test, wanted)),
            Wanted::Nothing | Wanted::NoCopies => 0,
        });
        missing.sum()
    }

    /// What arrived in every inbox.
    #[must_use]
    pub fn found(&self, course: &Course) -> Vec<Arrival> {
        let found = course.inboxes.iter().enumerate().map(|(index, inbox)| {
            let counts = self.of(index);
            Arrival {
                region: inbox.region.clone(),
                resource: inbox.from.clone(),
                expected: match inbox.wanted {
                    Wanted::Exactly(wanted) => Some(wanted),
                    Wanted::Nothing => Some(0),
                    Wanted::NoCopies => None,
                },
                arrived: counts.arrived,
                copies: counts.copies,
                last_ms: self.last.get(&index).map(|last| last.as_secs_f64() * 1000.0),
            }
        });
        found.collect()
    }

    /// What is not as the test expects it.
    #[must_use]
    pub fn judge(
        &self,
        topology: &Topology,
        test: &Test,
        course: &Course,
        found: &Found,
        evidence: &Evidence,
    ) -> Vec<Failure> {
        let mut failures: Vec<Failure> = self.not_taken(test).into_iter().collect();
        for (index, inbox) in course.inboxes.iter().enumerate() {
            let Some(message) = self.of(index).fault(test, inbox) else { continue };
            let causes = match inbox.wanted {
                Wanted::Exactly(_) => causes(topology, test, (index, inbox), found, evidence),
                Wanted::Nothing => meant(topology, test, inbox).into_iter().collect(),
                Wanted::NoCopies => Vec::new(),
            };
            failures.push(Failure { message, causes });
        }
        failures
    }

    /// That the broker did not take every message, or took some for nobody.
    fn not_taken(&self, test: &Test) -> Option<Failure> {
        let publish = &test.publish;
        let missing = publish.count.saturating_sub(self.taken);
        let (count, region) = (publish.count, &publish.region);
        if missing > 0 {
            let why = self.refusal.as_deref().unwrap_or("no confirmation in time");
            let message = format!("`{region}` did not take {missing} of {count}: {why}");
            return Some(Failure { message, causes: Vec::new() });
        }
        let is_unexpected = self.unroutable > 0 && self.arrivals() == 0;
        let message = format!("in `{region}` no queue was bound for {} of {count}", self.unroutable);
        is_unexpected.then_some(Failure { message, causes: Vec::new() })
    }

    fn of(&self, inbox: usize) -> Counts {
        let mut counts = Counts::default();
        for times in self.arrived.range((inbox, 0)..=(inbox, usize::MAX)).map(|(_, times)| *times) {
            counts.arrived += 1;
            counts.copies += times - 1;
            counts.repeated += usize::from(times > 1);
            counts.most = counts.most.max(times);
        }
        counts
    }
}

/// What arrived in one inbox.
#[derive(Debug, Default)]
struct Counts {
    /// Different messages.
    arrived: usize,
    /// Besides the first of each.
    copies: usize,
    /// How many came more than once.
    repeated: usize,
    /// How often the most frequent came.
    most: usize,
}

impl Counts {
    /// Copies count where more are wanted than are published.
    fn counted(&self, test: &Test, wanted: usize) -> usize {
        if wanted > test.publish.count { self.arrived + self.copies } else { self.arrived }
    }

    fn fault(&self, test: &Test, inbox: &Inbox) -> Option<String> {
        let Inbox { region, from, .. } = inbox;
        let place = format!("`{region}` ({} `{}`)", from.kind(), from.name());
        match inbox.wanted {
            Wanted::Exactly(wanted) => {
                let got = self.counted(test, wanted);
                let copies = if wanted > test.publish.count { String::new() } else { self.repeats() };
                let message =
                    || format!("expected {wanted} in {place} within {}, got {got}{copies}", test.within);
                (got != wanted || !copies.is_empty()).then(message)
            }
            Wanted::Nothing => (self.arrived > 0)
                .then(|| format!("expected nothing in {place}, got {}{}", self.arrived, self.repeats())),
            Wanted::NoCopies => (self.copies > 0)
                .then(|| format!("expected nothing to come back to {place}, got {} again", self.copies)),
        }
    }

    fn repeats(&self) -> String {
        match (self.repeated, self.most) {
            (0, _) => String::new(),
            (repeated, 2) => format!(", {repeated} twice"),
            (repeated, most) => format!(", {repeated} of them up to {most} times"),
        }
    }
}

/// That the topology itself carries messages to where the test wants none.
fn meant(topology: &Topology, test: &Test, inbox: &Inbox) -> Option<String> {
    let is_carried =
        topology.federates(&inbox.from) && !topology.route(&test.publish.region, &inbox.region).is_empty();
    is_carried.then(|| {
        let name = inbox.from.name();
        format!("the topology federates `{name}` there: expect the messages, or say `nowhere-else: false`")
    })
}

/// What may be the cause if too few or too many arrive in an inbox.
fn causes(
    topology: &Topology,
    test: &Test,
    (place, inbox): (usize, &Inbox),
    found: &Found,
    evidence: &Evidence,
) -> Vec<String> {
    let (origin, region, target) = (&test.publish.region, &inbox.region, test.publish.target());
    if origin == region {
        return Vec::new();
    }
    if !topology.federates(&target) {
        let kind = target.kind();
        return vec![format!("no policy of the topology federates {kind} `{}`", target.name())];
    }
    let route = match target {
        Resource::Exchange(_) => topology.route(origin, region),
        Resource::Queue(_) => {
            let direct = Pair { upstream: origin.clone(), downstream: region.clone() };
            topology.pairs().into_iter().filter(|pair| *pair == direct).collect()
        }
    };
    if route.is_empty() {
        return vec![format!("by the shape of the topology nothing comes from `{origin}` to `{region}`")];
    }
    let mut causes: Vec<String> = Vec::new();
    for Pair { upstream, downstream } in &route {
        if !has(downstream, &target, found) {
            causes.push(absent(downstream, &target));
            continue;
        }
        let (upstream, downstream) = (upstream.clone(), downstream.clone());
        causes.push(described(&LinkRef { upstream, downstream, resource: target.clone() }, &evidence.links));
    }
    let unknown = evidence.unknown.iter().filter(|crossing| crossing.inbox == place);
    causes.extend(unknown.map(|Crossing { pair: Pair { upstream, downstream }, key, .. }| {
        format!(
            "`{upstream}` did not know the binding `{key}` of `{downstream}` when messages were published"
        )
    }));
    causes
}
