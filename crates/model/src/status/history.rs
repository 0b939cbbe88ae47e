//! What earlier looks saw of every link: since when it is as it is, how its backlog moves, and since when it does not
//! shrink.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LinkRef, LinkState, LinkStatus};
use crate::{observed::Federated, topology::RegionName};

/// The version of the form in which it is kept; another one is not read.
const KEPT_VERSION: u32 = 1;
/// Over less than this nothing is measured: a broker may count its messages only every five seconds.
const SHORTEST: SignedDuration = SignedDuration::from_secs(5);
/// Nor over more: a mean over longer says nothing about now.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// Between looks that are further apart a backlog may have come and gone. Monitors check every five minutes or so.
const UNSEEN: SignedDuration = SignedDuration::from_mins(15);

/// What earlier looks saw of the links of a project. No plan depends on it: it only tells a [`Status`](super::Status)
/// what no broker does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    version: u32,
    project: String,
    links: Vec<Seen>,
}

/// A link, as the last look saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    #[serde(flatten)]
    link: LinkRef,
    state: LinkState,
    since: Timestamp,
    known: Option<Known>,
    backlog: Option<Backlog>,
    progress: Option<Progress>,
}

/// The state of a link when it was last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    state: LinkState,
    at: Timestamp,
}

/// Two samples of the messages that wait for a link: growth is measured from the newer one once it is old enough, and
/// from the older one until then, so that looks in quick succession measure over a while, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Backlog {
    older: Sample,
    newer: Sample,
}

/// The last count of the messages that wait for a link, and since when no count was less than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    last: Sample,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    messages: u64,
    at: Timestamp,
}

/// The state that a link had when it was last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastKnown {
    /// The state.
    pub state: LinkState,
    /// Seconds since a look last saw it so.
    pub age_seconds: u64,
}

/// Where a link's backlog is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// More wait than before.
    Growing,
    /// Fewer wait than before.
    Shrinking,
    /// As many as before, give or take one in twenty seconds.
    Steady,
}

impl Trend {
    /// Of a growth in messages per second.
    #[must_use]
    pub fn of(growth: f64) -> Self {
        match growth {
            0.05.. => Self::Growing,
            ..=-0.05 => Self::Shrinking,
            _ => Self::Steady,
        }
    }
}

impl History {
    /// Of a project that nobody has looked at yet.
    #[must_use]
    pub fn of(project: &str) -> Self {
        Self { version: KEPT_VERSION, project: project.to_owned(), links: Vec::new() }
    }

    /// Reads what was kept. What is damaged, of another version or of another project counts as nothing.
    #[must_use]
    pub fn read(text: &str, project: &str) -> Self {
        let kept = serde_json::from_str(text).ok();
        kept.filter(|kept: &Self| kept.version == KEPT_VERSION && kept.project == project)
            .unwrap_or_else(|| Self::of(project))
    }

    /// Completes every link by what earlier looks saw, and remembers this one. Links that are no longer there are
    /// forgotten.
    pub fn look(&mut self, links: &mut [LinkStatus], at: Timestamp) {
        self.update(links, at);
    }

    /// The same for some of the links: what is known of others stays.
    pub fn look_at_some(&mut self, links: &mut [LinkStatus], at: Timestamp) {
        let others = self.update(links, at);
        self.links.extend(others.into_values());
    }

    /// What is expected in regions of which this holds: what was federated there when `up` last finished, and what was
    /// required when it was last looked at. It may have been declared since.
    #[must_use]
    pub fn expected(&self, federated: &Federated, is_silent: impl Fn(&RegionName) -> bool) -> Federated {
        let mut expected = federated.clone();
        let seen = self.links.iter().filter(|seen| seen.state != LinkState::Unexpected);
        for Seen { link, .. } in seen.filter(|seen| is_silent(&seen.link.downstream)) {
            expected.entry(link.downstream.clone()).or_default().insert(link.resource.clone());
        }
        expected
    }

    /// Returns what was known of other links.
    fn update(&mut self, links: &mut [LinkStatus], at: Timestamp) -> BTreeMap<LinkRef, Seen> {
        let before = self.links.drain(..).map(|seen| (seen.link.clone(), seen));
        let mut before: BTreeMap<LinkRef, Seen> = before.collect();
        self.links = links.iter_mut().map(|link| seen(link, before.remove(&link.link), at)).collect();
        before
    }
}

/// Completes a link by what the last look saw of it.
fn seen(link: &mut LinkStatus, last: Option<Seen>, at: Timestamp) -> Seen {
    let state = lasting(link.state(), last.as_ref());
    let unchanged = last.as_ref().filter(|last| last.state == state).map(|last| last.since);
    let since = reported(link, at).filter(|_| link.state() == state).or(unchanged).unwrap_or(at);
    if last.is_some() {
        link.age_seconds = link.age_seconds.or_else(|| Some(seconds(since, at)));
    }
    let (before, backlog, progress) =
        last.map_or((None, None, None), |last| (last.known, last.backlog, last.progress));
    let known = if state == LinkState::Unknown { before } else { Some(Known { state, at }) };
    link.last_known = known
        .filter(|_| state == LinkState::Unknown)
        .map(|known| LastKnown { state: known.state, age_seconds: seconds(known.at, at) });
    let (backlog, progress) = match link.waiting.map(|messages| Sample { messages, at }) {
        Some(now) => {
            link.growth = backlog.and_then(|backlog| backlog.growth(now));
            link.lag_seconds = Progress::lag(progress, now);
            (Some(Backlog::moved(backlog, now)), Some(Progress::moved(progress, now)))
        }
        None => (backlog, progress),
    };
    Seen { link: link.link.clone(), state, since, known, backlog, progress }
}

/// A link that is down tries again and again: it is starting for a moment, and down all the while.
fn lasting(state: LinkState, last: Option<&Seen>) -> LinkState {
    let was_down = last.is_some_and(|last| last.state == LinkState::Down);
    if state == LinkState::Starting && was_down { LinkState::Down } else { state }
}

/// Since when the broker says that it is as it is.
fn reported(link: &LinkStatus, at: Timestamp) -> Option<Timestamp> {
    at.saturating_sub(SignedDuration::from_secs(i64::try_from(link.age_seconds?).ok()?)).ok()
}

/// Whole seconds from one time to another; none if a clock was set back.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

impl Backlog {
    /// Messages per second by which it has grown, to a tenth, if it can be measured.
    fn growth(&self, now: Sample) -> Option<f64> {
        let times = [self.newer, self.older].map(|from| (from, now.at.duration_since(from.at)));
        let (from, time) = times.into_iter().find(|(_, time)| *time >= SHORTEST)?;
        let more = i128::from(now.messages) - i128::from(from.messages);
        let (tenths, millis) = (more * 10_000, time.as_millis());
        let rounded = i32::try_from((tenths + tenths.signum() * millis / 2) / millis).ok()?;
        (time <= LONGEST).then(|| f64::from(rounded) / 10.0)
    }

    /// The samples to measure from at the next look.
    fn moved(last: Option<Self>, now: Sample) -> Self {
        let Some(Self { older, newer }) = last else { return Self { older: now, newer: now } };
        match now.at.duration_since(newer.at) {
            time if time >= SHORTEST => Self { older: newer, newer: now },
            // a clock was set back
            time if time.is_negative() => Self { older: now, newer: now },
            _ => Self { older, newer },
        }
    }
}

impl Progress {
    /// Seconds since a count was last less than the one before, or nothing waited.
    fn lag(last: Option<Self>, now: Sample) -> Option<u64> {
        if now.messages == 0 {
            return Some(0);
        }
        let last = last.filter(|last| last.continues_to(now))?;
        Some(if now.messages < last.last.messages { 0 } else { seconds(last.since, now.at) })
    }

    fn moved(last: Option<Self>, now: Sample) -> Self {
        let stuck = last
            .filter(|last| last.continues_to(now) && now.messages > 0 && now.messages >= last.last.messages);
        Self { last: now, since: stuck.map_or(now.at, |stuck| stuck.since) }
    }

    /// Whether the last count says anything about what has happened until this one.
    fn continues_to(&self, now: Sample) -> bool {
        let time = now.at.duration_since(self.last.at);
        !time.is_negative() && time <= UNSEEN
    }
}
