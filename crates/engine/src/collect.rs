//! Asks the engine and the brokers, all at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{
    StreamExt, TryStreamExt,
    future::{join_all, try_join_all},
    stream,
};

use crate::{
    docker::{Engine, EngineError, LogLine},
    endpoint::Endpoints,
    rabbitmq::{Broker, BrokerError, Connector, speaks_amqp},
};
use fedctl_model::{
    desired::{
        ADMINISTRATOR, AMQP_PORT, BROKER, Desired, MANAGEMENT_PORT, PROJECT_LABEL, PasswordId, Passwords,
        REGION_LABEL, SERVICE_LABEL, SERVICE_PORT, container, ownership_parameter,
    },
    observed::{BrokerHealth, Container, ContainerState, Definitions, EngineState, Observed, QueueDetails},
    topology::RegionName,
};

/// How many containers' logs are read at once.
const AT_ONCE: usize = 8;

/// What the engine has, and which of these images.
///
/// # Errors
///
/// If the engine fails.
pub async fn engine(engine: &Engine, images: &BTreeSet<String>) -> Result<EngineState, EngineError> {
    let found = images.iter().map(async |reference| Ok((reference.clone(), engine.image(reference).await?)));
    let (networks, volumes, containers, images) =
        tokio::try_join!(engine.networks(), engine.volumes(), engine.containers(None), try_join_all(found))?;
    let images = images.into_iter().filter_map(|(reference, id)| Some((reference, id?))).collect();
    Ok(EngineState { images, networks, volumes, containers })
}

/// Only a project's containers: enough to look, and quicker.
///
/// # Errors
///
/// If the engine fails.
pub async fn containers(engine: &Engine, project: &str) -> Result<EngineState, EngineError> {
    let label = format!("{PROJECT_LABEL}={project}");
    Ok(EngineState { containers: engine.containers(Some(&label)).await?, ..EngineState::default() })
}

/// Everything that a plan is made from. A broker that does not answer is left out.
///
/// # Errors
///
/// If the engine fails.
pub async fn observed(
    docker: &Engine,
    connector: &Connector,
    endpoints: &Endpoints,
    desired: &Desired,
    passwords: &Passwords,
) -> Result<Observed, EngineError> {
    let images = desired.containers.iter().map(|container| container.image.clone()).collect();
    let engine = engine(docker, &images).await?;
    let regions: Vec<RegionName> = desired.brokers.iter().map(|broker| broker.region.clone()).collect();
    let asked = brokers(&engine, connector, &desired.project, &regions, passwords);
    let services = desired.containers.iter().filter(|container| container.says_when_ready);
    let (definitions, not_ready) = tokio::join!(
        definitions(&asked, &desired.project),
        not_ready(&engine, endpoints, services.map(|service| service.name.clone())),
    );
    let (mut brokers, mut locked_out) = (BTreeMap::new(), BTreeSet::new());
    for (region, found) in definitions {
        match found {
            Ok(definitions) => drop(brokers.insert(region, definitions)),
            Err(error) if error.is_unauthorized() && is_up(&engine, &desired.project, &region).await => {
                locked_out.insert(region);
            }
            Err(_) => {}
        }
    }
    Ok(Observed { engine, brokers, locked_out, not_ready })
}

/// Which of these services run and do not work yet, and why.
pub async fn not_ready(
    engine: &EngineState,
    endpoints: &Endpoints,
    services: impl IntoIterator<Item = String>,
) -> BTreeMap<String, String> {
    let asked = services.into_iter().filter_map(|name| {
        let found = engine.containers.iter().find(|container| container.name == name)?;
        let port = found.ports.get(&SERVICE_PORT).filter(|_| found.state == ContainerState::Running)?;
        Some(async move { Some((name, endpoints.at(*port).ready().await.err()?)) })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a region's broker has started: one that still does knows no user yet.
async fn is_up(engine: &EngineState, project: &str, region: &RegionName) -> bool {
    let name = container(project, region, BROKER);
    let found = engine.containers.iter().find(|container| container.name == name);
    match found.and_then(|container| container.ports.get(&AMQP_PORT)) {
        Some(port) => speaks_amqp(*port).await,
        None => false,
    }
}

/// The brokers whose containers run.
#[must_use]
pub fn brokers(
    engine: &EngineState,
    connector: &Connector,
    project: &str,
    regions: &[RegionName],
    passwords: &Passwords,
) -> BTreeMap<RegionName, Broker> {
    let broker = |region: &RegionName| {
        let name = container(project, region, BROKER);
        let found = engine.containers.iter().find(|container| container.name == name)?;
        let port = found.ports.get(&MANAGEMENT_PORT).filter(|_| found.state == ContainerState::Running)?;
        let id = PasswordId { region: region.clone(), user: ADMINISTRATOR.into() };
        Some((region.clone(), connector.broker(region, *port, passwords.get(&id)?)))
    };
    regions.iter().filter_map(broker).collect()
}

async fn definitions(
    brokers: &BTreeMap<RegionName, Broker>,
    project: &str,
) -> BTreeMap<RegionName, Result<Definitions, BrokerError>> {
    let parameter = ownership_parameter(project);
    let asked =
        brokers.iter().map(async |(region, broker)| (region.clone(), broker.definitions(&parameter).await));
    join_all(asked).await.into_iter().collect()
}

/// How each broker and its links are. A slow one does not keep the others waiting longer than the
/// management API's own time-out.
pub async fn health(
    brokers: &BTreeMap<RegionName, Broker>,
) -> BTreeMap<RegionName, Result<BrokerHealth, BrokerError>> {
    let asked = brokers.iter().map(async |(region, broker)| (region.clone(), broker.health().await));
    join_all(asked).await.into_iter().collect()
}

/// What is in each broker's queues.
pub async fn queues(
    brokers: &BTreeMap<RegionName, Broker>,
) -> BTreeMap<RegionName, Result<Vec<QueueDetails>, BrokerError>> {
    let asked = brokers.iter().map(async |(region, broker)| (region.clone(), broker.queue_details().await));
    join_all(asked).await.into_iter().collect()
}

/// The region, service and name of a container that is a service's.
#[must_use]
pub fn service_of(container: &Container) -> Option<(RegionName, &str, &str)> {
    let region = container.labels.get(REGION_LABEL)?;
    let service = container.labels.get(SERVICE_LABEL).filter(|service| *service != BROKER)?;
    Some((RegionName::new(region), service, &container.name))
}

/// What containers have printed, or only the last `tail` lines of each, in order of time; each line with the
/// index of its container.
///
/// # Errors
///
/// If the engine fails.
pub async fn history(
    engine: &Engine,
    containers: &[&str],
    tail: Option<usize>,
) -> Result<Vec<(usize, LogLine)>, EngineError> {
    let lines = containers.iter().enumerate().map(|(index, name)| {
        engine.logs(name, None, tail, false).map_ok(move |line| (index, line)).try_collect::<Vec<_>>()
    });
    let mut lines = stream::iter(lines).buffered(AT_ONCE).try_concat().await?;
    lines.sort_by(|(_, one), (_, other)| one.at.cmp(&other.at));
    Ok(lines)
}
