//! Where scenarios run: the brokers and services of a running topology.

use std::{collections::BTreeMap, time::Duration};

use crate::proof::Proof;
use fedctl_contract::http;
use fedctl_engine::{
    docker::Clock,
    endpoint::{Endpoint, Endpoints},
    inspect::Inspect,
    rabbitmq::Broker,
};
use fedctl_model::{
    names::{BROKER, container},
    observed::{ContainerState, EngineState, Federated},
    site::Address,
    topology::{Region, RegionName, Topology},
};

use super::{Scenario, log_tail::LogTail, run::Run};

/// Where scenarios run.
pub struct Environment<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) inspect: &'a Inspect,
    /// The engine's, by which it dates what services log.
    clock: Clock,
    pub(crate) brokers: BTreeMap<RegionName, Broker>,
    /// By region and service.
    pub(crate) endpoints: BTreeMap<(RegionName, String), Endpoint>,
    /// What was federated before.
    pub(crate) remembered: Federated,
    timeout: Duration,
    /// Whether a message that no consumer can process is sent as well, to see the scenario fail.
    poison: bool,
}

/// Why a scenario cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("region `{region}` has no running service `{service}` with a published port")]
    NotRunning { region: RegionName, service: &'static str },
    #[error("scenario `{scenario}` needs a service `{service}`, which no region of the topology has")]
    NoService { scenario: &'static str, service: &'static str },
}

impl<'a> Environment<'a> {
    /// What the engine's containers make up. A scenario may take so long, and with `poison` it also sends a message that
    /// no consumer can process, and must fail.
    #[must_use]
    pub fn new(
        topology: &'a Topology,
        inspect: &'a Inspect,
        found: &EngineState,
        remembered: Federated,
        clock: Clock,
        timeout: Duration,
        poison: bool,
    ) -> Self {
        let brokers = inspect.brokers(found);
        let clients = Endpoints::default();
        let endpoint = |region: &RegionName, service: &str| {
            let name = container(&topology.name, region, service);
            let port = found.container(&name)?.ports.get(&http::PORT)?;
            Some(((region.clone(), service.to_owned()), clients.at(&Address::published(*port))))
        };
        let services = topology.regions.iter().flat_map(|region| {
            region.services.iter().filter_map(|service| endpoint(&region.name, &service.name))
        });
        let endpoints = services.collect();
        Self { topology, inspect, clock, brokers, endpoints, remembered, timeout, poison }
    }

    /// Whether a scenario can start.
    pub fn check(&self, scenario: &Scenario) -> Result<(), EnvironmentError> {
        let service = scenario.starts_at.name();
        let regions = self.regions_of(service);
        if regions.is_empty() {
            return Err(EnvironmentError::NoService { scenario: scenario.name, service });
        }
        let is_missing =
            |region: &RegionName| !self.endpoints.contains_key(&(region.clone(), service.into()));
        let missing = regions.into_iter().find(is_missing);
        missing.map_or(Ok(()), |region| Err(EnvironmentError::NotRunning { region, service }))
    }

    /// The regions that have a service, in the order of the file.
    pub(crate) fn regions_of(&self, service: &str) -> Vec<RegionName> {
        let regions = self.topology.regions.iter();
        let has = |region: &&Region| region.services.iter().any(|found| found.name == service);
        regions.filter(has).map(|region| region.name.clone()).collect()
    }

    /// Runs one scenario.
    pub async fn run(&self, scenario: &Scenario) -> Proof {
        let started = tokio::time::Instant::now();
        let mut run = Run::new(self, self.logs(), started + self.timeout);
        (scenario.run)(&mut run).await;
        if self.poison {
            scenario.poison.send(&mut run, scenario.starts_at).await;
        }
        if run.failed() {
            run.suspect_brokers().await;
        }
        let (timeline, failures) = run.finish();
        Proof {
            scenario: scenario.name.into(),
            claim: scenario.claim.into(),
            passed: failures.is_empty(),
            seconds: started.elapsed().as_secs_f64(),
            timeline,
            failures,
        }
    }

    fn logs(&self) -> LogTail {
        let services = self.topology.regions.iter().flat_map(|region| {
            region.services.iter().flat_map(|service| {
                service.instances().map(|instance| {
                    let name = container(&self.topology.name, &region.name, &instance);
                    (region.name.clone(), service.name.clone(), name)
                })
            })
        });
        LogTail::follow(&self.inspect.engine, self.clock, services)
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
