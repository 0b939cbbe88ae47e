//! `fedctl import`.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, anyhow};

use fedctl_engine::{credentials, docker::Engine, inspect::Inspect};
use fedctl_model::{
    desired::Passwords,
    import::{Found, Imported, Source, import, read},
    outcome::Outcome,
    site::{Address, Inventory, MANAGEMENT_PORT},
    topology::{self, ExternalBroker, PasswordSource, Region, RegionName, Topology},
};

use super::{failure::Failure, new_file};
use crate::{
    catalogue::catalogue,
    cli,
    output::{self, Output},
};

pub async fn run(asked: &cli::Import, output: Output) -> Result<Outcome, Failure> {
    if let Some(path) = &asked.output {
        new_file::check(path)?;
    }
    let mut sources = Vec::new();
    for (region, url) in &asked.brokers {
        sources.push(source(asked, region, url, false)?);
    }
    look(&mut sources).await?;
    for (region, path) in &asked.definitions {
        // where it is reached the file does not say
        let assumed = Address { host: region.clone(), port: MANAGEMENT_PORT, tls: false };
        let mut source = source(asked, region, &assumed.url(), true)?;
        source.found = definitions(path, &source.broker.vhost)?;
        sources.push(source);
    }
    let Imported { topology, text, diagnostics } = import(asked.name.as_deref(), &sources);
    match &asked.output {
        Some(path) => new_file::write(path, &text)?,
        None => output.data(&text)?,
    }
    output.message(&output::plan::unsaid(&diagnostics));
    let shown = asked.output.as_deref().unwrap_or(Path::new("standard output")).display().to_string();
    if let Err(findings) = topology::parse(&text, &catalogue()) {
        output.message(&output::findings::render(&findings, &text, &shown, output.color_on_stderr()));
        let error = anyhow!("what is on the brokers makes no valid topology as it is");
        return Err(Failure::new(Outcome::InvalidTopology, error).hint("edit what was written"));
    }
    next(&topology, asked.output.as_deref(), output);
    Ok(if diagnostics.is_empty() { Outcome::Done } else { Outcome::Degraded })
}

/// A broker as it is named, not yet read.
fn source(asked: &cli::Import, region: &str, url: &str, from_file: bool) -> Result<Source, Failure> {
    let name = RegionName::new(region);
    let usage = |reason: String| {
        Failure::new(Outcome::Usage, anyhow!("not the URL of `{region}`'s broker: {reason}")).hint(
            "such as `europe=https://fedctl@rabbitmq.example.com`; the password is in `EUROPE_PASSWORD`",
        )
    };
    let mut broker = ExternalBroker::at(url, &name).map_err(usage)?;
    let names_user = url.split_once('@').is_some();
    if let Some(user) = asked.user.clone().filter(|_| !names_user) {
        broker.user = user;
    }
    let of_region = |all: &[(String, String)]| {
        all.iter().find(|(other, _)| other == region).map(|(_, value)| value.clone())
    };
    if let Some(amqp) = of_region(&asked.amqp) {
        broker.amqp = amqp;
    }
    let own = asked.vhost.iter().find_map(|given| given.strip_prefix(&format!("{region}=")));
    let all = || asked.vhost.iter().find(|given| !given.contains('=')).map(String::as_str);
    if let Some(vhost) = own.or_else(all) {
        vhost.clone_into(&mut broker.vhost);
    }
    if let Some(variable) = &asked.password_variable {
        broker.password = Some(format!("${{{variable}}}"));
    }
    if let Some(file) = &asked.password_file {
        broker.password = None;
        broker.password_file = Some(absolute(file)?);
    }
    broker.ca_file = asked.ca_file.as_deref().map(absolute).transpose()?;
    Ok(Source { region: name, broker, from_file, found: Found::default() })
}

fn absolute(file: &Path) -> Result<String, Failure> {
    Ok(std::path::absolute(file)?.display().to_string())
}

fn definitions(path: &str, vhost: &str) -> Result<Found, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"));
    let text = text.map_err(|error| Failure::new(Outcome::Usage, error))?;
    read(&text, vhost).map_err(|reason| {
        Failure::new(Outcome::Usage, anyhow!("`{path}` has no definitions to import: {reason}"))
            .hint("`rabbitmqctl export_definitions FILE`, or \"Export definitions\" of the management UI, writes one")
    })
}

/// Reads all brokers at once.
async fn look(sources: &mut [Source]) -> Result<(), Failure> {
    let regions = sources.iter().map(|source| Region {
        name: source.region.clone(),
        broker: Some(source.broker.clone()),
        ports: topology::BrokerPorts::default(),
        services: Vec::new(),
    });
    // no project is called like that, so what any has recorded is another's
    let topology = Topology {
        name: String::new(),
        master: RegionName::new(""),
        broker: topology::BrokerSettings::default(),
        service_image: None,
        regions: regions.collect(),
        federation: topology::Federation::default(),
        tests: Vec::new(),
    };
    let mut passwords = Passwords::new();
    if let Some(missing) = credentials::add_given(&topology, Path::new(""), &mut passwords).into_iter().next()
    {
        return Err(Failure::new(Outcome::Usage, missing.into())
            .hint("set it, or name another with `--password-variable`, or a file with `--password-file`"));
    }
    let inspect = Inspect::for_changes(Engine::none()?, "", Inventory::of(&topology, &passwords));
    let mut found = inspect.importable().await;
    for source in sources {
        let answer = found.remove(&source.region).map(|found| found.answer);
        source.found = match answer {
            Some(Ok(found)) => found,
            Some(Err(unavailable)) => {
                let error = anyhow!("broker `{}`: {unavailable}", source.region);
                let code = unavailable.code();
                return Err(Failure::new(Outcome::Unreachable, error).hint(format!("fedctl explain {code}")));
            }
            None => Found::default(),
        };
    }
    Ok(())
}

/// What to set and to run.
fn next(topology: &Topology, file: Option<&Path>, output: Output) {
    let given = topology.given_passwords();
    let variables: BTreeSet<&str> = given
        .iter()
        .filter_map(|(_, source)| match source {
            PasswordSource::Variable(name) => Some(*name),
            PasswordSource::File(_) | PasswordSource::Workdir => None,
        })
        .collect();
    let variables = variables.into_iter().collect::<Vec<_>>().join(", ");
    if !variables.is_empty() {
        output.message(&format!("passwords are taken from the environment: {variables}\n"));
    }
    let file = file.map(|file| format!("--file {} ", file.display())).unwrap_or_default();
    output.message(&format!("next: fedctl {file}plan --adopt\n"));
}
