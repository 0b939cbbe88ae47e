//! The read side: what the engine and the brokers say, asked all at once. Whatever reports renders one snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use tokio::time::timeout;

use crate::{
    chain::chain,
    docker::{Engine, EngineError, LogLine},
    endpoint::Endpoints,
    rabbitmq::{Broker, BrokerError, Connector, speaks_amqp},
};
use fedctl_model::{
    check::BrokerFacts,
    desired::{self, Desired, Readiness},
    import::Found,
    names::{BROKER, INSTANCE_LABEL, PROJECT_LABEL, REGION_LABEL, SERVICE_LABEL, container},
    observed::{
        BrokerHealth, Container, ContainerState, Definitions, EngineState, Federated, Observed, Plugin,
        QueueDetails, Snapshot,
    },
    queues::{self, Queues},
    site::{Address, Inventory, Site, Unavailable},
    status::{self, History, Status},
    topology::{Catalogue, RegionName, Topology},
    trace::{self, Trace},
};

/// How many containers' logs are read at once.
const AT_ONCE: usize = 8;
/// How long a broker or service may take to answer a report, which is due within two seconds.
const REPORT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long to wait for a management API before finding out whether the broker speaks AMQP at all.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// How long a broker that speaks AMQP takes at most to say so, however busy it is.
const GREETING: Duration = Duration::from_secs(1);

/// Asks the engine, the brokers and the services of a project.
#[derive(Debug, Clone)]
pub struct Inspect {
    pub engine: Engine,
    pub endpoints: Endpoints,
    pub inventory: Inventory,
    connector: Connector,
    project: String,
}

impl Inspect {
    /// For reports: what does not answer within a second and a half is unavailable.
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
        if site.is_ours() {
            self.engine.check_ports().map_err(|error| Unavailable::OutOfReach(error.to_string()))?;
        }
        self.connector.broker(site)
    }

    /// Every region, service and link. `federated` is what was federated when `up` last finished.
    pub async fn status(
        &self,
        topology: &Topology,
        federated: &Federated,
        history: &History,
    ) -> Result<Status, EngineError> {
        let engine = self.containers().await?;
        let services = desired::readiness_checks(topology);
        let (brokers, not_ready) =
            tokio::join!(self.ask(&engine, Broker::health), self.not_ready(&engine, services));
        let mut found = Snapshot { brokers, not_ready, engine };
        self.explain(topology, &mut found).await;
        self.name_killed(topology, &mut found).await;
        let remembered = history.expected(federated, |region| found.answer(region).is_none());
        Ok(status::status(topology, &found, &remembered))
    }

    /// The health of every broker.
    pub async fn health(&self, topology: &Topology) -> Result<Snapshot<BrokerHealth>, EngineError> {
        let engine = self.containers().await?;
        let brokers = self.ask(&engine, Broker::health).await;
        let mut found = Snapshot { brokers, engine, not_ready: BTreeMap::new() };
        self.explain(topology, &mut found).await;
        Ok(found)
    }

    /// What every broker holds, as far as checks look at it.
    pub async fn facts(&self) -> Result<Snapshot<BrokerFacts>, EngineError> {
        let engine = self.containers().await?;
        let brokers = self.ask(&engine, Broker::facts).await;
        Ok(Snapshot { brokers, engine, not_ready: BTreeMap::new() })
    }

    /// What every broker holds, as far as an import needs it.
    pub async fn importable(&self) -> BTreeMap<RegionName, Observed<Found>> {
        self.ask(&EngineState::default(), Broker::importable).await
    }

    /// Asks the brokers that lack links what they hold for them. One that does not answer leaves the cause unknown.
    async fn explain(&self, topology: &Topology, found: &mut Snapshot<BrokerHealth>) {
        let unexplained = status::unexplained(&status::links(topology, found, &Federated::new()));
        let asked = unexplained.into_iter().filter_map(|region| {
            let broker = self.broker(found.brokers.get(&region)?.site.as_ref()?).ok()?;
            Some(async move { (region, broker.link_definitions().await.ok()) })
        });
        for (region, definitions) in join_all(asked).await {
            if let Some(Ok(health)) = found.brokers.get_mut(&region).map(|found| &mut found.answer) {
                health.definitions = definitions;
            }
        }
    }

    /// Says of brokers that do not run whether the kernel killed them for lack of memory.
    async fn name_killed(&self, topology: &Topology, found: &mut Snapshot<BrokerHealth>) {
        for (region, broker) in &mut found.brokers {
            if let Err(Unavailable::Stopped(reason) | Unavailable::Unreachable(reason)) = &mut broker.answer
                && let Ok(liveness) = self.engine.liveness(&container(&topology.name, region, BROKER)).await
                && liveness.out_of_memory
            {
                reason.push_str(", killed by the kernel for lack of memory: raise `memory` of `broker`");
            }
        }
    }

    /// Where every broker is that answers and takes AMQP connections, or why one does not.
    pub async fn reachable(&self) -> Result<BTreeMap<RegionName, Result<Site, Unavailable>>, EngineError> {
        let engine = self.containers().await?;
        let found = self.ask(&engine, Broker::ready).await.into_iter();
        let site = |found: Observed<()>| found.answer.and_then(|()| found.site.ok_or(Unavailable::Missing));
        Ok(found.map(|(region, found)| (region, site(found))).collect())
    }

    /// Every queue, and how it moves.
    pub async fn queues(
        &self,
        topology: &Topology,
        catalogue: &Catalogue,
        history: &mut queues::History,
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
        let checked = desired.containers.iter();
        let checked =
            checked.filter_map(|container| Some((container.name.clone(), container.readiness.clone()?)));
        let (brokers, not_ready) =
            tokio::join!(self.ask(&engine, Broker::definitions), self.not_ready(&engine, checked),);
        let mut brokers: BTreeMap<RegionName, Observed<Definitions>> = brokers
            .into_iter()
            .map(|(region, Observed { site, answer })| {
                let answer = answer.and_then(|found| found.map_err(Unavailable::PluginDisabled));
                (region, Observed { site, answer })
            })
            .collect();
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

    /// What the broker of one region answers, or why it does not.
    pub async fn ask_region<T>(
        &self,
        engine: &EngineState,
        region: &RegionName,
        question: impl AsyncFn(&Broker) -> Result<T, BrokerError>,
    ) -> Result<T, Unavailable> {
        let site = self.inventory.sites(engine).remove(region).unwrap_or(Err(Unavailable::Missing))?;
        answer(&self.broker(&site)?, &question).await
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
                Ok(broker) => answer(&broker, question).await,
                Err(unavailable) => Err(unavailable),
            };
            (region, Observed { site: site.ok(), answer })
        });
        join_all(asked).await.into_iter().collect()
    }

    /// What the engine has, and which of these images. Where no broker is in a container, no engine is asked, here and below.
    pub async fn engine_state(&self, images: &BTreeSet<String>) -> Result<EngineState, EngineError> {
        if !self.inventory.has_containers() {
            return Ok(EngineState::default());
        }
        let engine = &self.engine;
        let (networks, volumes, containers, images) = tokio::try_join!(
            engine.networks(),
            engine.volumes(),
            engine.containers(None),
            engine.images(images)
        )?;
        let of_brokers = containers.iter().filter(|container| self.is_broker(container));
        let unknown = of_brokers.map(|broker| broker.image_id.clone());
        let unknown = unknown.filter(|id| !images.values().any(|image| image.id == *id)).collect();
        let older = engine.images(&unknown).await?;
        let versions = images.values().chain(older.values());
        let rabbitmq_versions =
            versions.filter_map(|image| Some((image.id.clone(), image.rabbitmq.clone()?))).collect();
        let images = images.into_iter().map(|(reference, image)| (reference, image.id)).collect();
        Ok(EngineState { images, rabbitmq_versions, networks, volumes, containers })
    }

    fn is_broker(&self, container: &Container) -> bool {
        let label = |name: &str, value: &str| container.labels.get(name).is_some_and(|found| found == value);
        label(PROJECT_LABEL, &self.project) && label(SERVICE_LABEL, BROKER)
    }

    /// Only the project's containers: enough for a report, and quicker.
    pub async fn containers(&self) -> Result<EngineState, EngineError> {
        if !self.inventory.has_containers() {
            return Ok(EngineState::default());
        }
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

/// What a broker answers, or why it does not. One whose management API is slow or silent may still speak AMQP: then it
/// is not down, and its links may work.
async fn answer<T>(
    broker: &Broker,
    question: &impl AsyncFn(&Broker) -> Result<T, BrokerError>,
) -> Result<T, Unavailable> {
    let site = broker.site();
    let amqp = &site.amqp;
    let mut asked = pin!(question(broker));
    let (answer, speaks) = if let Ok(answer) = timeout(SUSPICIOUS, &mut asked).await {
        (answer, None)
    } else {
        let (answer, speaks) = tokio::join!(asked, timeout(GREETING, speaks_amqp(amqp)));
        (answer, Some(speaks.unwrap_or_default()))
    };
    let error = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    if error.is_unauthorized() {
        return Err(if site.is_ours() {
            Unavailable::Unauthorized
        } else {
            Unavailable::Rejected(site.user.clone())
        });
    }
    if error.is_not_found() && !site.is_ours() {
        return Err(Unavailable::NoVhost(site.vhost.clone()));
    }
    let speaks = match speaks {
        Some(speaks) => speaks,
        None => timeout(GREETING, speaks_amqp(amqp)).await.unwrap_or_default(),
    };
    // what is between may answer for a broker that fedctl did not start
    let refused = site.is_ours() && error.is_unreachable() && !error.is_timeout();
    Err(match (speaks, refused) {
        (true, true) => Unavailable::PluginDisabled(Plugin::Management),
        (true, false) => Unavailable::Unresponsive(chain(&error)),
        (false, _) => Unavailable::Unreachable(chain(&error)),
    })
}

/// The region, instance and name of a container that is a service's.
fn instance_of(container: &Container) -> Option<(RegionName, &str, &str)> {
    let region = container.labels.get(REGION_LABEL)?;
    // containers of older versions have the instance's name in the label of the service
    let instance = container.labels.get(INSTANCE_LABEL).or_else(|| container.labels.get(SERVICE_LABEL));
    let instance = instance.filter(|instance| *instance != BROKER)?;
    Some((RegionName::new(region), instance, &container.name))
}
