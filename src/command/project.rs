//! What every command starts from: the topology, its directory, the engine.

use std::{cell::RefCell, path::PathBuf};

use anyhow::{Context, anyhow};
use tokio::time::Instant;

use crate::{
    catalogue::catalogue,
    cli::{Choices, Global},
    output::{self, Output},
};
use fedctl_engine::{
    apply::Tools,
    credentials,
    docker::Engine,
    executable::Executable,
    inspect::Inspect,
    workdir::{Lock, Workdir},
};
use fedctl_model::{
    counted::counted,
    desired::{self, Desired, Leftovers, Owner, Passwords},
    diagnostic::Diagnostic,
    event::Events,
    names::SERVICE_IMAGE,
    outcome::Outcome,
    site::Inventory,
    topology::{self, RegionName, Topology},
};

use super::failure::Failure;

/// A topology that was read and found valid.
pub struct Project {
    /// The topology.
    pub topology: Topology,
    /// The directory next to it.
    pub workdir: Workdir,
    file: PathBuf,
}

/// A topology file that was read and not yet checked.
pub struct Source {
    /// Its text.
    pub text: String,
    /// Its path, for messages.
    pub shown: String,
}

impl Source {
    /// Reads the topology file.
    pub fn read(global: &Global) -> Result<Self, Failure> {
        let shown = global.file.display().to_string();
        let text = std::fs::read_to_string(&global.file).with_context(|| format!("cannot read `{shown}`"));
        let text = text.map_err(|error| {
            Failure::new(Outcome::InvalidTopology, error).hint(
                "pass the topology with `--file FILE`, or run fedctl in the directory of `regions.yaml`",
            )
        })?;
        Ok(Self { text, shown })
    }
}

impl Project {
    /// Reads and checks the topology; prints the warnings if `warn`.
    pub fn load(global: &Global, output: Output, warn: bool) -> Result<Self, Failure> {
        let Source { text, shown } = Source::read(global)?;
        let catalogue = catalogue();
        let print = |findings: &[Diagnostic]| {
            let color = output.color_on_stderr();
            output.message(&output::findings::render_briefly(findings, &text, &shown, color));
        };
        match topology::parse(&text, &catalogue) {
            Ok((topology, warnings)) => {
                if warn {
                    print(&warnings);
                }
                Ok(Self::of(topology, global))
            }
            Err(findings) => {
                print(&findings);
                let error = anyhow!("`{shown}` has {}", counted(findings.len(), "finding"));
                Err(Failure::new(Outcome::InvalidTopology, error))
            }
        }
    }

    /// A valid topology and the directory next to its file, to which the paths in it are relative.
    pub fn of(mut topology: Topology, global: &Global) -> Self {
        for broker in topology.regions.iter_mut().filter_map(|region| region.broker.as_mut()) {
            let found = |file| global.file.with_file_name("").join(file).display().to_string();
            broker.ca_file = broker.ca_file.take().map(found);
        }
        Self { topology, workdir: Workdir::next_to(&global.file), file: global.file.clone() }
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

    /// Whose the project is: this topology file's.
    pub fn owner(&self, take_over: bool) -> Result<Owner, Failure> {
        Ok(Owner { file: self.file.canonicalize()?.display().to_string(), take_over })
    }

    /// Locks this directory, and a project on its engine.
    pub fn lock(&self, global: &Global, project: &str) -> Result<[Lock; 2], Failure> {
        let directory = self.workdir.lock()?;
        let engine = self.unchecked_engine(global)?;
        Ok([directory, Lock::of_project(project, &engine.address().url)?])
    }

    /// The engine, which is there if it is needed.
    pub async fn engine(&self, global: &Global) -> Result<Engine, Failure> {
        if !self.topology.has_containers() {
            return Ok(Engine::none()?);
        }
        Ok(Engine::connect(global.host.as_deref()).await?)
    }

    /// The same, to which nothing is sent yet.
    fn unchecked_engine(&self, global: &Global) -> Result<Engine, Failure> {
        if !self.topology.has_containers() {
            return Ok(Engine::none()?);
        }
        Ok(Engine::at(global.host.as_deref())?)
    }

    /// The passwords that are known by now.
    pub fn passwords(&self) -> Result<Passwords, Failure> {
        let mut passwords = self.workdir.passwords()?;
        credentials::add_given(&self.topology, &self.directory(), &mut passwords);
        Ok(passwords)
    }

    /// The passwords on disk, with new ones that stay there. Nobody else adds any meanwhile.
    pub fn keep_passwords(&self) -> Result<Passwords, Failure> {
        let _lock = self.workdir.lock()?;
        Ok(self.workdir.complete_passwords(&desired::passwords(&self.topology))?)
    }

    /// All passwords, where new ones were added to those that are on disk.
    pub fn completed(&self, mut passwords: Passwords) -> Result<Passwords, Failure> {
        let missing = credentials::add_given(&self.topology, &self.directory(), &mut passwords);
        match missing.into_iter().next() {
            None => Ok(passwords),
            Some(missing) => Err(Failure::new(Outcome::Usage, missing.into()).hint(
                "passwords are never in the topology file: `password: ${NAME}` or `password-file: FILE`",
            )),
        }
    }

    fn directory(&self) -> PathBuf {
        self.file.with_file_name("")
    }

    /// The brokers, with the passwords that are known by now.
    pub fn inventory(&self) -> Result<Inventory, Failure> {
        Ok(Inventory::of(&self.topology, &self.passwords()?))
    }

    /// What reads the engine, the brokers and the services, for a report.
    pub fn inspect(&self, global: &Global) -> Result<Inspect, Failure> {
        let engine = self.unchecked_engine(global)?;
        Ok(Inspect::for_reports(engine, &self.topology.name, self.inventory()?))
    }

    /// What the image of the built-in services is packed from, if it has to be.
    pub async fn executable(&self, engine: &Engine) -> Result<Option<Executable>, Failure> {
        if self.topology.needs_packed_image() {
            let known = self.workdir.executable();
            let executable = Executable::for_containers(&engine.platform().await?, known.clone())?;
            if known.as_ref() != Some(&executable) {
                // the next run finds out again
                self.workdir.keep_executable(&executable).ok();
            }
            Ok(Some(executable))
        } else {
            Ok(None)
        }
    }

    /// What should exist, or the chosen regions' part of it.
    pub fn desired(
        &self,
        passwords: &Passwords,
        executable: Option<&Executable>,
        chosen: &[String],
        choices: Choices,
    ) -> Result<Desired, Failure> {
        let packed_image = executable.map_or(SERVICE_IMAGE, Executable::reference);
        let mut desired = desired::desired(&self.topology, &catalogue(), passwords, packed_image);
        desired.owner = self.topology.has_containers().then(|| self.owner(choices.take_over)).transpose()?;
        desired.leftovers = leftovers(choices);
        desired.adopt = choices.adopt;
        desired.interrupted = self.workdir.changing()?;
        let regions = self.regions(chosen)?;
        Ok(if chosen.is_empty() { desired } else { desired.only(&regions) })
    }
}

/// What was chosen for messages of links that exist no more.
pub fn leftovers(choices: Choices) -> Leftovers {
    match (choices.keep, choices.discard) {
        (true, _) => Leftovers::Keep,
        (false, true) => Leftovers::Discard,
        (false, false) => Leftovers::Refuse,
    }
}

/// What steps work with.
pub fn tools(
    project: &Project,
    engine: Engine,
    inventory: Inventory,
    wanted: Vec<desired::Broker>,
    executable: Option<Executable>,
    events: Events,
    deadline: Instant,
) -> Tools {
    Tools {
        inspect: Inspect::for_changes(engine, &project.topology.name, inventory),
        topology: project.topology.clone(),
        wanted,
        executable,
        brokers: RefCell::default(),
        attached: RefCell::default(),
        events,
        deadline,
    }
}
