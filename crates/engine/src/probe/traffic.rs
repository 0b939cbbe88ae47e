//! The messages of a probe: when they can be sent, that they are, and when they arrive.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use futures_util::{
    StreamExt,
    future::join_all,
    stream::{self, select_all},
};
use tokio::time::{Instant, timeout_at};

use super::{End, Probing, SUBJECT, Seen};
use crate::{
    chain::chain,
    wait::{Poll, poll_until, quiet},
};
use fedctl_model::{
    counted::counted,
    observed::Resource,
    probe::{Message, Problem},
    topology::RegionName,
};

/// How long to watch for a second copy. One that took a second path through the mesh is one hop, a few milliseconds,
/// behind.
const QUIET: Duration = Duration::from_millis(100);
/// How long a broker may take to say how its links are, after the time is over.
const STATES_WITHIN: Duration = Duration::from_secs(2);

/// A link, by its lane and downstream.
type Key = (usize, RegionName);

impl Probing<'_> {
    /// Waits until every link can carry messages: the upstream knows the binding, or the link of the queue runs.
    pub(super) async fn await_links(&self, ends: &[End], seen: &Seen, deadline: Instant) {
        let waited = self.taking_part(seen);
        let all = waited.len();
        let waited = RefCell::new(waited);
        let look = async || {
            let ready = join_all(ends.iter().map(|end| self.ready(end, &waited))).await;
            let mut waited = waited.borrow_mut();
            for key in ready.into_iter().flatten() {
                waited.remove(&key);
            }
            if waited.is_empty() {
                return Poll::<(), ()>::Ready(());
            }
            Poll::Pending(format!("{} of {} ready", all - waited.len(), counted(all, "link")))
        };
        poll_until(deadline, look, |reason| self.events.progress(SUBJECT, reason)).await.ok();
        seen.evidence.borrow_mut().not_ready = waited.into_inner();
    }

    fn taking_part(&self, seen: &Seen) -> BTreeSet<Key> {
        let evidence = seen.evidence.borrow();
        let links = self.probe.links().map(|(lane, link)| (lane, link.downstream));
        links.filter(|(lane, downstream)| evidence.takes_part(self.probe, *lane, downstream)).collect()
    }

    /// Those links that are ready by what one broker says, as an upstream of exchanges and a downstream of queues.
    async fn ready(&self, end: &End, waited: &RefCell<BTreeSet<Key>>) -> Vec<Key> {
        let waited = waited.borrow().clone();
        let mut ready = Vec::new();
        for (index, lane) in self.probe.lanes.iter().enumerate() {
            let Resource::Exchange(exchange) = &lane.resource else { continue };
            let downstreams = waited.iter().filter(|(of, _)| *of == index).map(|(_, downstream)| downstream);
            let upstream = self.topology.region(&lane.upstream);
            let named = downstreams
                .filter_map(|name| Some((name, self.topology.region(name)?.as_downstream_of(upstream?))));
            let downstreams: Vec<_> = named.collect();
            if lane.upstream == end.region && !downstreams.is_empty() {
                let bound = end.broker.bound_downstreams(exchange, self.probe.key(), downstreams).await;
                ready.extend(bound.unwrap_or_default().into_iter().map(|found| (index, found.clone())));
            }
        }
        let is_own_queue = |(index, downstream): &&Key| {
            let lane = &self.probe.lanes[*index];
            *downstream == end.region && matches!(lane.resource, Resource::Queue(_))
        };
        let queues: Vec<&Key> = waited.iter().filter(is_own_queue).collect();
        if queues.is_empty() {
            return ready;
        }
        let states = end.broker.link_states(|name| self.probe.nonce.owns(name)).await.unwrap_or_default();
        let runs = |(index, _): &&&Key| {
            let lane = &self.probe.lanes[*index];
            states.iter().any(|(upstream, resource, status)| {
                *upstream == lane.upstream.as_str() && *resource == lane.resource && status == "running"
            })
        };
        ready.extend(queues.iter().filter(runs).map(|key| (*key).clone()));
        ready
    }

    /// Publishes in every region and counts what arrives, until all has or time is up, and a moment longer for what
    /// must not arrive again.
    pub(super) async fn send_and_receive(&self, ends: &[End], seen: &Seen, deadline: Instant) {
        let deliveries = ends.iter().flat_map(|end| {
            let of_region = end.deliveries.take().into_iter();
            of_region.map(|deliveries| deliveries.map(|body| (&end.region, body)))
        });
        let receiving = select_all(deliveries).chain(stream::pending()).for_each(async |(region, body)| {
            if let Some(message) = Message::parse(&body, &self.probe.nonce) {
                seen.tally.borrow_mut().arrive(message, region, seen.elapsed());
            }
        });
        let arrived = async || {
            let outstanding = seen.tally.borrow().outstanding(self.probe, &seen.evidence.borrow());
            if outstanding == 0 {
                return Poll::<(), ()>::Ready(());
            }
            Poll::Pending(format!("{} on their way", counted(outstanding, "message")))
        };
        self.events.progress(SUBJECT, "sending messages");
        let working = async {
            join_all(ends.iter().map(|end| self.publish(end, seen, deadline))).await;
            let progress = |reason: &str| self.events.progress(SUBJECT, reason);
            poll_until(deadline, arrived, progress).await.ok();
            let arrivals = || seen.tally.borrow().arrivals();
            let mut before = arrivals();
            quiet(QUIET, || std::mem::replace(&mut before, arrivals()) != arrivals()).await;
        };
        tokio::select! {
            () = working => {}
            () = receiving => {}
        }
    }

    /// Publishes in a region, one message after the other, each when the broker has confirmed the one before.
    async fn publish(&self, end: &End, seen: &Seen, deadline: Instant) {
        let takes_part =
            |lane: usize, downstream| seen.evidence.borrow().takes_part(self.probe, lane, downstream);
        let lanes = self.probe.lanes.iter().enumerate();
        let lanes = lanes.filter(|(index, lane)| {
            lane.upstream == end.region && lane.downstreams.iter().any(|found| takes_part(*index, found))
        });
        let lanes: Vec<_> = lanes.collect();
        for sequence in 0..self.probe.count {
            for (lane, found) in &lanes {
                let message = Message { lane: *lane, sequence };
                let (exchange, key) = match &found.resource {
                    Resource::Exchange(name) => (name.as_str(), self.probe.key()),
                    Resource::Queue(name) => ("", name.as_str()),
                };
                let body = message.body(&self.probe.nonce);
                seen.tally.borrow_mut().publish(message, seen.elapsed());
                let confirmed = timeout_at(deadline, end.session.publish(exchange, key, &body)).await;
                if !matches!(confirmed, Ok(Ok(true))) {
                    seen.tally.borrow_mut().not_confirmed(message);
                }
                match confirmed {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return seen.out(&end.region, Problem::amqp(chain(&error))),
                    Err(_) => return,
                }
            }
        }
    }

    /// Asks the downstreams of links that lost messages how they report these links.
    pub(super) async fn ask_for_states(&self, ends: &[End], seen: &Seen) {
        let states = ends.iter().map(async |end| {
            let states = end.broker.link_states(|name| self.probe.nonce.owns(name));
            Some((&end.region, timeout_at(Instant::now() + STATES_WITHIN, states).await.ok()?.ok()?))
        });
        let states: Vec<_> = join_all(states).await.into_iter().flatten().collect();
        let losing: Vec<_> = seen.tally.borrow().losing(self.probe, &seen.evidence.borrow()).collect();
        for (lane, link, _) in losing {
            let of_region = states.iter().find(|(region, _)| **region == link.downstream);
            let Some((_, states)) = of_region else { continue };
            let found = states.iter().find(|(upstream, resource, _)| {
                *upstream == link.upstream.as_str() && *resource == link.resource
            });
            let state = found.map_or_else(|| "missing".to_owned(), |(_, _, status)| status.clone());
            seen.evidence.borrow_mut().reported.insert((lane, link.downstream), state);
        }
    }
}
