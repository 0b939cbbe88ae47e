//! What the values of a topology mean together: one file for each check, and the list of all of them.
//!
//! A new lint is a file here with its codes and its `check`, and a line in [`ALL`].

mod acknowledgements;
mod built_in_names;
mod copies;
mod distinct_names;
mod duplicates_allowed;
mod expectations;
mod exposed_passwords;
mod external;
mod host_ports;
mod images;
mod limited_waiting;
mod master;
mod memory;
mod patterns;
mod policy_definitions;
mod readiness;
mod reserved_names;
mod reserved_variables;
mod shapes;
mod unknown_instances;
mod unknown_services;
mod unknown_variables;
mod unlinked;
mod upstream_settings;

use super::{Catalogue, Topology, findings::Findings, tree::Tree};
use crate::diagnostic::Code;

/// Every check, in no particular order: the findings are sorted.
const ALL: [Lint; 24] = [
    acknowledgements::LINT,
    built_in_names::LINT,
    copies::LINT,
    distinct_names::LINT,
    duplicates_allowed::LINT,
    expectations::LINT,
    exposed_passwords::LINT,
    external::LINT,
    host_ports::LINT,
    limited_waiting::LINT,
    images::LINT,
    master::LINT,
    memory::LINT,
    patterns::LINT,
    policy_definitions::LINT,
    readiness::LINT,
    reserved_names::LINT,
    reserved_variables::LINT,
    shapes::LINT,
    unknown_instances::LINT,
    unknown_services::LINT,
    unknown_variables::LINT,
    unlinked::LINT,
    upstream_settings::LINT,
];

/// A check of a topology whose every single value has its right shape.
struct Lint {
    /// What it can find.
    codes: &'static [Code],
    check: fn(&Topology, &mut Places<'_, '_, '_>),
}

/// What a check may count on, and the findings, added by the path of a value instead of its place in the text.
///
/// A path is that of the file's own keys, such as `regions/1/services/0/name`.
struct Places<'a, 'f, 't> {
    catalogue: &'a Catalogue,
    tree: &'a Tree,
    findings: &'f mut Findings<'t>,
}

impl Places<'_, '_, '_> {
    /// Adds a finding about a value, or the nearest one around it.
    fn add(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.add(code, self.tree.span_of(path), message.into(), Some(help.into()));
    }

    /// Adds a finding about the last key of a path.
    fn add_at_key(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.add(code, self.tree.key_span_of(path), message.into(), Some(help.into()));
    }

    /// The line of a value, counted from 1.
    fn line(&self, path: &str) -> usize {
        self.findings.line(self.tree.span_of(path).start)
    }
}

pub(super) fn check(topology: &Topology, catalogue: &Catalogue, tree: &Tree, findings: &mut Findings) {
    let mut places = Places { catalogue, tree, findings };
    for lint in ALL {
        (lint.check)(topology, &mut places);
    }
}

pub(super) fn codes() -> impl Iterator<Item = Code> {
    ALL.into_iter().flat_map(|lint| lint.codes).copied()
}

/// Every service of every region, with its path.
fn services(topology: &Topology) -> impl Iterator<Item = (String, &super::Service)> {
    topology.regions.iter().enumerate().flat_map(|(index, region)| {
        let services = region.services.iter().enumerate();
        services.map(move |(service_index, service)| {
            (format!("regions/{index}/services/{service_index}"), service)
        })
    })
}
