//! `fedctl doctor`.

use std::{collections::BTreeSet, io::Write, path::Path};

use anyhow::Context;
use fedctl_engine::{docker::Engine, inspect::Inspect};
use fedctl_model::{
    desired::{self, Passwords},
    doctor::{self, Doctor, Facts},
    names::TOPOLOGY_LABEL,
    observed::EngineState,
    outcome::Outcome,
    queues::History,
    site::{Address, Inventory},
    status::Status,
};
use tokio::net::TcpListener;

use super::{failure::Failure, project::Project};
use crate::{
    catalogue::catalogue,
    cli::{self, Choices, Global, TextFormat},
    output::{self, Output},
};

/// Lines of each container's log in a bundle.
const LOG_LINES: usize = 500;

pub async fn run(global: &Global, asked: &cli::Doctor, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, true)?;
    let engine = Engine::connect(global.host.as_deref()).await?;
    let executable = project.executable(&engine).await?;
    let passwords = project.workdir.preview_passwords(&desired::passwords(&project.topology))?;
    let passwords = project.completed(passwords)?;
    let desired = project.desired(&passwords, executable.as_ref(), &[], Choices::default())?;
    let inspect =
        Inspect::for_reports(engine, &project.topology.name, Inventory::of(&project.topology, &passwords));
    let found = inspect
        .engine_state(&desired.containers.iter().map(|container| container.image.clone()).collect())
        .await?;
    let (federated, history) =
        (project.workdir.federated()?, project.workdir.history(&project.topology.name));
    let status = inspect.status(&project.topology, &federated, &history).await?;
    let engine = inspect.engine.facts().await?;
    let facts = Facts {
        topology: &project.topology,
        desired: &desired,
        owner: &project.owner(false)?,
        engine,
        found: &found,
        status: &status,
        taken_ports: taken(&desired).await,
        missing_files: missing_files(&found),
    };
    let report = doctor::doctor(&facts);
    output.data(&match asked.output {
        TextFormat::Text => output::doctor::render(&report),
        TextFormat::Json => output::json(&report)?,
        TextFormat::Yaml => output::yaml(&report)?,
    })?;
    if let Some(path) = &asked.bundle {
        bundle(path, &project, &inspect, &report, &status, &passwords).await?;
        output.message(&format!("wrote `{}`: it has no password in it\n", path.display()));
    }
    Ok(if report.is_healthy() { Outcome::Done } else { Outcome::Degraded })
}

/// The ports, of those that the topology fixes, that cannot be bound on this machine.
async fn taken(desired: &desired::Desired) -> BTreeSet<u16> {
    let fixed =
        desired.containers.iter().flat_map(|container| container.ports.iter().filter_map(|port| port.host));
    let mut taken = BTreeSet::new();
    for port in fixed {
        if TcpListener::bind(Address::published(port).to_string()).await.is_err() {
            taken.insert(port);
        }
    }
    taken
}

fn missing_files(found: &EngineState) -> BTreeSet<String> {
    let files = found.volumes.iter().filter_map(|volume| volume.labels.get(TOPOLOGY_LABEL));
    files.filter(|file| !Path::new(file).exists()).cloned().collect()
}

/// Writes an archive with everything that a report of a bug needs, and no password in it.
async fn bundle(
    path: &Path,
    project: &Project,
    inspect: &Inspect,
    report: &Doctor,
    status: &Status,
    passwords: &Passwords,
) -> Result<(), Failure> {
    let queues = inspect.queues(&project.topology, &catalogue(), &mut History::default()).await?;
    let mut files = vec![
        ("doctor.json".to_owned(), output::json(report)?),
        ("status.json".to_owned(), output::json(status)?),
        ("queues.json".to_owned(), output::json(&queues)?),
        ("version.txt".to_owned(), format!("fedctl {}\n", env!("CARGO_PKG_VERSION"))),
    ];
    for container in inspect.containers().await?.containers {
        let lines = inspect.history(&[&container.name], Some(LOG_LINES)).await?;
        let text = lines.into_iter().fold(String::new(), |text, (_, line)| text + &line.text + "\n");
        files.push((format!("logs/{}.log", container.name), text));
    }
    let write = || -> std::io::Result<()> {
        let mut archive = tar::Builder::new(std::fs::File::create(path)?);
        for (name, text) in files {
            let text = passwords.values().fold(text, |text, password| text.replace(password.expose(), "***"));
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            archive.append_data(&mut header, Path::new("fedctl-doctor").join(name), text.as_bytes())?;
        }
        archive.into_inner()?.flush()
    };
    write()
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| Failure::new(Outcome::Failed, error))
}
