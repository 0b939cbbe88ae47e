//! The read side: what the engine and the brokers say, asked all at once. Whatever reports renders one snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};

use crate::{
    chain::chain,
    docker::{Engine, EngineError, LogLine},
    endpoint::Endpoints,
    rabbitmq::{Broker, BrokerError, Connector, speaks_amqp},
};
use fedctl_model::{
    desired::{self, Desired, Readiness},
    names::{BROKER, INSTANCE_LABEL, PROJECT_LABEL, REGION_LABEL, SERVICE_LABEL, ownership_parameter},
    observed::{Container, ContainerState, Definitions, EngineState, Observed, QueueDetails, Snapshot},
    queues::{self, History, Queues},
    site::{Address, Inventory, Site, Unavailable},
    status::{self, LinkStatus, Status},
    topology::{Catalogue, RegionName, Topology},
    trace::{self, Trace},
};

/// How many containers' logs are read at once.
const AT_ONCE: usize = 8;
/// How long a broker or service may take to answer a report: one that hangs must not hold up the others.
const REPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the engine, the brokers and the services of a project.
#[derive(Debug, Clone)]
pub struct Inspect {
    pub engine: Engine,
    pub endpoints: Endpoints,
    pub inventory: Inventory,
    connector: Connector,
    project: String,
}

/// The links that could be seen.
pub struct Links {
    pub links: Vec<LinkStatus>,
    /// The first broker that did not answer, and why.
    pub unavailable: Option<String>,
}

impl Inspect {
    /// For reports: what does not answer within three seconds is unavailable.
    #[must_use]
    pub fn for_reports(engine: Engine, project: &str, inventory: Inventory) -> Self {
        let (connector, endpoints) = (Connector::within(REPORT_TIMEOUT), Endpoints::within(REPORT_TIMEOUT));
        Self { engine, endpoints, inventory, connector, project: project.to_owned() }
    }

    /// For those who change something: they wait as long as a slow broker needs.
    #[must_use]
    pub fn for_changes(engine: Engine, project: &str, inventory: Inventory) -> Self {
        let (connector, endpoints) = (Connector::default(), Endpoints::default());
        Self { engine, endpoints, inventory, connector, project: project.to_owned() }
    }

    /// The brokers whose place is known.
    #[must_use]
    pub fn brokers(&self, engine: &EngineState) -> BTreeMap<RegionName, Broker> {
        let sites = self.inventory.sites(engine).into_iter();
        sites.filter_map(|(region, site)| Some((region, self.broker(&site.ok()?).ok()?))).collect()
    }

    /// The broker at `site`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached from here, or fedctl has no password for it.
    pub fn broker(&self, site: &Site) -> Result<Broker, Unavailable> {
        self.engine.check_ports().map_err(|error| Unavailable::Unreachable(error.to_string()))?;
        self.connector.broker(site)
    }

    /// Every region, service and link.
    pub async fn status(&self, topology: &Topology) -> Result<Status, EngineError> {
        let engine = self.containers().await?;
        let services = desired::readiness_checks(topology);
        let (brokers, not_ready) =
            tokio::join!(self.ask(&engine, Broker::health), self.not_ready(&engine, services));
        Ok(status::status(topology, &Snapshot { brokers, not_ready, engine }))
    }

    /// Every queue, and how it moves.
    pub async fn queues(
        &self,
        topology: &Topology,
        catalogue: &Catalogue,
        history: &mut History,
    ) -> Result<Queues, EngineError> {
        let engine = self.containers().await?;
        let brokers = self.ask(&engine, Broker::queue_details).await;
        let found: Snapshot<Vec<QueueDetails>> = Snapshot { engine, brokers, not_ready: BTreeMap::new() };
        Ok(queues::queues(topology, catalogue.dead_letters, &found, history))
    }

    /// One request's path through services and regions, by its correlation identifier.
    pub async fn trace(&self, catalogue: &Catalogue, correlation_id: &str) -> Result<Trace, EngineError> {
        let found = self.containers().await?.containers;
        let instances: Vec<(RegionName, &str, &str)> = found.iter().filter_map(instance_of).collect();
        let names: Vec<&str> = instances.iter().map(|(_, _, name)| *name).collect();
        let lines = self.history(&names, None).await?;
        let lines = lines.iter().map(|(index, line)| {
            let (region, instance, _) = &instances[*index];
            (region, *instance, line.text.as_str())
        });
        Ok(trace::trace(correlation_id, &catalogue.log, lines))
    }

    /// Everything that a plan is made from.
    pub async fn definitions(&self, desired: &Desired) -> Result<Snapshot<Definitions>, EngineError> {
        let images = desired.containers.iter().map(|container| container.image.clone()).collect();
        let engine = self.engine_state(&images).await?;
        let parameter = ownership_parameter(&self.project);
        let checked = desired.containers.iter();
        let checked =
            checked.filter_map(|container| Some((container.name.clone(), container.readiness.clone()?)));
        let (mut brokers, not_ready) = tokio::join!(
            self.ask(&engine, async |broker| broker.definitions(&parameter).await),
            self.not_ready(&engine, checked),
        );
        for found in brokers.values_mut() {
            // a broker that is still starting does not know its users yet
            if let (Some(site), Err(Unavailable::Unauthorized)) = (&found.site, &found.answer)
                && !speaks_amqp(&site.amqp).await
            {
                found.answer = Err(Unavailable::Unreachable("the broker is starting".into()));
            }
        }
        Ok(Snapshot { engine, brokers, not_ready })
    }

    /// The links of the topology, as brokers that were found before report them.
    pub async fn links(&self, topology: &Topology, brokers: &BTreeMap<RegionName, Broker>) -> Links {
        let asked = brokers.iter().map(async |(region, broker)| {
            let answer = broker.health().await.map_err(|error| unavailable(&error));
            (region.clone(), Observed { site: Some(broker.site().clone()), answer })
        });
        let brokers: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
        let unavailable = brokers
            .iter()
            .find_map(|(region, found)| Some(format!("{region}: {}", found.answer.as_ref().err()?)));
        Links { links: status::links(topology, &Snapshot { brokers, ..Snapshot::default() }), unavailable }
    }

    /// Asks every broker at once. Each has an entry, whether it answers or not.
    async fn ask<T>(
        &self,
        engine: &EngineState,
        question: impl AsyncFn(&Broker) -> Result<T, BrokerError>,
    ) -> BTreeMap<RegionName, Observed<T>> {
        let question = &question;
        let asked = self.inventory.sites(engine).into_iter().map(async |(region, site)| {
            let answer = match site.as_ref().map_err(Unavailable::clone).and_then(|site| self.broker(site)) {
                Ok(broker) => question(&broker).await.map_err(|error| unavailable(&error)),
                Err(unavailable) => Err(unavailable),
            };
            (region, Observed { site: site.ok(), answer })
        });
        join_all(asked).await.into_iter().collect()
    }

    /// What the engine has, and which of these images.
    pub async fn engine_state(&self, images: &BTreeSet<String>) -> Result<EngineState, EngineError> {
        let engine = &self.engine;
        let (networks, volumes, containers, images) = tokio::try_join!(
            engine.networks(),
            engine.volumes(),
            engine.containers(None),
            engine.images(images)
        )?;
        Ok(EngineState { images, networks, volumes, containers })
    }

    /// Only the project's containers: enough for a report, and quicker.
    pub async fn containers(&self) -> Result<EngineState, EngineError> {
        let label = format!("{PROJECT_LABEL}={}", self.project);
        Ok(EngineState { containers: self.engine.containers(Some(&label)).await?, ..EngineState::default() })
    }

    /// Which of these services, by container, run and are not ready, and why.
    async fn not_ready(
        &self,
        engine: &EngineState,
        services: impl IntoIterator<Item = (String, Readiness)>,
    ) -> BTreeMap<String, String> {
        let reachable = self.engine.check_ports().is_ok();
        let services = services.into_iter().filter(|_| reachable);
        let asked = services.filter_map(|(name, Readiness { path, port })| {
            let found = engine.container(&name)?;
            let port = found.ports.get(&port).filter(|_| found.state == ContainerState::Running)?;
            let endpoint = self.endpoints.at(&Address::published(*port));
            Some(async move { Some((name, endpoint.ready(&path).await.err()?)) })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// What containers have logged, or only the last `tail` lines of each, in order of time; each line with the
    /// index of its container.
    pub async fn history(
        &self,
        containers: &[&str],
        tail: Option<usize>,
    ) -> Result<Vec<(usize, LogLine)>, EngineError> {
        let lines = containers.iter().enumerate().map(|(index, name)| {
            let lines = self.engine.logs(name, None, tail, false);
            lines.map_ok(move |line| (index, line)).try_collect::<Vec<_>>()
        });
        let mut lines = stream::iter(lines).buffered(AT_ONCE).try_concat().await?;
        lines.sort_by(|(_, one), (_, other)| one.at.cmp(&other.at));
        Ok(lines)
    }
}

fn unavailable(error: &BrokerError) -> Unavailable {
    if error.is_unauthorized() { Unavailable::Unauthorized } else { Unavailable::Unreachable(chain(error)) }
}

/// The region, instance and name of a container that is a service's.
fn instance_of(container: &Container) -> Option<(RegionName, &str, &str)> {
    let region = container.labels.get(REGION_LABEL)?;
    // containers of older versions have the instance's name in the label of the service
    let instance = container.labels.get(INSTANCE_LABEL).or_else(|| container.labels.get(SERVICE_LABEL));
    let instance = instance.filter(|instance| *instance != BROKER)?;
    Some((RegionName::new(region), instance, &container.name))
}
