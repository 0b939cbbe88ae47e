//! Which of the regions that have a service processes an order.

use anyhow::bail;

use super::order::Order;
use crate::settings::Settings;
use fedctl_contract::checkout::home;
use fedctl_contract::environment::INSTANCES;

/// The regions that have a service, from the view of one of them.
///
/// An event reaches every region, and an event that comes twice must find what was done with the first one: so each order
/// has one home, whose store remembers it. A federated queue would hand every order to any region, and after a broken
/// link hand it over once more, perhaps to another one.
#[derive(Debug, Clone)]
pub struct Homes {
    region: String,
    regions: Vec<String>,
}

impl Homes {
    /// Reads the service's instances; where none are listed, its own is the only one.
    ///
    /// # Errors
    /// When the list cannot be read, or this region is not in it: then orders would have no home, or two.
    pub fn read(settings: &Settings) -> anyhow::Result<Self> {
        let mut regions: Vec<String> =
            settings.instances(INSTANCES)?.into_iter().map(|(region, _)| region.to_owned()).collect();
        let region = settings.region.clone();
        if regions.is_empty() {
            regions.push(region.clone());
        }
        if !regions.contains(&region) {
            bail!("`{INSTANCES}` lists no instance in this region, `{region}`");
        }
        Ok(Self { region, regions })
    }

    /// The region that processes an order, if it is not this one.
    #[must_use]
    pub fn elsewhere(&self, order: &Order) -> Option<&str> {
        let regions: Vec<&str> = self.regions.iter().map(String::as_str).collect();
        home(&order.region, &regions).filter(|home| *home != self.region)
    }
}
