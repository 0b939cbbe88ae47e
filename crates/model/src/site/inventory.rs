//! Where the brokers of a project are.

use std::collections::BTreeMap;

use super::{ADMINISTRATOR, AMQP, AMQP_PORT, Address, HTTP, MANAGEMENT_PORT, Site, Unavailable, VHOST};
use crate::{
    desired::{PasswordId, Passwords},
    names::{BROKER, container},
    observed::{ContainerState, EngineState},
    secret::Secret,
    topology::{ExternalBroker, Region, RegionName, Topology},
};

/// A broker in a container.
#[derive(Debug, Clone)]
struct Started {
    region: RegionName,
    container: String,
    parameter: String,
    password: Option<Secret>,
}

/// The brokers of a project, wherever they are at the moment.
#[derive(Debug, Clone)]
pub struct Inventory(BTreeMap<RegionName, Entry>);

/// What is known of a broker before anything is looked at.
#[derive(Debug, Clone)]
enum Entry {
    Container(Started),
    External(Result<Site, Unavailable>),
}

impl Inventory {
    /// The brokers that a topology names.
    #[must_use]
    pub fn of(topology: &Topology, passwords: &Passwords) -> Self {
        let password = |region: &Region, user: &str| {
            let id = PasswordId { region: region.name.clone(), user: user.to_owned() };
            passwords.get(&id).cloned()
        };
        let entries = topology.regions.iter().map(|region| {
            let entry = match &region.broker {
                Some(broker) => {
                    let parameter = topology.ownership_parameter(region);
                    Entry::External(external(region, broker, parameter, password(region, &broker.user)))
                }
                None => Entry::Container(Started {
                    region: region.name.clone(),
                    container: container(&topology.name, &region.name, BROKER),
                    parameter: topology.ownership_parameter(region),
                    password: password(region, ADMINISTRATOR),
                }),
            };
            (region.name.clone(), entry)
        });
        Self(entries.collect())
    }

    /// Only those of these regions.
    #[must_use]
    pub fn only(mut self, regions: &[RegionName]) -> Self {
        self.0.retain(|region, _| regions.contains(region));
        self
    }

    /// Whether any broker is in a container.
    #[must_use]
    pub fn has_containers(&self) -> bool {
        self.0.values().any(|entry| matches!(entry, Entry::Container(_)))
    }

    /// Where each broker is, by what its engine has.
    #[must_use]
    pub fn sites(&self, engine: &EngineState) -> BTreeMap<RegionName, Result<Site, Unavailable>> {
        self.0.iter().map(|(region, entry)| (region.clone(), entry.site(engine))).collect()
    }

    /// Where the broker of `region` is, by the ports that its container publishes.
    ///
    /// # Errors
    ///
    /// If the topology has no such region, or the container does not publish what is needed.
    pub fn published(&self, region: &RegionName, ports: &BTreeMap<u16, u16>) -> Result<Site, Unavailable> {
        match self.0.get(region).ok_or(Unavailable::Missing)? {
            Entry::Container(started) => started.published(ports),
            Entry::External(site) => site.clone(),
        }
    }
}

impl Entry {
    fn site(&self, engine: &EngineState) -> Result<Site, Unavailable> {
        let started = match self {
            Self::Container(started) => started,
            Self::External(site) => return site.clone(),
        };
        let found = engine.container(&started.container).ok_or(Unavailable::Missing)?;
        match found.state {
            ContainerState::Running => started.published(&found.ports),
            ContainerState::Paused => Err(Unavailable::Paused),
            ContainerState::Created | ContainerState::Restarting | ContainerState::Stopped => {
                Err(Unavailable::Stopped(found.status.clone()))
            }
        }
    }
}

impl Started {
    fn published(&self, ports: &BTreeMap<u16, u16>) -> Result<Site, Unavailable> {
        let address = |port: u16| {
            ports.get(&port).copied().map(Address::published).ok_or(Unavailable::NotPublished(port))
        };
        Ok(Site {
            region: self.region.clone(),
            management: address(MANAGEMENT_PORT)?,
            prefix: String::new(),
            amqp: address(AMQP_PORT)?,
            listener: Some(AMQP_PORT),
            ca_file: None,
            vhost: VHOST.into(),
            parameter: self.parameter.clone(),
            user: ADMINISTRATOR.into(),
            password: self.password.clone(),
        })
    }
}

fn external(
    region: &Region,
    broker: &ExternalBroker,
    parameter: String,
    password: Option<Secret>,
) -> Result<Site, Unavailable> {
    let (management, prefix) = Address::parse(&broker.management, HTTP).map_err(Unavailable::OutOfReach)?;
    let (amqp, _) = Address::parse(&broker.amqp, AMQP).map_err(Unavailable::OutOfReach)?;
    Ok(Site {
        region: region.name.clone(),
        management,
        prefix,
        amqp,
        listener: None,
        ca_file: broker.ca_file.clone(),
        vhost: broker.vhost.clone(),
        parameter,
        user: broker.user.clone(),
        password,
    })
}
