//! What looks at a project see change.

use std::collections::BTreeMap;

use super::{BrokerState, LinkRef, LinkState, LinkStatus, RegionStatus, ServiceStatus, Status};
use crate::{
    diagnostic::{Code, Diagnostic},
    topology::RegionName,
};

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A broker's state.
    Broker {
        /// Its region.
        region: RegionName,
        /// Its state before.
        before: BrokerState,
        /// Its state now.
        after: BrokerState,
    },
    /// A broker's alarms.
    Alarms {
        /// Its region.
        region: RegionName,
        /// Those in effect now.
        alarms: Vec<String>,
    },
    /// Whether a service runs and is ready.
    Service {
        /// Its region.
        region: RegionName,
        /// As it was.
        before: ServiceStatus,
        /// As it is.
        after: ServiceStatus,
    },
    /// A link's state, or why it does not run.
    Link {
        /// Which one.
        link: LinkRef,
        /// Its state before; none if it is new.
        before: Option<LinkState>,
        /// Its state now; none if it is gone.
        after: Option<LinkState>,
        /// Why it does not run.
        error: Option<Diagnostic>,
    },
}

/// What a watch saw last.
#[derive(Debug, Default)]
pub struct Watched(Option<Status>);

impl Watched {
    /// Looks at what is now, and returns what has changed: nothing at the first look.
    pub fn look(&mut self, now: &Status) -> Option<Vec<Change>> {
        let mut now = now.clone();
        let last = self.0.take();
        if let Some(last) = &last {
            for link in &mut now.links {
                despite_a_try(link, &last.links);
            }
        }
        let found = last.map(|last| changes(&last, &now));
        self.0 = Some(now);
        found
    }
}

/// A link that is down tries again and again. That it is starting then is no change.
fn despite_a_try(link: &mut LinkStatus, last: &[LinkStatus]) {
    let was_down = |last: &&LinkStatus| last.link == link.link && last.state() == LinkState::Down;
    if link.state() == LinkState::Starting
        && let Some(down) = last.iter().find(was_down)
    {
        *link = down.clone();
    }
}

/// Brokers first, since links follow from them.
fn changes(before: &Status, after: &Status) -> Vec<Change> {
    let pairs = || {
        let pairs = before.regions.iter().zip(&after.regions);
        pairs.filter(|(before, after)| before.name == after.name)
    };
    let brokers = pairs().filter_map(|(before, after)| broker(before, after));
    let alarms = pairs().filter_map(|(before, after)| alarms(before, after));
    let services = pairs().flat_map(|(before, after)| services(before, after));
    brokers.chain(alarms).chain(services).chain(links(&before.links, &after.links)).collect()
}

fn broker(before: &RegionStatus, after: &RegionStatus) -> Option<Change> {
    let (region, before, after) = (after.name.clone(), before.broker.state, after.broker.state);
    (before != after).then_some(Change::Broker { region, before, after })
}

/// Of a broker that does not say, nothing is known to have changed.
fn alarms(before: &RegionStatus, after: &RegionStatus) -> Option<Change> {
    let (before, now) = (before.broker.alarms.as_ref()?, after.broker.alarms.as_ref()?);
    (before != now).then(|| Change::Alarms { region: after.name.clone(), alarms: now.clone() })
}

fn services<'a>(before: &'a RegionStatus, after: &'a RegionStatus) -> impl Iterator<Item = Change> + 'a {
    let kind = |found: &ServiceStatus| (found.running, found.is_healthy(), found.container.is_some());
    let pairs = before.services.iter().zip(&after.services);
    pairs.filter(move |(before, after)| kind(before) != kind(after)).map(|(before, now)| Change::Service {
        region: after.name.clone(),
        before: before.clone(),
        after: now.clone(),
    })
}

fn links(before: &[LinkStatus], after: &[LinkStatus]) -> Vec<Change> {
    let mut gone: BTreeMap<&LinkRef, &LinkStatus> = before.iter().map(|found| (&found.link, found)).collect();
    let mut changes = Vec::new();
    for now in after {
        let last = gone.remove(&now.link);
        if last.map(kind) != Some(kind(now)) {
            changes.push(Change::Link {
                link: now.link.clone(),
                before: last.map(LinkStatus::state),
                after: Some(now.state()),
                error: now.diagnostic(),
            });
        }
    }
    changes.extend(gone.into_values().map(|last| Change::Link {
        link: last.link.clone(),
        before: Some(last.state()),
        after: None,
        error: None,
    }));
    changes
}

/// What has to differ for a link to have changed. Seconds in the text of its reason are none of it.
fn kind(link: &LinkStatus) -> (LinkState, Option<Code>) {
    (link.state(), link.diagnostic().map(|found| found.code))
}
