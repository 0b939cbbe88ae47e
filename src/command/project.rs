//! What every command starts from: the topology, its directory, the engine.

use std::collections::BTreeMap;

use anyhow::anyhow;
use tokio::time::Instant;

use crate::{
    cli::Global,
    output::{self, Output},
};
use fedctl_engine::{apply::Tools, docker::Engine, executable::Executable, workdir::Workdir};
use fedctl_model::{
    desired::{self, ADMINISTRATOR, Desired, Passwords},
    event::Events,
    outcome::Outcome,
    topology::{self, RegionName, Topology},
};

use super::failure::Failure;

/// A topology that was read and found valid.
pub struct Project {
    /// The topology.
    pub topology: Topology,
    /// The directory beside it.
    pub workdir: Workdir,
}

impl Project {
    /// Reads and checks the topology. Warnings are printed where `warn` says so.
    pub fn load(global: &Global, output: Output, warn: bool) -> Result<Self, Failure> {
        let path = &global.file;
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Outcome::InvalidTopology, anyhow!("cannot read `{shown}`: {error}"))
                .hint("name the topology with `--file FILE`, or run fedctl where `regions.yaml` is")
        })?;
        let print = |findings: &[topology::Finding]| {
            output.message(&output::findings::render(findings, &text, &shown, output.color_on_stderr()));
        };
        match topology::parse(&text) {
            Ok((topology, warnings)) => {
                if warn {
                    print(&warnings);
                }
                Ok(Self { topology, workdir: Workdir::beside(path) })
            }
            Err(findings) => {
                print(&findings);
                let error = anyhow!("`{shown}` has {} findings", findings.len());
                Err(Failure::new(Outcome::InvalidTopology, error))
            }
        }
    }

    /// The regions of these names, or all of them for none.
    pub fn regions(&self, names: &[String]) -> Result<Vec<RegionName>, Failure> {
        let known = || self.topology.regions.iter().map(|region| region.name.clone());
        if names.is_empty() {
            return Ok(known().collect());
        }
        names
            .iter()
            .map(|name| {
                known().find(|region| region.as_str() == name).ok_or_else(|| {
                    let regions = known().map(|region| region.to_string()).collect::<Vec<_>>().join(", ");
                    Failure::new(Outcome::Usage, anyhow!("there is no region `{name}`"))
                        .hint(format!("regions: {regions}"))
                })
            })
            .collect()
    }

    /// What should exist, or the chosen regions' part of it.
    pub fn desired(&self, passwords: &Passwords, image: &str, chosen: &[String]) -> Result<Desired, Failure> {
        let desired = desired::desired(&self.topology, passwords, image);
        let regions = self.regions(chosen)?;
        Ok(if chosen.is_empty() { desired } else { desired.only(&regions) })
    }
}

/// What steps work with.
pub fn tools(
    engine: Engine,
    passwords: &Passwords,
    executable: Option<Executable>,
    events: Events,
    deadline: Instant,
) -> Tools {
    let administrators: BTreeMap<RegionName, _> = passwords
        .iter()
        .filter(|(id, _)| id.user == ADMINISTRATOR)
        .map(|(id, password)| (id.region.clone(), password.clone()))
        .collect();
    Tools {
        engine,
        connector: fedctl_engine::rabbitmq::Connector::default(),
        endpoints: fedctl_engine::endpoint::Endpoints::default(),
        executable,
        administrators,
        brokers: std::cell::RefCell::default(),
        events,
        deadline,
    }
}
