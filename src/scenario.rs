//! Scenarios: fire, watch what the services say, and hold it against what must happen.

mod journal;
mod scripts;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    collect,
    desired::{BROKER, Passwords, SERVICE_PORT, container},
    docker::{Engine, EngineError},
    endpoint::{Endpoint, Endpoints},
    observed::{ContainerState, EngineState},
    proof::Proof,
    rabbitmq::{Broker, Connector},
    topology::{RegionName, Topology},
};

use journal::Journal;

/// How long a broker may take to say how its links are, when a scenario has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The three scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// An event reaches every region.
    Events,
    /// Only the master region works off orders.
    Master,
    /// A request goes to one region and its reply comes home.
    Reply,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Events, Self::Master, Self::Reply];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Events => "events",
            Scenario::Master => "master",
            Scenario::Reply => "reply",
        }
    }

    fn claim(self) -> &'static str {
        match self {
            Scenario::Events => {
                "a product added in one region is readable in every region, indexed once in each"
            }
            Scenario::Master => {
                "orders from every region are processed in the master region alone, once each"
            }
            Scenario::Reply => {
                "each region asks each other one, and the reply comes home to the one that asked"
            }
        }
    }
}

/// Where scenarios take place.
pub struct Stage<'a> {
    topology: &'a Topology,
    engine: &'a Engine,
    brokers: BTreeMap<RegionName, Broker>,
    products: BTreeMap<RegionName, Endpoint>,
    timeout: Duration,
}

/// Why there is no stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A region has no service `products` that can be reached.
    #[error("region `{0}` has no running service `products` with a published port")]
    NoProducts(RegionName),
}

impl<'a> Stage<'a> {
    /// The stage that the engine's containers make.
    ///
    /// # Errors
    ///
    /// If a region has no `products` to talk to.
    pub fn new(
        topology: &'a Topology,
        engine: &'a Engine,
        found: &EngineState,
        passwords: &Passwords,
        timeout: Duration,
    ) -> Result<Self, StageError> {
        let regions: Vec<RegionName> = topology.regions.iter().map(|region| region.name.clone()).collect();
        let brokers =
            collect::brokers(found, &Connector::within(ANSWER_WITHIN), &topology.name, &regions, passwords);
        let endpoints = Endpoints::default();
        let endpoint = |region: &RegionName| {
            let name = container(&topology.name, region, scripts::PRODUCTS);
            let products = found.containers.iter().find(|container| container.name == name);
            let port = products.and_then(|products| products.ports.get(&SERVICE_PORT));
            let port = port.ok_or_else(|| StageError::NoProducts(region.clone()))?;
            Ok((region.clone(), endpoints.at(*port)))
        };
        let products = regions.iter().map(endpoint).collect::<Result<_, StageError>>()?;
        Ok(Self { topology, engine, brokers, products, timeout })
    }

    /// Plays one scenario.
    pub async fn play(&self, scenario: Scenario) -> Proof {
        let started = tokio::time::Instant::now();
        let mut watch = watch::Watch::new(self, self.journal(), started + self.timeout);
        match scenario {
            Scenario::Events => scripts::events(&mut watch).await,
            Scenario::Master => scripts::master(&mut watch).await,
            Scenario::Reply => scripts::reply(&mut watch).await,
        }
        let (story, failures) = watch.end();
        Proof {
            scenario: scenario.name().into(),
            claim: scenario.claim().into(),
            passed: failures.is_empty(),
            seconds: started.elapsed().as_secs_f64(),
            story,
            failures,
        }
    }

    fn journal(&self) -> Journal {
        let services = self.topology.regions.iter().flat_map(|region| {
            region.services.iter().map(|service| {
                (
                    region.name.clone(),
                    service.name.clone(),
                    container(&self.topology.name, &region.name, &service.name),
                )
            })
        });
        Journal::follow(self.engine, services)
    }
}

/// Whether every region's broker has a container that runs.
#[must_use]
pub fn is_up(topology: &Topology, found: &EngineState) -> bool {
    topology.regions.iter().all(|region| {
        let name = container(&topology.name, &region.name, BROKER);
        let broker = found.containers.iter().find(|container| container.name == name);
        broker.is_some_and(|broker| broker.state == ContainerState::Running)
    })
}
