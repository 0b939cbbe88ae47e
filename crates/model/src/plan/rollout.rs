//! Brokers that answer and are to be replaced: region by region, each when the links of the one before run again, so that
//! one that does not boot, or whose links do not run, leaves the others as they are.

use super::{Cause, Change, Operation, Plan, containers::Containers, upgrade::is_of_another_series};
use crate::{
    desired::{Container, Desired},
    names::BROKER,
    observed::EngineState,
    topology::RegionName,
};

/// Replaces these brokers in the order of the file, after everything else: links run between an old and a new broker only
/// when all definitions are as they should be. Where that is not sure yet, the next plan does it.
pub(super) fn replace<'a>(
    plan: &mut Plan,
    desired: &'a Desired,
    engine: &EngineState,
    containers: &mut Containers<'a>,
    outdated: &[(&'a Container, Cause)],
) {
    if plan.provisional {
        return;
    }
    let mut before: Vec<usize> = (0..plan.steps.len()).collect();
    if outdated.iter().any(|(_, cause)| *cause == Cause::ImageChanged) {
        before.extend(await_links_of_the_others(plan, desired, outdated));
    }
    let mut previous = None;
    for (wanted, cause) in outdated {
        if let Some((region, ready)) = previous {
            before = vec![await_links(plan, region, ready)];
        }
        if *cause == Cause::ImageChanged && is_of_another_series(wanted, engine) {
            let enable = Change::EnableFeatureFlags.at(&wanted.region);
            before = vec![plan.push(enable, cause.clone(), before)];
        }
        containers.reconcile(plan, wanted, &before, None, None);
        previous = Some((&wanted.region, await_region(plan, desired, containers, wanted)));
    }
}

/// Regions that have the new image already, as after an interrupt: what it did to their links is known before it comes to
/// another one.
fn await_links_of_the_others(
    plan: &mut Plan,
    desired: &Desired,
    outdated: &[(&Container, Cause)],
) -> Vec<usize> {
    let before: Vec<usize> = (0..plan.steps.len()).collect();
    let regions = desired.brokers.iter().map(|broker| &broker.region);
    let others = regions.filter(|region| outdated.iter().all(|(wanted, _)| wanted.region != **region));
    others.map(|region| await_links(plan, region, before.clone())).collect()
}

fn await_links(plan: &mut Plan, region: &RegionName, after: Vec<usize>) -> usize {
    plan.push(Change::AwaitLinks { upstream: None }.at(region), Cause::Follows, after)
}

/// Waits for a replaced broker and the services of its region.
fn await_region(
    plan: &mut Plan,
    desired: &Desired,
    containers: &Containers<'_>,
    broker: &Container,
) -> Vec<usize> {
    let touched = &containers.touched;
    let started = touched.running.get(&broker.name).copied();
    let connected = touched.connected.get(&broker.name).copied();
    let accepts = Change::Await { container: Some(broker.name.clone()) }.at(&broker.region);
    let accepts = plan.push(accepts, Cause::Follows, started);
    let services = desired.containers.iter();
    let services = services.filter(|found| found.region == broker.region && found.service != BROKER);
    let ready = services.filter_map(|service| {
        let (container, readiness) = (service.name.clone(), service.readiness.clone()?);
        Some(plan.push(Operation::AwaitService { container, readiness }, Cause::Follows, [accepts]))
    });
    let ready: Vec<usize> = ready.collect();
    [accepts].into_iter().chain(connected).chain(ready).collect()
}
