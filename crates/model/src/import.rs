//! A topology from what brokers hold: the file for which a plan finds nothing to do but to take ownership, and everything
//! that the file cannot say.

mod codes;
mod definitions;
mod links;
mod policies;
mod settings;
mod shape;
mod text;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use codes::ALL as CODES;
pub use definitions::read;
pub(crate) use text::quoted;

use crate::{
    definition::{Policy, Upstream},
    diagnostic::{Diagnostic, Place},
    observed::{Definitions, Owned},
    topology::{BrokerPorts, BrokerSettings, ExternalBroker, Federation, Region, RegionName, Topology},
};

/// What a broker holds in one virtual host that is about federation.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// None where a definitions file does not say it.
    pub cluster_name: Option<String>,
    pub upstreams: BTreeMap<String, Upstream>,
    pub policies: BTreeMap<String, Policy>,
    /// The names of upstream sets.
    pub sets: BTreeSet<String>,
    /// The names of shovels.
    pub shovels: BTreeSet<String>,
    /// What projects have recorded as theirs in this virtual host, by project.
    pub recorded: BTreeMap<String, Owned>,
}

impl Found {
    /// Of a broker that was asked; `parameters` are component and name of those that links do not need.
    #[must_use]
    pub fn of(
        held: Definitions,
        vhost: &str,
        parameters: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let recorded = held.others.into_iter().filter(|(_, owned)| owned.vhost.as_deref() == Some(vhost));
        let mut found = Self {
            cluster_name: Some(held.cluster_name),
            upstreams: held.upstreams,
            policies: held.policies,
            recorded: recorded.collect(),
            ..Self::default()
        };
        for (component, name) in parameters {
            found.add_parameter(&component, name);
        }
        found
    }

    fn add_parameter(&mut self, component: &str, name: String) {
        match component {
            "federation-upstream-set" => drop(self.sets.insert(name)),
            "shovel" => drop(self.shovels.insert(name)),
            _ => {}
        }
    }
}

/// A broker that is to become a region.
#[derive(Debug, Clone)]
pub struct Source {
    pub region: RegionName,
    /// How it is reached, and as whom.
    pub broker: ExternalBroker,
    /// Whether nothing is known of how it is reached: it comes from a definitions file.
    pub from_file: bool,
    pub found: Found,
}

/// A topology, and what it cannot say.
#[derive(Debug, Clone)]
pub struct Imported {
    pub topology: Topology,
    /// The topology as a file.
    pub text: String,
    pub diagnostics: Vec<Diagnostic>,
}

/// What the topology is called if nobody says it and no broker has recorded it.
const NAME: &str = "imported";

/// Makes a topology of brokers, in their order.
#[must_use]
pub fn import(name: Option<&str>, sources: &[Source]) -> Imported {
    let mut diagnostics = Vec::new();
    let links = links::find(sources, &mut diagnostics);
    let regions = sources.iter().map(|source| Region {
        name: source.region.clone(),
        broker: Some(links::broker(source, sources, &links, &mut diagnostics)),
        ports: BrokerPorts::default(),
        services: Vec::new(),
    });
    let mut topology = Topology {
        name: project(name, sources),
        master: sources.first().map_or_else(|| RegionName::new(NAME), |source| source.region.clone()),
        broker: BrokerSettings::default(),
        service_image: None,
        regions: regions.collect(),
        tests: Vec::new(),
        federation: Federation {
            upstream: settings::common(&links, &mut diagnostics),
            policies: policies::common(sources, &mut diagnostics),
            ..Federation::default()
        },
    };
    shape::find(&mut topology, &links, &mut diagnostics);
    left_alone(sources, &mut diagnostics);
    let text = text::render(&topology, sources);
    Imported { topology, text, diagnostics }
}

/// The project that has recorded something on all of these brokers, if it is one.
fn project(name: Option<&str>, sources: &[Source]) -> String {
    let recorded: BTreeSet<&String> =
        sources.iter().flat_map(|source| source.found.recorded.keys()).collect();
    let only = recorded.first().filter(|_| recorded.len() == 1).map(|name| name.as_str());
    name.or(only).unwrap_or(NAME).to_owned()
}

/// What stays as it is on the brokers, whatever the topology says.
fn left_alone(sources: &[Source], diagnostics: &mut Vec<Diagnostic>) {
    for Source { region, found, .. } in sources {
        for name in &found.sets {
            let place = Place::UpstreamSet { region: region.clone(), name: name.clone() };
            diagnostics.push(
                Diagnostic::new(codes::UPSTREAM_SET, place, "is not in the topology, and stays as it is")
                    .help("policies of a topology apply to all upstreams of a region"),
            );
        }
        for name in &found.shovels {
            let place = Place::Broker { region: region.clone() };
            let message = format!("shovel `{name}` is not in the topology, and stays as it is");
            diagnostics.push(
                Diagnostic::new(codes::SHOVEL, place, message)
                    .help("make sure that it does not carry what links carry too"),
            );
        }
    }
}
