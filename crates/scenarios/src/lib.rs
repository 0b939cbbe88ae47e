//! Scenarios: fire, watch what the services say, and hold it against what must happen.

mod checkout;
mod compute;
mod journal;
mod poison;
mod profile;
mod request;
mod rpc;
mod shop;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use fedctl_engine::{
    endpoint::{Endpoint, Endpoints},
    inspect::Inspect,
    rabbitmq::Broker,
};
use fedctl_model::{
    desired::{BROKER, SERVICE_PORT, container},
    observed::{ContainerState, EngineState},
    proof::Proof,
    site::Address,
    topology::{Region, RegionName, Topology},
};

use journal::Journal;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// An event reaches every region.
    Events,
    /// Only the master region works off orders.
    Master,
    /// A request goes to one region and its reply comes home.
    Reply,
    /// A user's name reaches every region's own store.
    Profile,
    /// Remote procedure calls, answered by whichever worker is free.
    Rpc,
    /// Commands to one host or to all of them.
    Compute,
    /// A chain of events, each step in a region of its own.
    Checkout,
}

impl Scenario {
    /// Those that the shipped topology has the services for.
    pub const MAIN: [Self; 3] = [Self::Events, Self::Master, Self::Reply];
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Events, Self::Master, Self::Reply, Self::Profile, Self::Rpc, Self::Compute, Self::Checkout];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Events => "events",
            Scenario::Master => "master",
            Scenario::Reply => "reply",
            Scenario::Profile => "profile",
            Scenario::Rpc => "rpc",
            Scenario::Compute => "compute",
            Scenario::Checkout => "checkout",
        }
    }

    /// The service by which it begins.
    fn front(self) -> &'static str {
        match self {
            Scenario::Events | Scenario::Master | Scenario::Reply => shop::PRODUCTS,
            Scenario::Profile => profile::PROFILE,
            Scenario::Rpc => rpc::RPC,
            Scenario::Compute => compute::COMPUTE,
            Scenario::Checkout => checkout::CHECKOUT,
        }
    }

    /// What it proves.
    #[must_use]
    pub fn claim(self) -> &'static str {
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
            Scenario::Profile => "a name given in one region is stored once in every region's own store",
            Scenario::Rpc => {
                "calls from every region are answered once by a worker somewhere, and each answer comes home"
            }
            Scenario::Compute => {
                "one host somewhere creates a machine, and every host answers what is asked of all"
            }
            Scenario::Checkout => {
                "an order becomes a reservation, a payment and three notifications, each step once and in its region"
            }
        }
    }
}

/// Where scenarios take place.
pub struct Stage<'a> {
    topology: &'a Topology,
    inspect: &'a Inspect,
    brokers: BTreeMap<RegionName, Broker>,
    /// By region and service.
    fronts: BTreeMap<(RegionName, String), Endpoint>,
    timeout: Duration,
    /// Whether a message that nobody can work off is to be sent, to see the scenario fail.
    poison: bool,
}

/// Why there is no stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A region has a service that cannot be reached.
    #[error("region `{region}` has no running service `{service}` with a published port")]
    NotRunning {
        /// The region.
        region: RegionName,
        /// The service.
        service: &'static str,
    },
    /// No region has the service by which a scenario begins.
    #[error("scenario `{scenario}` needs a service `{service}`, which no region of the topology has")]
    NoService {
        /// The scenario.
        scenario: &'static str,
        /// The service.
        service: &'static str,
    },
}

impl<'a> Stage<'a> {
    /// The stage that the engine's containers make. A scenario may take so long, and with `poison` it also
    /// sends a message that nobody can work off, and must fail.
    #[must_use]
    pub fn new(
        topology: &'a Topology,
        inspect: &'a Inspect,
        found: &EngineState,
        timeout: Duration,
        poison: bool,
    ) -> Self {
        let brokers = inspect.brokers(found);
        let endpoints = Endpoints::default();
        let endpoint = |region: &RegionName, service: &str| {
            let name = container(&topology.name, region, service);
            let front = found.container(&name)?;
            let port = front.ports.get(&SERVICE_PORT)?;
            Some(((region.clone(), service.to_owned()), endpoints.at(&Address::published(*port))))
        };
        let services = topology.regions.iter().flat_map(|region| {
            region.services.iter().filter_map(|service| endpoint(&region.name, &service.name))
        });
        let fronts = services.collect();
        Self { topology, inspect, brokers, fronts, timeout, poison }
    }

    /// Whether a scenario can begin.
    ///
    /// # Errors
    ///
    /// If its first service is in no region, or cannot be reached where it is.
    pub fn has(&self, scenario: Scenario) -> Result<(), StageError> {
        let service = scenario.front();
        let regions = self.regions_of(service);
        if regions.is_empty() {
            return Err(StageError::NoService { scenario: scenario.name(), service });
        }
        let missing =
            regions.into_iter().find(|region| !self.fronts.contains_key(&(region.clone(), service.into())));
        missing.map_or(Ok(()), |region| Err(StageError::NotRunning { region, service }))
    }

    /// The regions that have a service, in the order of the file.
    fn regions_of(&self, service: &str) -> Vec<RegionName> {
        let regions = self.topology.regions.iter();
        let has = |region: &&Region| region.services.iter().any(|found| found.name == service);
        regions.filter(has).map(|region| region.name.clone()).collect()
    }

    /// Plays one scenario.
    pub async fn play(&self, scenario: Scenario) -> Proof {
        let started = tokio::time::Instant::now();
        let mut watch = watch::Watch::new(self, self.journal(), started + self.timeout);
        match scenario {
            Scenario::Events => shop::events(&mut watch).await,
            Scenario::Master => shop::master(&mut watch).await,
            Scenario::Reply => shop::reply(&mut watch).await,
            Scenario::Profile => profile::play(&mut watch).await,
            Scenario::Rpc => rpc::play(&mut watch).await,
            Scenario::Compute => compute::play(&mut watch).await,
            Scenario::Checkout => checkout::play(&mut watch).await,
        }
        if self.poison {
            poison::send(&mut watch, scenario).await;
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
            region.services.iter().flat_map(|service| {
                service.instances().map(|instance| {
                    let name = container(&self.topology.name, &region.name, &instance);
                    (region.name.clone(), service.name.clone(), name)
                })
            })
        });
        Journal::follow(&self.inspect.engine, services)
    }
}

/// Whether every region's broker has a container that runs.
#[must_use]
pub fn is_up(topology: &Topology, found: &EngineState) -> bool {
    topology.regions.iter().all(|region| {
        let name = container(&topology.name, &region.name, BROKER);
        found.container(&name).is_some_and(|broker| broker.state == ContainerState::Running)
    })
}
