//! Plan, apply, and wait until every expected link runs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{Report, Tools, apply},
    docker::EngineError,
    inspect::Links,
    wait::{Poll, WaitError, poll_until},
};
use fedctl_model::{
    desired::Desired,
    diagnostic::Diagnostic,
    event::Event,
    plan::{Operation, Plan, Step, is_stalled, plan, repair},
    status::{LinkRef, LinkState, LinkStatus},
    topology::{RegionName, Topology},
};

/// How many plans one run may need: each after images arrived, or after brokers that had to be started or restarted
/// could be asked what they hold.
const ROUNDS: usize = 4;
/// How long a broker may take to start a link, to pass it a changed password, and to propagate bindings over it,
/// before the link is repaired.
const STALLED_LIMIT: Duration = Duration::from_secs(3);

/// Why the regions are not up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The engine failed while its state was read.
    #[error(transparent)]
    Engine(#[from] EngineError),
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
    /// Interrupted while reading or waiting.
    #[error("interrupted")]
    Interrupted,
}

fn blocked_changes(count: usize) -> String {
    if count == 1 { "1 change is blocked".into() } else { format!("{count} changes are blocked") }
}

/// What `up` works on.
pub struct Up<'a> {
    /// The topology.
    pub topology: &'a Topology,
    /// What it requires, or the part of it that belongs to the chosen regions.
    pub desired: &'a Desired,
    /// What steps work with.
    pub tools: &'a Tools,
    /// Cancelled to interrupt.
    pub stop: &'a CancellationToken,
}

impl Up<'_> {
    /// Plans, applies, and waits for the links; returns the number of steps done and of links running.
    ///
    /// # Errors
    ///
    /// See [`UpError`]. Another `up` finishes what was started.
    pub async fn run(&self) -> Result<(usize, usize), UpError> {
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
            rounds += 1;
            match plan.provisional {
                false => break,
                true if rounds == ROUNDS => return Err(UpError::Unsettled),
                true => {}
            }
        }
        tokio::select! {
            running = self.await_links() => Ok((done, running?)),
            () = self.stop.cancelled() => Err(UpError::Interrupted),
        }
    }

    async fn apply(&self, plan: &Plan) -> Result<usize, UpError> {
        let report = apply(plan, self.tools, self.stop).await;
        if report.interrupted || !report.failures.is_empty() {
            Err(UpError::Steps(report))
        } else {
            Ok(report.done)
        }
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

    async fn await_links(&self) -> Result<usize, UpError> {
        let started = Instant::now();
        let events = &self.tools.events;
        let seen = RefCell::new((0, 0));
        let mut stalled = BTreeMap::new();
        let look = async || match self.links_now().await {
            Err(reason) => Poll::Pending(reason),
            Ok(links) => {
                let running = links.iter().filter(|link| link.is_running()).count();
                let first = links.iter().find(|link| !link.is_running());
                let first = first.map(|found| format!("{}: {}", found.link, found.condition));
                let expected = links.len();
                *seen.borrow_mut() = (running, expected);
                events.send(Event::Links { running, expected, first: first.clone() });
                self.repair(&links, &mut stalled).await;
                first.map_or(Poll::Ready(expected), Poll::Pending)
            }
        };
        let waited: Result<usize, WaitError<std::convert::Infallible>> =
            poll_until(self.tools.deadline, look, |reason| events.progress("links", reason)).await;
        match waited {
            Ok(expected) => {
                events.send(Event::LinksRunning { expected, took: started.elapsed() });
                Ok(expected)
            }
            Err(WaitError::TimedOut(first)) => {
                let (running, expected) = seen.into_inner();
                let first = first.unwrap_or_else(|| "no broker answered".into());
                Err(UpError::Links { missing: expected - running, expected, first })
            }
        }
    }

    /// Repairs the links that have been stalled for a while. A link that cannot be repaired is reported and waited
    /// for like any other.
    async fn repair(&self, links: &[LinkStatus], since: &mut BTreeMap<LinkRef, Instant>) {
        let stalled = || links.iter().filter(|link| is_stalled(link));
        since.retain(|known, _| stalled().any(|found| found.link == *known));
        let due: Vec<&LinkStatus> = stalled()
            .filter(|found| {
                since.entry(found.link.clone()).or_insert_with(Instant::now).elapsed() >= STALLED_LIMIT
            })
            .collect();
        if !due.is_empty() {
            since.clear();
            apply(&repair(due, self.desired), self.tools, self.stop).await;
        }
    }

    /// The links between the chosen regions, or the first reason for which they cannot be seen.
    async fn links_now(&self) -> Result<Vec<LinkStatus>, String> {
        let brokers = self.tools.brokers.borrow().clone();
        let Links { mut links, unavailable } = self.tools.inspect.links(self.topology, &brokers).await;
        if let Some(unavailable) = unavailable {
            return Err(unavailable);
        }
        let chosen = |region: &RegionName| self.desired.brokers.iter().any(|broker| broker.region == *region);
        links.retain(|found| {
            found.state() != LinkState::Unexpected
                && chosen(&found.link.upstream)
                && chosen(&found.link.downstream)
        });
        Ok(links)
    }
}
