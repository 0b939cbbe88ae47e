//! What was published and what arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{Nonce, Probe, Problem};
use crate::{
    status::LinkRef,
    topology::{Pair, RegionName},
};

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The index of its lane.
    pub lane: usize,
    /// Its number in the lane.
    pub sequence: usize,
}

impl Message {
    /// The body that is published.
    #[must_use]
    pub fn body(self, nonce: &Nonce) -> String {
        format!("{} {self}", nonce.mark())
    }

    /// What a body says, if it is this probe's.
    #[must_use]
    pub fn parse(body: &[u8], nonce: &Nonce) -> Option<Self> {
        let mut words = std::str::from_utf8(body).ok()?.split(' ');
        let (mark, lane, sequence) = (words.next()?, words.next()?, words.next()?);
        let is_own = mark == nonce.mark() && words.next().is_none();
        is_own.then_some(())?;
        Some(Self { lane: lane.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lane, self.sequence)
    }
}

/// What was published and what arrived, by one clock: the time since the probe began.
#[derive(Debug, Default)]
pub struct Tally {
    published: BTreeMap<Message, Duration>,
    unconfirmed: BTreeSet<Message>,
    arrived: BTreeMap<(Message, RegionName), Vec<Duration>>,
}

/// What else is known of the regions and links of a probe.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Why regions could not take part.
    pub problems: BTreeMap<RegionName, Problem>,
    /// The regions whose links are paused: messages for them wait on the upstream, and none would arrive.
    pub paused: BTreeSet<Pair>,
    /// The links, by lane and downstream, that were not ready when it was published: their binding was not known to the
    /// upstream, or they did not run.
    pub not_ready: BTreeSet<(usize, RegionName)>,
    /// What the downstream reported of its link when messages were lost, by lane and downstream.
    pub reported: BTreeMap<(usize, RegionName), String>,
}

impl Evidence {
    /// Whether both ends of a lane's link take part, and it is not paused.
    #[must_use]
    pub fn takes_part(&self, probe: &Probe, lane: usize, downstream: &RegionName) -> bool {
        let out = |region: &RegionName| self.problems.contains_key(region);
        let Some(upstream) = probe.lanes.get(lane).map(|lane| &lane.upstream) else { return false };
        !out(upstream) && !out(downstream) && !self.is_paused(upstream, downstream)
    }

    pub(super) fn is_paused(&self, upstream: &RegionName, downstream: &RegionName) -> bool {
        self.paused.contains(&Pair { upstream: upstream.clone(), downstream: downstream.clone() })
    }
}

impl Tally {
    /// A message is about to be published.
    pub fn publish(&mut self, message: Message, at: Duration) {
        self.published.insert(message, at);
    }

    /// The upstream did not confirm it, or rejected it.
    pub fn not_confirmed(&mut self, message: Message) {
        self.unconfirmed.insert(message);
    }

    /// A message arrived in a region. One that comes from the region itself did not come through a link.
    pub fn arrive(&mut self, message: Message, region: &RegionName, at: Duration) {
        self.arrived.entry((message, region.clone())).or_default().push(at);
    }

    /// How many arrived, copies too.
    #[must_use]
    pub fn arrivals(&self) -> usize {
        self.arrived.values().map(Vec::len).sum()
    }

    /// How many have yet to arrive, of those that were published.
    #[must_use]
    pub fn outstanding(&self, probe: &Probe, evidence: &Evidence) -> usize {
        self.losing(probe, evidence).map(|(_, _, lost)| lost).sum()
    }

    /// The links out of which messages have yet to come, with their lane and how many.
    pub fn losing<'a>(
        &'a self,
        probe: &'a Probe,
        evidence: &'a Evidence,
    ) -> impl Iterator<Item = (usize, LinkRef, usize)> + 'a {
        let links = probe.links().filter(|(lane, link)| evidence.takes_part(probe, *lane, &link.downstream));
        let lost = links.map(|(lane, link)| {
            let lost = self.of_link(lane, &link.downstream).lost;
            (lane, link, lost)
        });
        lost.filter(|(_, _, lost)| *lost > 0)
    }

    /// What came of one link.
    pub(super) fn of_link(&self, lane: usize, downstream: &RegionName) -> Counts {
        let published = self.published.iter().filter(|(message, _)| message.lane == lane);
        let mut counts = Counts::default();
        for (message, at) in published {
            counts.published += 1;
            counts.unconfirmed += usize::from(self.unconfirmed.contains(message));
            match self.arrived.get(&(*message, downstream.clone())).map_or(&[][..], Vec::as_slice) {
                [] => counts.lost += 1,
                [first, copies @ ..] => {
                    counts.duplicated += copies.len();
                    counts.latencies.push(first.saturating_sub(*at));
                }
            }
        }
        counts.latencies.sort_unstable();
        counts
    }
}

/// What came of one link.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub published: usize,
    pub unconfirmed: usize,
    pub lost: usize,
    pub duplicated: usize,
    /// Of those that arrived, from the shortest to the longest.
    latencies: Vec<Duration>,
}

impl Counts {
    /// The time within which so many of a hundred messages arrived, of those that did.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_is_published_and_nothing_else_is() {
        let (nonce, other) = (Nonce::new(7), Nonce::new(8));
        let message = Message { lane: 3, sequence: 19 };
        let body = message.body(&nonce);
        assert_eq!(Message::parse(body.as_bytes(), &nonce), Some(message));
        assert_eq!(Message::parse(body.as_bytes(), &other), None);
        for body in ["", "hello", "fedctl.probe.haaaaaaa 3", &format!("{body} 1"), &body.replace('3', "x")] {
            assert_eq!(Message::parse(body.as_bytes(), &nonce), None, "{body}");
        }
        assert_eq!(Message::parse(&[0xFF, 0xFE], &nonce), None);
    }

    #[test]
    fn a_percentile_is_the_time_that_so_many_do_not_exceed() {
        let counts = |times: &[u64]| Counts {
            latencies: times.iter().copied().map(Duration::from_millis).collect(),
            ..Counts::default()
        };
        let of = |times: &[u64], percent| counts(times).percentile(percent).map(|time| time.as_millis());
        assert_eq!(of(&[], 99), None);
        assert_eq!((of(&[4], 50), of(&[4], 99)), (Some(4), Some(4)));
        assert_eq!((of(&[1, 2, 3, 100], 50), of(&[1, 2, 3, 100], 99)), (Some(2), Some(100)));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((of(&hundred, 50), of(&hundred, 99)), (Some(50), Some(99)));
    }
}
