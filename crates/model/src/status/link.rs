//! A link and its state.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Reason,
    codes::UNKNOWN,
    history::{LastKnown, Trend},
};
use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place},
    observed::Resource,
    site::Unavailable,
    topology::RegionName,
};

/// Which link: messages of one exchange or queue flow from `upstream` to `downstream`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LinkRef {
    /// Where messages come from.
    pub upstream: RegionName,
    /// Where they go.
    pub downstream: RegionName,
    /// What is federated.
    pub resource: Resource,
}

impl LinkRef {
    /// The link by which something comes from one region to another; none within one region.
    #[must_use]
    pub fn between(upstream: &RegionName, downstream: &RegionName, resource: Resource) -> Option<Self> {
        (upstream != downstream).then(|| Self {
            upstream: upstream.clone(),
            downstream: downstream.clone(),
            resource,
        })
    }
}

/// A link.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "LinkForm")]
pub struct LinkStatus {
    /// Which one.
    pub link: LinkRef,
    /// Its state.
    pub condition: Condition,
    /// What it is doing, if it runs and that is known.
    pub activity: Option<Activity>,
    /// Seconds since its state last changed, as its broker says, or else since a look first saw it so.
    pub age_seconds: Option<u64>,
    /// The state that it had when it was last known, if it no longer is.
    pub last_known: Option<LastKnown>,
    /// Messages queued on the upstream for this link.
    pub waiting: Option<u64>,
    /// Messages per second by which they grow, negative if they shrink, if an earlier look was recent enough.
    pub growth: Option<f64>,
    /// Seconds since a look last found fewer messages waiting, or none, if looks were recent enough.
    pub lag_seconds: Option<u64>,
}

/// The state of a link, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Connected, and the upstream knows every binding.
    Running,
    /// Connecting, for no longer than that takes.
    Connecting,
    /// Paused with `fedctl link pause`.
    Paused,
    /// Anything else that is known.
    Failing(Reason),
    /// Its downstream does not say.
    Unknown(Unavailable),
}

/// What a link that runs is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Nothing waits.
    Idle,
    /// Messages are in flight.
    Moving,
    /// The downstream's queue has no consumer, so nothing is fetched for it.
    Paused,
    /// Messages wait, and none is in flight.
    Blocked,
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Connected.
    Running,
    /// Paused with `fedctl link pause`: messages for it wait on the upstream.
    Paused,
    /// Connecting.
    Starting,
    /// Its downstream does not answer.
    Unknown,
    /// Not connected, or connecting for too long.
    Down,
    /// The topology requires it and the broker does not have it.
    Missing,
    /// The broker has it and the topology does not require it.
    Unexpected,
}

impl LinkState {
    /// All of them.
    pub const ALL: [LinkState; 7] = [
        LinkState::Running,
        LinkState::Paused,
        LinkState::Starting,
        LinkState::Unknown,
        LinkState::Down,
        LinkState::Missing,
        LinkState::Unexpected,
    ];

    /// The state as a word, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Running => "running",
            LinkState::Paused => "paused",
            LinkState::Starting => "starting",
            LinkState::Unknown => "unknown",
            LinkState::Down => "down",
            LinkState::Missing => "missing",
            LinkState::Unexpected => "unexpected",
        }
    }
}

impl LinkStatus {
    #[must_use]
    pub fn state(&self) -> LinkState {
        match &self.condition {
            Condition::Running => LinkState::Running,
            Condition::Paused => LinkState::Paused,
            Condition::Connecting => LinkState::Starting,
            Condition::Failing(reason) => reason.state(),
            Condition::Unknown(_) => LinkState::Unknown,
        }
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.condition == Condition::Running
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self.condition, Condition::Running | Condition::Paused)
    }

    /// Where its backlog is going, if that is known.
    #[must_use]
    pub fn trend(&self) -> Option<Trend> {
        self.growth.map(Trend::of)
    }

    /// Whether it neither comes up by itself nor can fedctl mend it.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        matches!(self.condition, Condition::Failing(Reason::PolicyOverridden { .. }))
    }

    /// What is wrong with it.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match &self.condition {
            Condition::Running | Condition::Connecting | Condition::Paused => None,
            Condition::Failing(reason) => {
                Some(Diagnostic::new(reason.code(), Place::Link(self.link.clone()), reason.to_string()))
            }
            unknown @ Condition::Unknown(_) => {
                Some(Diagnostic::new(UNKNOWN, Place::Link(self.link.clone()), unknown.to_string()))
            }
        }
    }
}

/// A link as text, with its state and the messages queued for it.
#[must_use]
pub fn described(link: &LinkRef, links: &[LinkStatus]) -> String {
    let Some(found) = links.iter().find(|found| found.link == *link) else {
        return format!("link {link}: not reported by the broker of `{}`", link.downstream);
    };
    let reported = if found.is_running() { "reported as " } else { "" };
    let condition = &found.condition;
    let waiting = found.waiting.filter(|waiting| *waiting > 0).map_or_else(String::new, |waiting| {
        format!(", {} queued for it on `{}`", counted(waiting, "message"), link.upstream)
    });
    format!("link {link}: {reported}{condition}{waiting}")
}

impl fmt::Display for LinkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} ({})", self.upstream, self.downstream, self.resource.name())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Running => f.write_str("running"),
            Condition::Connecting => f.write_str("connecting"),
            Condition::Paused => f.write_str("messages wait on the upstream until `fedctl link resume`"),
            Condition::Failing(reason) => reason.fmt(f),
            Condition::Unknown(unavailable) => write!(f, "the downstream does not say: {unavailable}"),
        }
    }
}

/// A link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LinkStatus")]
pub(super) struct LinkForm {
    #[serde(flatten)]
    link: LinkRef,
    /// The link's state.
    state: LinkState,
    /// What it is doing, if it runs and that is known.
    activity: Option<Activity>,
    /// Why it does not run, as text.
    error: Option<String>,
    /// The code of the error: `fedctl explain CODE` explains it.
    #[schemars(with = "Option<String>")]
    code: Option<Code>,
    /// Seconds since its state last changed, as its broker says, or else since fedctl first saw it so.
    age_seconds: Option<u64>,
    /// The state that it had when it was last known, if it no longer is.
    last_known: Option<LastKnown>,
    /// Messages queued on the upstream for this link.
    waiting: Option<u64>,
    /// Messages per second by which they grow, since a look at least five seconds and at most five minutes ago.
    growth: Option<f64>,
    /// Where `growth` goes.
    trend: Option<Trend>,
    /// Seconds since a look last found fewer messages waiting, or none; null where no look was recent enough.
    lag_seconds: Option<u64>,
}

impl From<LinkStatus> for LinkForm {
    fn from(status: LinkStatus) -> Self {
        let (state, diagnostic, trend) = (status.state(), status.diagnostic(), status.trend());
        let LinkStatus {
            link,
            condition: _,
            activity,
            age_seconds,
            last_known,
            waiting,
            growth,
            lag_seconds,
        } = status;
        Self {
            link,
            state,
            activity,
            code: diagnostic.as_ref().map(|diagnostic| diagnostic.code),
            error: diagnostic.map(|diagnostic| diagnostic.message),
            age_seconds,
            last_known,
            waiting,
            growth,
            trend,
            lag_seconds,
        }
    }
}
