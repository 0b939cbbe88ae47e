//! Removing what a probe made, and what links made for it on their upstreams.

use std::{cell::RefCell, collections::BTreeMap};

use tokio::time::{Instant, timeout_at};

use crate::{
    chain::chain,
    rabbitmq::{Broker, BrokerError},
    wait::{Poll, poll_until},
};
use fedctl_model::{
    federation::is_internal,
    observed::Resource,
    probe::{Left, Nonce, Probe, is_probe, is_stale},
    topology::RegionName,
};

/// Removes everything, and looks until nothing is left; what could not be removed by then.
///
/// The links go first, with their exchange or queue downstream and while everything is still bound: a link that misses
/// something on its upstream starts again and declares it. And they go in one region after the other. While links end,
/// their broker starts no other, so where links end and start in two regions at once, each can wait for the other.
pub async fn clean(probe: &Probe, brokers: &BTreeMap<RegionName, Broker>, deadline: Instant) -> Vec<Left> {
    let links = async {
        for (region, broker) in brokers {
            for exchange in probe.exchanges() {
                broker.delete_exchange(exchange).await.ok();
            }
            for (queue, _) in probe.queues().into_iter().filter(|(_, downstream)| *downstream == region) {
                broker.delete_queue(queue).await.ok();
            }
        }
    };
    timeout_at(deadline, links).await.ok();
    let left: RefCell<BTreeMap<RegionName, Left>> = RefCell::default();
    for region in brokers.keys() {
        let nothing = Left { region: region.clone(), names: Vec::new(), reason: "timed out".into() };
        left.borrow_mut().insert(region.clone(), nothing);
    }
    let sweep = async || {
        for (region, broker) in brokers {
            let swept = sweep(probe, broker).await;
            let mut left = left.borrow_mut();
            match swept {
                Ok(found) if found.is_empty() => drop(left.remove(region)),
                Ok(names) => note(&mut left, region, names, "it was there again"),
                Err(error) => note(&mut left, region, Vec::new(), &chain(&error)),
            }
        }
        if left.borrow().is_empty() { Poll::<(), ()>::Ready(()) } else { Poll::Pending(String::new()) }
    };
    poll_until(deadline, sweep, |_| {}).await.ok();
    left.into_inner().into_values().collect()
}

fn note(left: &mut BTreeMap<RegionName, Left>, region: &RegionName, names: Vec<String>, reason: &str) {
    let known = left.get(region).map(|left| left.names.clone()).unwrap_or_default();
    let names = if names.is_empty() { known } else { names };
    left.insert(region.clone(), Left { region: region.clone(), names, reason: reason.to_owned() });
}

/// Deletes what there is of the probe on a broker, and the policy by which it would expire once there is nothing; what
/// there was.
async fn sweep(probe: &Probe, broker: &Broker) -> Result<Vec<String>, BrokerError> {
    let all = broker.exchanges_and_queues().await?;
    let own = remove_own(&probe.nonce, broker, &all).await?;
    if own.is_empty() {
        let names: Vec<&str> = all.iter().map(Resource::name).filter(|name| is_probe(name)).collect();
        for policy in broker.policy_names().await?.iter().filter(|policy| is_stale(policy, &names)) {
            broker.delete_policy(policy).await?;
        }
    }
    Ok(own)
}

/// Deletes those exchanges and queues of a broker that carry a nonce; which they were.
pub async fn remove_own(
    nonce: &Nonce,
    broker: &Broker,
    all: &[Resource],
) -> Result<Vec<String>, BrokerError> {
    let mut own: Vec<&Resource> = all.iter().filter(|found| nonce.owns(found.name())).collect();
    // an internal exchange is gone with its queue
    own.sort_by_key(|found| (is_internal(found.name()), matches!(found, Resource::Exchange(_))));
    for found in &own {
        match found {
            Resource::Exchange(name) => broker.delete_exchange(name).await?,
            Resource::Queue(name) => broker.delete_queue(name).await?,
        }
    }
    Ok(own.into_iter().map(|found| found.name().to_owned()).collect())
}
