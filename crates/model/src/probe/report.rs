//! What a probe found.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Evidence, Probe, Tally,
    codes::{DUPLICATED, LEFT, LOST, NOT_CONFIRMED, NOT_PROBED},
    tally::Counts,
};
use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place},
    observed::Resource,
    site::Unavailable,
    status::LinkRef,
    topology::RegionName,
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl probe` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProbeReport {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Whether every link that is not paused moved every message, once.
    pub passed: bool,
    /// How many messages each link should move.
    pub count: usize,
    /// How long it took.
    pub seconds: f64,
    /// The regions, in the order of the file.
    pub regions: Vec<RegionName>,
    /// The links.
    pub links: Vec<LinkProbe>,
    /// Policies that were not probed, and what the probe could not remove.
    pub warnings: Vec<Diagnostic>,
}

/// What came of a link.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LinkProbe {
    /// Which one: of the probe's own exchange or queue, whose name is its own only once.
    #[serde(flatten)]
    pub link: LinkRef,
    /// The policy that federates it.
    pub policy: String,
    /// What came of it.
    pub state: ProbeState,
    /// How many messages were published for it.
    pub published: usize,
    /// How many of them did not arrive.
    pub lost: usize,
    /// How many arrived besides the first of each.
    pub duplicated: usize,
    /// Milliseconds from publishing to arrival that half of the messages do not exceed.
    pub p50_ms: Option<f64>,
    /// Milliseconds that 99 of a hundred do not exceed.
    pub p99_ms: Option<f64>,
    /// What the downstream reported of the link when messages were lost: `running`, or else.
    pub reported: Option<String>,
    /// What is wrong, as text.
    pub error: Option<String>,
    /// The code of the error: `fedctl explain CODE` explains it.
    #[schemars(with = "Option<String>")]
    pub code: Option<Code>,
}

/// What came of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// Every message arrived, once.
    Moved,
    /// It was not tried, since it is paused with `fedctl link pause`.
    Paused,
    /// It could not be tried.
    NotProbed,
    /// Every message arrived, and some more than once.
    Duplicated,
    /// Messages did not arrive.
    Lost,
}

/// Why a region could not take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    code: Code,
}

impl From<&Unavailable> for Problem {
    fn from(unavailable: &Unavailable) -> Self {
        Self { message: unavailable.to_string(), code: unavailable.code() }
    }
}

impl Problem {
    /// The broker does not work with the probe over AMQP.
    #[must_use]
    pub fn amqp(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: NOT_PROBED }
    }
}

/// What a probe could not remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The region of the broker.
    pub region: RegionName,
    /// The exchanges and queues, if they are known.
    pub names: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Left {
    /// What is left, and that it goes by itself.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let Self { region, names, reason } = self;
        let what = if names.is_empty() { "what the probe made there".into() } else { names.join(", ") };
        Diagnostic::new(
            LEFT,
            Place::Broker { region: region.clone() },
            format!("could not remove {what}: {reason}"),
        )
        .help("it expires by itself within a minute, or the next `fedctl up` removes it")
    }
}

/// The JSON schema of a [`ProbeReport`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ProbeReport).to_value()
}

impl ProbeReport {
    /// The verdict on everything that a probe saw in so many seconds.
    #[must_use]
    pub fn of(probe: &Probe, tally: &Tally, evidence: &Evidence, left: &[Left], seconds: f64) -> Self {
        let links: Vec<LinkProbe> =
            probe.links().map(|(lane, link)| link_probe(probe, tally, evidence, lane, link)).collect();
        Self {
            version: FORMAT_VERSION,
            project: probe.project.clone(),
            passed: links.iter().all(|link| matches!(link.state, ProbeState::Moved | ProbeState::Paused)),
            count: probe.count,
            seconds,
            regions: probe.regions.clone(),
            links,
            warnings: probe.unnamed.iter().cloned().chain(left.iter().map(Left::diagnostic)).collect(),
        }
    }
}

fn link_probe(probe: &Probe, tally: &Tally, evidence: &Evidence, lane: usize, link: LinkRef) -> LinkProbe {
    // what is published for others waits for it on the upstream
    let is_paused = evidence.is_paused(&link.upstream, &link.downstream);
    let counts = if is_paused { Counts::default() } else { tally.of_link(lane, &link.downstream) };
    let key = (lane, link.downstream.clone());
    let reported = evidence.reported.get(&key).cloned();
    let not_ready = evidence.not_ready.contains(&key);
    let (state, fault) = verdict(&link, &counts, evidence, reported.as_deref(), not_ready);
    let milliseconds = |percent| counts.percentile(percent).map(|time| time.as_secs_f64() * 1000.0);
    LinkProbe {
        policy: probe.lanes[lane].policy.clone(),
        state,
        published: counts.published,
        lost: counts.lost,
        duplicated: counts.duplicated,
        p50_ms: milliseconds(50),
        p99_ms: milliseconds(99),
        reported,
        code: fault.as_ref().map(|fault| fault.code),
        error: fault.map(|fault| fault.message),
        link,
    }
}

fn verdict(
    link: &LinkRef,
    counts: &Counts,
    evidence: &Evidence,
    reported: Option<&str>,
    not_ready: bool,
) -> (ProbeState, Option<Problem>) {
    let problem = [&link.downstream, &link.upstream]
        .into_iter()
        .find_map(|region| Some((region, evidence.problems.get(region)?)));
    if let Some((region, problem)) = problem {
        let message = format!("`{region}` takes no part: {}", problem.message);
        return (ProbeState::NotProbed, Some(Problem { message, code: problem.code }));
    }
    if evidence.is_paused(&link.upstream, &link.downstream) {
        return (ProbeState::Paused, None);
    }
    let Counts { published, lost, duplicated, .. } = *counts;
    if published == 0 {
        let message = format!("nothing was published: `{}` did not take messages in time", link.upstream);
        return (ProbeState::NotProbed, Some(Problem { message, code: NOT_PROBED }));
    }
    if lost > 0 {
        return (ProbeState::Lost, Some(loss(link, counts, reported, not_ready)));
    }
    if duplicated > 0 {
        let message = format!("{duplicated} of {} arrived again", counted(published, "message"));
        return (ProbeState::Duplicated, Some(Problem { message, code: DUPLICATED }));
    }
    (ProbeState::Moved, None)
}

/// That messages were lost, and what is known of why.
fn loss(link: &LinkRef, counts: &Counts, reported: Option<&str>, not_ready: bool) -> Problem {
    let Counts { published, unconfirmed, lost, .. } = *counts;
    let reported = reported.map(|state| format!("the link is reported as {state}"));
    let unready = match link.resource {
        Resource::Exchange(_) => "the upstream did not know its binding",
        Resource::Queue(_) => "it did not run when they were published",
    };
    let refused = format!("the upstream did not confirm {unconfirmed}");
    let known = [
        Some(format!("{lost} of {} lost", counted(published, "message"))),
        reported,
        not_ready.then(|| unready.to_owned()),
        (unconfirmed > 0).then_some(refused),
    ];
    let message = known.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Problem { message, code: if unconfirmed > 0 { NOT_CONFIRMED } else { LOST } }
}
