//! The links between the chosen regions while something changes, and the repair of those that stall.

use std::collections::BTreeMap;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{Tools, apply},
    docker::EngineError,
};
use fedctl_model::{
    names::wan,
    observed::{BrokerHealth, Federated, Snapshot},
    plan::{Cause, Operation, Planned, Step, patience, repair},
    status::{self, Condition, LinkRef, LinkState, LinkStatus},
    topology::RegionName,
};

/// What the brokers report, and every link that is required.
pub type Found = (Snapshot<BrokerHealth>, Vec<LinkStatus>);

/// The links between the chosen regions, or the first reason for which they cannot be seen.
pub async fn now(tools: &Tools) -> Result<Result<Found, String>, EngineError> {
    let found = tools.inspect.health(&tools.topology, &Federated::new()).await?;
    let chosen = |region: &RegionName| tools.wanted.iter().any(|broker| broker.region == *region);
    let silent = found.brokers.iter().filter(|(region, _)| chosen(region));
    let mut silent = silent.filter_map(|(region, found)| Some((region, found.answer.as_ref().err()?)));
    if let Some((region, unavailable)) = silent.next() {
        return Ok(Err(format!("{region}: {unavailable}")));
    }
    let mut links = status::links(&tools.topology, &found, &Federated::new());
    for link in &mut links {
        if link.is_running() && may_be_dead(tools, link) {
            link.condition = Condition::Connecting;
        }
    }
    links.retain(|found| {
        !matches!(found.state(), LinkState::Unexpected | LinkState::Paused)
            && chosen(&found.link.upstream)
            && chosen(&found.link.downstream)
    });
    Ok(Ok((found, links)))
}

/// The first that does not run, and why.
pub fn first_missing(links: &[LinkStatus]) -> Option<String> {
    let first = links.iter().find(|link| !link.is_running());
    first.map(|found| format!("{}: {}", found.link, found.condition))
}

/// Remembers that a running broker was attached to the network between the regions again.
pub fn note_attachment(tools: &Tools, done: &Planned) {
    if let Step::Engine(Operation::ConnectNetwork { container, attachment }) = &done.step
        && done.cause == Cause::NotFound
        && attachment.network == wan(&tools.topology.name)
    {
        let brokers = tools.wanted.iter().filter(|broker| broker.container.as_ref() == Some(container));
        let attached = brokers.map(|broker| (broker.region.clone(), Instant::now()));
        tools.attached.borrow_mut().extend(attached);
    }
}

/// Whether a link may still have a connection from before one of its ends was attached again. It may be dead, or half
/// of it, and is reported as running until a heartbeat fails: in two of them, and a little more to be reported.
fn may_be_dead(tools: &Tools, link: &LinkStatus) -> bool {
    let heartbeat = u64::from(tools.topology.federation.upstream.heartbeat);
    let attached = tools.attached.borrow();
    let ends = [&link.link.upstream, &link.link.downstream];
    ends.into_iter().filter_map(|region| attached.get(region)).any(|attached| {
        let since = attached.elapsed().as_secs();
        since <= 2 * heartbeat + 2 && link.age_seconds.is_none_or(|age| age > since)
    })
}

/// The links that are stalled, and since when, and what was tried.
#[derive(Default)]
pub struct Repairs {
    since: BTreeMap<LinkRef, Instant>,
    tried: Vec<(LinkRef, Condition)>,
}

impl Repairs {
    /// Repairs the links that have been stalled for a while, each once: a second try would be for a cause that is not
    /// the one it looks like. A link that cannot be repaired is reported and waited for like any other.
    pub async fn repair(&mut self, links: &[LinkStatus], tools: &Tools) {
        let stalled = || links.iter().filter(|link| patience(link).is_some());
        self.since.retain(|known, _| stalled().any(|found| found.link == *known));
        let due: Vec<&LinkStatus> = stalled()
            .filter(|found| {
                let since = self.since.entry(found.link.clone()).or_insert_with(Instant::now);
                patience(found).is_some_and(|patience| since.elapsed() >= patience)
                    && !self.tried.contains(&(found.link.clone(), found.condition.clone()))
            })
            .collect();
        if !due.is_empty() {
            self.tried.extend(due.iter().map(|found| (found.link.clone(), found.condition.clone())));
            // whoever is interrupted drops the whole wait
            apply(&repair(due, &tools.wanted), tools, &CancellationToken::new()).await;
        }
    }
}
