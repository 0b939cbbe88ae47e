//! The read side: what the engine and the brokers say, asked all at once. Whatever reports renders one snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use tokio::time::timeout;

use crate::{
    chain::chain,
    docker::{Engine, EngineError, LogLine},
    endpoint::Endpoints,
    rabbitmq::{Broker, BrokerError, Connector, Look, TOGETHER, speaks_amqp},
};
use fedctl_model::{
    check::BrokerFacts,
    desired::{self, Desired, Readiness},
    import::Found,
    names::{BROKER, INSTANCE_LABEL, PROJECT_LABEL, REGION_LABEL, SERVICE_LABEL, container},
    observed::{
        BrokerHealth, Container, ContainerState, Definitions, EngineState, Federated, Observed, Plugin,
        QueueDetails, Reported, Snapshot,
    },
    queues::{self, Queues},
    site::{Address, Inventory, Site, Unavailable},
    status::{self, History, Status},
    topology::{ApplyTo, Catalogue, RegionName, Topology},
    trace::{self, Trace},
};

/// How many containers' logs are read at once.
const AT_ONCE: usize = 8;
/// With more links than these a broker takes longer to list them than anybody wants to wait: 0.1 s for 300, 1.3 s for 800,
/// and ten times that for twice as many.
const MANY_LINKS: usize = 300;
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
        let seen = history.expected(federated, |_| true);
        let (brokers, not_ready) =
            tokio::join!(self.health_of(topology, &seen, &engine), self.not_ready(&engine, services));
        let mut found = Snapshot { brokers, not_ready, engine };
        self.explain(topology, &mut found).await;
        self.name_killed(topology, &mut found).await;
        let remembered = history.expected(federated, |region| found.answer(region).is_none());
        Ok(status::status(topology, &found, &remembered))
    }

    /// The health of every broker. `federated` is what was federated when last seen.
    pub async fn health(
        &self,
        topology: &Topology,
        federated: &Federated,
    ) -> Result<Snapshot<BrokerHealth>, EngineError> {
        let engine = self.containers().await?;
        let brokers = self.health_of(topology, federated, &engine).await;
        let mut found = Snapshot { brokers, engine, not_ready: BTreeMap::new() };
        self.explain(topology, &mut found).await;
        Ok(found)
    }

    async fn health_of(
        &self,
        topology: &Topology,
        federated: &Federated,
        engine: &EngineState,
    ) -> BTreeMap<RegionName, Observed<BrokerHealth>> {
        let crowded = self.crowded(topology, federated, engine);
        let question = async |broker: &Broker| {
            let is_crowded = crowded.contains(&broker.site().api());
            broker.health(if is_crowded { Reported::NotRunning } else { Reported::All }).await
        };
        self.ask(engine, question).await
    }

    /// The brokers with so many links that they are only asked for those that do not run: that the others do, their
    /// upstreams' consumers show. Of queues they do not, since a link has none while nobody consumes its queue.
    fn crowded(&self, topology: &Topology, federated: &Federated, engine: &EngineState) -> BTreeSet<String> {
        if topology.federation.policies.iter().any(|policy| policy.apply_to == ApplyTo::Queues) {
            return BTreeSet::new();
        }
        let mut links: BTreeMap<String, usize> = BTreeMap::new();
        let neighbours = topology.neighbours();
        for (region, site) in self.inventory.sites(engine) {
            let (Ok(site), Some(neighbours)) = (site, neighbours.get(&region)) else { continue };
            let each = federated.get(&region).map_or(1, |resources| resources.len().max(1));
            *links.entry(site.api()).or_default() += neighbours.upstreams.len() * each;
        }
        links.into_iter().filter(|(_, links)| *links > MANY_LINKS).map(|(api, _)| api).collect()
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
        let sites = unexplained.into_iter().filter_map(|region| {
            let site = found.brokers.get(&region)?.site.clone()?;
            Some((region, site))
        });
        let brokers = self.together(sites).into_iter();
        let asked = brokers.filter_map(|(region, broker)| {
            let broker = broker.ok()?;
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
        let mut sites = self.inventory.sites(engine);
        let known = sites.iter().filter_map(|(region, site)| Some((region.clone(), site.clone().ok()?)));
        let mut brokers = self.together(known);
        let asked = std::mem::take(&mut sites).into_iter().map(|(region, site)| {
            let broker = brokers.remove(&region);
            async move {
                let answer = match (&site, broker) {
                    (_, Some(Ok(broker))) => answer(&broker, question).await,
                    (_, Some(Err(unavailable))) => Err(unavailable),
                    (site, None) => Err(site.as_ref().err().cloned().unwrap_or(Unavailable::Missing)),
                };
                (region, Observed { site: site.ok(), answer })
            }
        });
        join_all(asked).await.into_iter().collect()
    }

    /// The brokers at these sites. Several virtual hosts of one are looked at together.
    fn together(
        &self,
        sites: impl Iterator<Item = (RegionName, Site)>,
    ) -> BTreeMap<RegionName, Result<Broker, Unavailable>> {
        let sites: Vec<(RegionName, Site)> = sites.collect();
        let who = |site: &Site| {
            let password = site.password.as_ref().map(|password| password.expose().to_owned());
            (site.api(), site.user.clone(), password)
        };
        let mut looks: BTreeMap<_, (usize, Arc<Look>)> = BTreeMap::new();
        for (_, site) in &sites {
            looks.entry(who(site)).or_default().0 += 1;
        }
        let broker = |site: &Site| {
            let broker = self.broker(site)?;
            let shared = looks.get(&who(site)).filter(|(regions, _)| *regions >= TOGETHER);
            Ok(match shared {
                Some((_, look)) => broker.sharing(look.clone()),
                None => broker,
            })
        };
        sites.iter().map(|(region, site)| (region.clone(), broker(site))).collect()
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
