//! A probe: it makes exchanges and queues of its own, sends messages through their links, and removes all of it.

pub(crate) mod clean;
mod traffic;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    time::Duration,
};

use futures_util::{Stream, StreamExt, future::join_all};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    amqp::{AmqpError, Session},
    chain::chain,
    docker::EngineError,
    inspect::Inspect,
    rabbitmq::{Broker, BrokerError},
};
use fedctl_model::{
    counted::counted,
    event::{Event, Events},
    probe::{Evidence, Left, Nonce, Probe, ProbeReport, Problem, Tally},
    topology::{Pair, RegionName, Topology},
};

/// How long a queue stays that no probe uses any more.
const EXPIRES: Duration = Duration::from_secs(15);
/// When the inbox of the first region expires, and how much later that of the last one; the others in between. An inbox takes its
/// region's exchange with it, whose links end, and while they end their broker starts no other: if that happened in all
/// regions at once, each could wait for the next for five minutes. An internal queue expires after that and the exchange
/// upstream with it, and then the internal queues of its links: in all, less than a minute.
const INBOX_EXPIRES: Duration = Duration::from_secs(10);
const INBOXES_SPREAD: Duration = Duration::from_secs(10);
/// How long it may take to remove everything. A link that just connects to a region that is silent ends when that has
/// timed out.
const CLEAN_WITHIN: Duration = Duration::from_secs(15);
/// And after an interrupt.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// What the lines of progress are about.
const SUBJECT: &str = "probe";

/// What a probe works with.
pub struct Probing<'a> {
    /// Where the brokers are.
    pub inspect: &'a Inspect,
    /// The topology.
    pub topology: &'a Topology,
    /// What to send where.
    pub probe: &'a Probe,
    /// Where progress is reported.
    pub events: &'a Events,
    /// How long it may take, without the removal.
    pub timeout: Duration,
    /// Cancelled to interrupt.
    pub stop: &'a CancellationToken,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The engine failed while its state was read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Interrupted; with what could not be removed.
    #[error("interrupted")]
    Interrupted(Vec<Left>),
}

/// Why a broker takes no part.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("declaring exchanges and queues timed out")]
    TimedOut,
}

/// What is delivered to a probe in one region.
type Deliveries = Pin<Box<dyn Stream<Item = Vec<u8>>>>;

/// A region that takes part.
struct End {
    region: RegionName,
    broker: Broker,
    session: Session,
    deliveries: RefCell<Vec<Deliveries>>,
}

/// What a probe has seen so far.
struct Seen {
    began: Instant,
    tally: RefCell<Tally>,
    evidence: RefCell<Evidence>,
}

/// By which one probe is told from another.
#[must_use]
pub fn nonce() -> Nonce {
    Nonce::new(rand::random())
}

impl Probing<'_> {
    /// Probes every link, and removes what it made, whatever came of it.
    ///
    /// # Errors
    ///
    /// See [`ProbeError`].
    pub async fn run(&self) -> Result<ProbeReport, ProbeError> {
        let seen = Seen { began: Instant::now(), tally: RefCell::default(), evidence: RefCell::default() };
        self.events.progress(SUBJECT, "asking the brokers");
        let (brokers, mut left) = tokio::select! {
            reached = self.reach(&seen) => reached?,
            () = self.stop.cancelled() => return Err(ProbeError::Interrupted(Vec::new())),
        };
        let mut ends = Vec::new();
        let interrupted = tokio::select! {
            () = self.probe(&brokers, &mut ends, &seen) => false,
            () = self.stop.cancelled() => true,
        };
        self.events.progress(SUBJECT, "removing its exchanges and queues");
        let within = if interrupted { LEAVE_WITHIN } else { CLEAN_WITHIN };
        let removed_by = Instant::now() + within;
        left.extend(clean::clean(self.probe, &brokers, removed_by).await);
        join_all(ends.iter().map(|end| end.session.close())).await;
        if interrupted {
            return Err(ProbeError::Interrupted(left));
        }
        let took = seen.began.elapsed();
        let (tally, evidence) = (seen.tally.borrow(), seen.evidence.borrow());
        let report = ProbeReport::of(self.probe, &tally, &evidence, &left, took.as_secs_f64());
        let arrived: usize = report.links.iter().map(|link| link.published - link.lost).sum();
        let result = format!("{} arrived", counted(arrived, "message"));
        self.events.send(Event::StepDone { subject: SUBJECT.to_owned(), result, took, last: true });
        Ok(report)
    }

    /// The brokers that answer, also those that are not probed: links make exchanges and queues on every upstream. They
    /// get as long as a change needs. Why others do not answer is evidence, and where links may work nevertheless, what
    /// they make is left.
    async fn reach(&self, seen: &Seen) -> Result<(BTreeMap<RegionName, Broker>, Vec<Left>), EngineError> {
        let slow = Inspect::for_changes(
            self.inspect.engine.clone(),
            &self.topology.name,
            self.inspect.inventory.clone(),
        );
        let (mut brokers, mut left) = (BTreeMap::new(), Vec::new());
        for (region, found) in self.inspect.reachable().await? {
            match found.and_then(|site| slow.broker(&site)) {
                Ok(broker) => drop(brokers.insert(region, broker)),
                Err(unavailable) => {
                    seen.out(&region, Problem::from(&unavailable));
                    if !unavailable.is_down() {
                        left.push(Left { region, names: Vec::new(), reason: unavailable.to_string() });
                    }
                }
            }
        }
        Ok((brokers, left))
    }

    async fn probe(&self, brokers: &BTreeMap<RegionName, Broker>, ends: &mut Vec<End>, seen: &Seen) {
        let deadline = seen.began + self.timeout;
        // the rest of the time is for the messages of links that never get ready
        let ready_by = seen.began + self.timeout.mul_f64(0.6);
        self.events.progress(SUBJECT, "declaring its exchanges and queues");
        let prepared = brokers.iter().map(async |(region, broker)| {
            let prepared = timeout_at(ready_by, self.prepare(region, broker, seen)).await;
            (region, prepared.unwrap_or(Err(Refusal::TimedOut)))
        });
        for (region, prepared) in join_all(prepared).await {
            match prepared {
                Ok(end) => ends.extend(end),
                Err(refusal) => seen.out(region, Problem::amqp(chain(&refusal))),
            }
        }
        self.await_links(ends, seen, ready_by).await;
        self.send_and_receive(ends, seen, deadline).await;
        if seen.tally.borrow().outstanding(self.probe, &seen.evidence.borrow()) > 0 {
            self.ask_for_states(ends, seen).await;
        }
    }

    /// Declares what a region needs, and consumes it; which links to it are paused. One that is not probed gets only the
    /// policy.
    async fn prepare(
        &self,
        region: &RegionName,
        broker: &Broker,
        seen: &Seen,
    ) -> Result<Option<End>, Refusal> {
        let probe = self.probe;
        let (expires, nonce) = (EXPIRES, &probe.nonce);
        broker.let_expire(nonce.mark(), &nonce.pattern(), expires).await?;
        if !probe.regions.contains(region) {
            return Ok(None);
        }
        let owned = broker.owned().await?;
        seen.paused(region, owned.unwrap_or_default().paused);
        let session = Session::connect(broker.site(), "fedctl probe").await?;
        let inbox = probe.inbox(region);
        session.declare_queue(&inbox, self.inbox_expires(region)).await?;
        let mut deliveries: Vec<Deliveries> = vec![session.consume(&inbox).await?.boxed_local()];
        for exchange in probe.exchanges() {
            session.declare_exchange(exchange).await?;
            session.bind(&inbox, exchange, probe.key()).await?;
        }
        let consumed: BTreeSet<(&str, &RegionName)> = probe.queues();
        let names: BTreeSet<&str> = consumed.iter().map(|(name, _)| *name).collect();
        for queue in names {
            session.declare_queue(queue, expires).await?;
            if consumed.contains(&(queue, region)) {
                deliveries.push(session.consume(queue).await?.boxed_local());
            }
        }
        let (region, broker) = (region.clone(), broker.clone());
        Ok(Some(End { region, broker, session, deliveries: RefCell::new(deliveries) }))
    }
}

impl Probing<'_> {
    fn inbox_expires(&self, region: &RegionName) -> Duration {
        let regions = &self.probe.regions;
        let place = regions.iter().position(|found| found == region).unwrap_or(0);
        let intervals = regions.len().saturating_sub(1).max(1);
        let [place, intervals] = [place, intervals].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        INBOX_EXPIRES + INBOXES_SPREAD * place / intervals
    }
}

impl Seen {
    /// A region takes no part.
    fn out(&self, region: &RegionName, problem: Problem) {
        self.evidence.borrow_mut().problems.entry(region.clone()).or_insert(problem);
    }

    /// The links to a region from these upstreams are paused.
    fn paused(&self, downstream: &RegionName, upstreams: impl IntoIterator<Item = String>) {
        let pair = |upstream| Pair { upstream: RegionName::new(upstream), downstream: downstream.clone() };
        self.evidence.borrow_mut().paused.extend(upstreams.into_iter().map(pair));
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
