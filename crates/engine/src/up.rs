//! Plan, apply, and wait until every expected link runs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{Report, Tools, apply},
    docker::EngineError,
    wait::{Poll, WaitError, poll_until},
    workdir::{Workdir, WorkdirError},
};
use fedctl_model::{
    desired::Desired,
    diagnostic::Diagnostic,
    event::Event,
    names::wan,
    observed::{BrokerHealth, Federated, Snapshot},
    plan::{Cause, Operation, Plan, Step, patience, plan, repair},
    status::{self, Condition, LinkRef, LinkState, LinkStatus},
    topology::{RegionName, Topology},
};

/// How many plans one run may need: each after images arrived, or after brokers that had to be started or restarted
/// could be asked what they hold.
const ROUNDS: usize = 4;
/// Why the regions are not up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The engine failed while its state was read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is being changed could not be recorded.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    /// A change would lose data or take over what is not the project's, so nothing was applied.
    #[error("{}; nothing was applied", blocked_changes(.0.len()))]
    Blocked(Vec<Diagnostic>),
    /// Some steps failed or were interrupted.
    #[error("some steps failed")]
    Steps(Report),
    /// Brokers kept restarting while their definitions were read.
    #[error("brokers kept restarting; could not read their definitions")]
    Unsettled,
    /// The links did not run in time.
    #[error("timed out waiting for {missing} of {expected} links: {first}")]
    Links {
        /// How many do not run.
        missing: usize,
        /// How many are expected.
        expected: usize,
        /// The first that does not run, and why.
        first: String,
    },
    /// Everything was applied, and something is left that fedctl cannot mend.
    #[error("{}", degraded(.0))]
    Degraded(Vec<Diagnostic>),
    /// Interrupted while reading or waiting.
    #[error("interrupted")]
    Interrupted,
}

fn blocked_changes(count: usize) -> String {
    if count == 1 { "1 change is blocked".into() } else { format!("{count} changes are blocked") }
}

fn degraded(found: &[Diagnostic]) -> String {
    match found {
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first}; and {} more", others.len()),
        [] => String::new(),
    }
}

/// What `up` works on.
pub struct Up<'a> {
    /// The topology.
    pub topology: &'a Topology,
    /// What it requires, or the part of it that belongs to the chosen regions.
    pub desired: &'a Desired,
    /// What steps work with.
    pub tools: &'a Tools,
    /// Where it is recorded what is being changed.
    pub workdir: &'a Workdir,
    /// Cancelled to interrupt.
    pub stop: &'a CancellationToken,
    /// When brokers that ran were attached to the network between the regions again.
    pub attached: RefCell<BTreeMap<RegionName, Instant>>,
}

/// What came of it.
pub struct Done {
    /// Steps that were necessary.
    pub steps: usize,
    /// The links, which run.
    pub links: Vec<LinkStatus>,
    /// What is federated now in each of the chosen regions.
    pub federated: Federated,
}

impl Up<'_> {
    /// Plans, applies, and waits for the links.
    ///
    /// # Errors
    ///
    /// See [`UpError`]. Another `up` finishes what was started.
    pub async fn run(&self) -> Result<Done, UpError> {
        let mut done = 0;
        let mut rounds = 0;
        loop {
            let plan = tokio::select! {
                planned = self.plan() => planned?,
                () = self.stop.cancelled() => return Err(UpError::Interrupted),
            };
            if !plan.blocked.is_empty() {
                return Err(UpError::Blocked(plan.blocked));
            }
            self.note_images(&plan);
            done += self.apply(&plan).await?;
            self.note_attachments(&plan);
            rounds += 1;
            match plan.provisional {
                false => break,
                true if rounds == ROUNDS => return Err(UpError::Unsettled),
                true => {}
            }
        }
        tokio::select! {
            waited = self.await_links() => {
                let (links, federated) = waited?;
                Ok(Done { steps: done, links, federated })
            }
            () = self.stop.cancelled() => Err(UpError::Interrupted),
        }
    }

    /// Applies a plan. Which upstreams it changes is on disk until their links have been told.
    async fn apply(&self, plan: &Plan) -> Result<usize, UpError> {
        let changed = plan.changed_upstreams();
        let mut changing = self.workdir.changing()?;
        changing.extend(changed.iter().cloned());
        self.workdir.record_changing(&changing)?;
        let report = apply(plan, self.tools, self.stop).await;
        if report.interrupted || !report.failures.is_empty() {
            return Err(UpError::Steps(report));
        }
        changing.retain(|upstream| !changed.contains(upstream));
        self.workdir.record_changing(&changing)?;
        Ok(report.done)
    }

    /// Remembers which running brokers were attached to the network between the regions again.
    fn note_attachments(&self, plan: &Plan) {
        let network = wan(&self.desired.project);
        let mut attached = self.attached.borrow_mut();
        for planned in plan.steps.iter().filter(|planned| planned.cause == Cause::NotFound) {
            if let Step::Engine(Operation::ConnectNetwork { container, attachment }) = &planned.step
                && attachment.network == network
            {
                let brokers = self.desired.brokers.iter().filter(|broker| broker.container == *container);
                attached.extend(brokers.map(|broker| (broker.region.clone(), Instant::now())));
            }
        }
    }

    /// Whether a link may still have a connection from before one of its ends was attached again. It may be dead, or half
    /// of it, and is reported as running until a heartbeat fails: in two of them, and a little more to be reported.
    fn may_be_dead(&self, link: &LinkStatus) -> bool {
        let heartbeat = u64::from(self.topology.federation.upstream.heartbeat);
        let attached = self.attached.borrow();
        let ends = [&link.link.upstream, &link.link.downstream];
        ends.into_iter().filter_map(|region| attached.get(region)).any(|attached| {
            let since = attached.elapsed().as_secs();
            since <= 2 * heartbeat + 2 && link.age_seconds.is_none_or(|age| age > since)
        })
    }

    /// Reports the images that are used as found; those that are built or pulled report themselves.
    fn note_images(&self, plan: &Plan) {
        let (mut used, mut provided) = (BTreeSet::new(), BTreeSet::new());
        for planned in &plan.steps {
            if let Step::Engine(Operation::CreateContainer(container)) = &planned.step {
                used.insert(container.image.as_str());
            }
            if let Step::Engine(
                Operation::ProvideImage { reference } | Operation::ImportServiceImage { reference },
            ) = &planned.step
            {
                provided.insert(reference.as_str());
            }
        }
        for image in used.difference(&provided) {
            self.tools.events.note(format!("image {image} was found on the engine"));
        }
    }

    async fn plan(&self) -> Result<Plan, UpError> {
        let inspect = &self.tools.inspect;
        let found = inspect.definitions(self.desired).await?;
        self.tools.brokers.borrow_mut().extend(inspect.brokers(&found.engine));
        Ok(plan(self.desired, &found))
    }

    async fn await_links(&self) -> Result<(Vec<LinkStatus>, Federated), UpError> {
        let started = Instant::now();
        let events = &self.tools.events;
        let seen = RefCell::new((0, 0));
        let mut repairs = Repairs::default();
        let look = async || {
            let (found, links) = match self.links_now().await {
                Ok(Ok(found)) => found,
                Ok(Err(reason)) => return Poll::Pending(reason),
                Err(error) => return Poll::Failed(error.into()),
            };
            let running = links.iter().filter(|link| link.is_running()).count();
            let first = links.iter().find(|link| !link.is_running());
            let first = first.map(|found| format!("{}: {}", found.link, found.condition));
            let expected = links.len();
            *seen.borrow_mut() = (running, expected);
            events.send(Event::Links { running, expected, first: first.clone() });
            let hopeless: Vec<Diagnostic> = links
                .iter()
                .filter(|link| link.needs_a_person())
                .filter_map(LinkStatus::diagnostic)
                .collect();
            if !hopeless.is_empty() {
                return Poll::Failed(UpError::Degraded(hopeless));
            }
            self.repair(&links, &mut repairs).await;
            first.map_or_else(|| Poll::Ready((links, found)), Poll::Pending)
        };
        let waited = poll_until(self.tools.deadline, look, |reason| events.progress("links", reason)).await;
        match waited {
            Ok((links, found)) => {
                events.send(Event::LinksRunning { expected: links.len(), took: started.elapsed() });
                self.without_alarms(&found)?;
                Ok((links, status::federated(self.topology, &found)))
            }
            Err(WaitError::Aborted(error)) => Err(error),
            Err(WaitError::TimedOut(first)) => {
                let (running, expected) = seen.into_inner();
                let first = first.unwrap_or_else(|| "no broker answered".into());
                Err(UpError::Links { missing: expected - running, expected, first })
            }
        }
    }

    /// A broker with an alarm blocks its publishers: its region is not up.
    fn without_alarms(&self, found: &Snapshot<BrokerHealth>) -> Result<(), UpError> {
        let chosen = self.desired.brokers.iter().map(|broker| &broker.region);
        let alarms: Vec<Diagnostic> = chosen
            .filter_map(|region| status::alarm(region, found.answer(region)?.alarms.as_ref()?))
            .collect();
        if alarms.is_empty() { Ok(()) } else { Err(UpError::Degraded(alarms)) }
    }

    /// Repairs the links that have been stalled for a while, each once: a second try would be for a cause that is not
    /// the one it looks like. A link that cannot be repaired is reported and waited for like any other.
    async fn repair(&self, links: &[LinkStatus], repairs: &mut Repairs) {
        let stalled = || links.iter().filter(|link| patience(link).is_some());
        repairs.since.retain(|known, _| stalled().any(|found| found.link == *known));
        let due: Vec<&LinkStatus> = stalled()
            .filter(|found| {
                let since = repairs.since.entry(found.link.clone()).or_insert_with(Instant::now);
                patience(found).is_some_and(|patience| since.elapsed() >= patience)
                    && !repairs.tried.contains(&(found.link.clone(), found.condition.clone()))
            })
            .collect();
        if !due.is_empty() {
            repairs.tried.extend(due.iter().map(|found| (found.link.clone(), found.condition.clone())));
            apply(&repair(due, self.desired), self.tools, self.stop).await;
        }
    }

    /// The links between the chosen regions, or the first reason for which they cannot be seen.
    async fn links_now(
        &self,
    ) -> Result<Result<(Snapshot<BrokerHealth>, Vec<LinkStatus>), String>, EngineError> {
        let found = self.tools.inspect.health(self.topology).await?;
        let chosen = |region: &RegionName| self.desired.brokers.iter().any(|broker| broker.region == *region);
        let silent = found.brokers.iter().filter(|(region, _)| chosen(region));
        let mut silent = silent.filter_map(|(region, found)| Some((region, found.answer.as_ref().err()?)));
        if let Some((region, unavailable)) = silent.next() {
            return Ok(Err(format!("{region}: {unavailable}")));
        }
        let mut links = status::links(self.topology, &found, &Federated::new());
        for link in &mut links {
            if link.is_running() && self.may_be_dead(link) {
                link.condition = Condition::Connecting;
            }
        }
        links.retain(|found| {
            found.state() != LinkState::Unexpected
                && chosen(&found.link.upstream)
                && chosen(&found.link.downstream)
        });
        Ok(Ok((found, links)))
    }
}

/// The links that are stalled, and since when, and what was tried.
#[derive(Default)]
struct Repairs {
    since: BTreeMap<LinkRef, Instant>,
    tried: Vec<(LinkRef, Condition)>,
}
