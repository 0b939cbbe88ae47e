//! Checks of a federation: of its file alone, and of what its brokers hold. One file for each subject, and the list of
//! all of them.
//!
//! A new check is a function of a `Look` with its codes, in a file here, and a line in `ALL`.

mod brokers;
mod cluster_names;
mod facts;
mod internal_queues;
mod patterns;
mod policies;
mod queues;
mod references;
mod rules;
mod security;
mod upstreams;
mod versions;

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::Serialize;

pub use facts::{BrokerFacts, Exchange, Expiring, Node, Queue, Rule, Upstream, Usage, User};
use rules::Rules;

pub use crate::site::AmqpUri;
use crate::{
    diagnostic::{Code, Diagnostic, Place, Severity},
    observed::{BrokerHealth, Federated, Snapshot},
    site::{self, Unavailable},
    status::{self, Condition, LinkStatus, Reason, Status},
    topology::{self, RegionName, Topology},
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Every check, in no particular order: what they find is sorted.
const ALL: [Check; 11] = [
    brokers::CHECK,
    cluster_names::CHECK,
    internal_queues::CHECK,
    patterns::CHECK,
    policies::CHECK,
    queues::CHECK,
    references::CHECK,
    security::CHECK,
    upstreams::CHECK,
    versions::CHECK,
    versions::FEATURES,
];

/// A check of what brokers hold.
struct Check {
    /// What it can find.
    codes: &'static [Code],
    check: fn(&Look<'_>, &mut Vec<Diagnostic>),
}

/// What a check may count on.
struct Look<'a> {
    topology: &'a Topology,
    /// The regions whose brokers answered, in the order of the file.
    regions: Vec<Region<'a>>,
}

/// A region whose broker answered.
struct Region<'a> {
    name: &'a RegionName,
    health: &'a BrokerHealth,
    facts: &'a BrokerFacts,
    rules: Rules<'a>,
    /// Whether another region before it is a virtual host of the same broker.
    shares_broker: bool,
}

impl<'a> Look<'a> {
    fn of(
        topology: &'a Topology,
        health: &'a Snapshot<BrokerHealth>,
        facts: &'a Snapshot<BrokerFacts>,
    ) -> Self {
        let names = || topology.regions.iter().map(|region| &region.name);
        let address = |name| Some(&facts.brokers.get(name)?.site.as_ref()?.management);
        let answered = names().enumerate().filter_map(|(index, name)| {
            let (health, facts) = (health.answer(name)?, facts.answer(name)?);
            let own = address(name);
            let shares_broker = own.is_some() && names().take(index).any(|other| address(other) == own);
            Some(Region { name, health, facts, rules: Rules::of(&facts.policies), shares_broker })
        });
        Self { topology, regions: answered.collect() }
    }

    /// One region of every broker.
    fn brokers(&self) -> impl Iterator<Item = &Region<'a>> {
        self.regions.iter().filter(|region| !region.shares_broker)
    }

    fn region(&self, name: &str) -> Option<&Region<'a>> {
        self.regions.iter().find(|region| region.name.as_str() == name)
    }

    /// Whether every region's broker answered: of one that did not, nothing is known.
    fn is_complete(&self) -> bool {
        self.regions.len() == self.topology.regions.len()
    }
}

impl Region<'_> {
    fn place(&self) -> Place {
        Place::Broker { region: self.name.clone() }
    }

    fn policy(&self, name: &str) -> Place {
        Place::Policy { region: self.name.clone(), name: name.to_owned() }
    }

    fn upstream(&self, name: &str) -> Place {
        Place::Upstream { region: self.name.clone(), name: name.to_owned() }
    }

    fn set(&self, name: &str) -> Place {
        Place::UpstreamSet { region: self.name.clone(), name: name.to_owned() }
    }

    fn queue(&self, name: &str) -> Place {
        Place::Queue { region: self.name.clone(), name: name.to_owned() }
    }
}

/// Everything that `fedctl check` reports.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Checks {
    /// The version of this format.
    pub version: u32,
    /// The project; null where the file could not be read as a topology.
    pub project: Option<String>,
    /// How many kinds of problem were looked for.
    pub checks: usize,
    /// How many errors were found.
    pub errors: usize,
    /// How many warnings were found.
    pub warnings: usize,
    /// What was found: in the file, then in each region, in the order of the file, then of links.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checks {
    fn of(project: Option<String>, checks: usize, diagnostics: Vec<Diagnostic>) -> Self {
        let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self { version: FORMAT_VERSION, project, checks, errors, warnings, diagnostics }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.diagnostics.is_empty()
    }
}

/// The JSON schema of [`Checks`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Checks).to_value()
}

/// The codes of what is found on brokers and nowhere else.
pub(crate) fn codes() -> impl Iterator<Item = Code> {
    ALL.into_iter().flat_map(|check| check.codes).copied()
}

/// What was found in the file alone. `project` is none where it is no topology.
#[must_use]
pub fn offline(project: Option<String>, findings: Vec<Diagnostic>) -> Checks {
    Checks::of(project, topology::codes().len(), findings)
}

/// What was found in the file and in these regions. `remembered` is what was federated in each region before.
#[must_use]
pub fn live(
    topology: &Topology,
    findings: Vec<Diagnostic>,
    (health, facts): (&Snapshot<BrokerHealth>, &Snapshot<BrokerFacts>),
    remembered: &Federated,
    regions: &[RegionName],
) -> Checks {
    let look = Look::of(topology, health, facts);
    let status = status::status(topology, health, remembered);
    let regions_found = topology.regions.iter().flat_map(|region| of_broker(&region.name, health, facts));
    let mut found: Vec<Diagnostic> = regions_found.chain(of_links(&status)).collect();
    for check in ALL {
        (check.check)(&look, &mut found);
    }
    found.retain(|found| found.place.regions().into_iter().any(|region| regions.contains(region)));
    found.sort_by_cached_key(|found| {
        let Diagnostic { place, severity, code, message, .. } = found;
        let region = topology.regions.iter().position(|region| place.regions().contains(&&region.name));
        let is_link = matches!(place, Place::Link(_));
        (is_link, region, place.to_string(), Reverse(*severity), *code, message.clone())
    });
    let codes = topology::codes().len() + codes().count() + status::CODES.len() + site::CODES.len();
    Checks::of(Some(topology.name.clone()), codes, findings.into_iter().chain(found).collect())
}

/// Why a broker cannot be asked, or its alarms.
fn of_broker(
    region: &RegionName,
    health: &Snapshot<BrokerHealth>,
    facts: &Snapshot<BrokerFacts>,
) -> Vec<Diagnostic> {
    let unavailable = health.unavailable(region).or_else(|| facts.unavailable(region)).cloned();
    let answer = health.answer(region);
    let disabled = answer.and_then(|health| health.links.as_ref().err().copied());
    let unavailable = unavailable.or(disabled.map(Unavailable::PluginDisabled));
    let alarm = answer.and_then(|health| status::alarm(region, health.alarms.as_ref()?));
    unavailable.map(|reason| reason.diagnostic(region)).into_iter().chain(alarm).collect()
}

/// What `fedctl status` says of links. That a broker does not answer is told once, not again for each of its links; nor
/// that a policy is overridden, which is told of the policy.
fn of_links(status: &Status) -> impl Iterator<Item = Diagnostic> {
    let is_told_elsewhere = |link: &&LinkStatus| {
        matches!(
            link.condition,
            Condition::Unknown(_)
                | Condition::Failing(
                    Reason::UpstreamUnavailable(_)
                        | Reason::DownstreamUnavailable(_)
                        | Reason::PluginDisabled { .. }
                        | Reason::PolicyOverridden { .. }
                )
        )
    };
    let links = status.links.iter().filter(move |link| !is_told_elsewhere(link));
    links.filter_map(LinkStatus::diagnostic).chain(status.warnings.iter().cloned())
}
