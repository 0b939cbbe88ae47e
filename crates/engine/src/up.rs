//! Plan, apply, and wait until every expected link runs.

use std::{cell::RefCell, collections::BTreeSet, pin::pin};

use futures_util::future::{Either, select};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{Report, Tools, apply},
    docker::EngineError,
    links::{self, Repairs},
    wait::{Poll, WaitError, poll_until},
    workdir::{Workdir, WorkdirError},
};
use fedctl_model::{
    desired::Desired,
    diagnostic::Diagnostic,
    event::Event,
    observed::{BrokerHealth, Federated, Snapshot},
    plan::{Operation, Plan, Step, plan},
    status::{self, LinkStatus},
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
    /// The plan is no longer the one that was agreed to.
    #[error("something has changed since the plan was made; nothing was applied")]
    Moved,
    /// A change would lose data or take over what is not the project's, so nothing was applied.
    #[error("{}; nothing was applied", blocked_changes(.0.len()))]
    Blocked(Vec<Diagnostic>),
    /// Some steps failed or were interrupted.
    #[error("some steps failed")]
    Steps(Report),
    /// A broker answers, and what it holds could not be read; with why.
    #[error("cannot read what brokers hold: {0}")]
    Unsettled(String),
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

/// A plan, with what else was found.
struct Planned {
    plan: Plan,
    /// The links, if they were looked at since and nothing is to be changed.
    looked: Option<Looked>,
    /// The first broker that did not say what it holds, and why.
    unread: Option<String>,
}

/// What a look at the links found.
type Looked = Result<Result<links::Found, String>, EngineError>;

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
    /// What the topology requires, or the part of it that belongs to the chosen regions.
    pub desired: &'a Desired,
    /// What steps work with.
    pub tools: &'a Tools,
    /// Where it is recorded what is being changed.
    pub workdir: &'a Workdir,
    /// Cancelled to interrupt.
    pub stop: &'a CancellationToken,
    /// The digest of the plan that was agreed to, if only that one may be applied.
    pub agreed: Option<&'a str>,
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
        let looked = loop {
            let Planned { plan, looked, unread } = tokio::select! {
                planned = self.plan_and_look() => planned?,
                () = self.stop.cancelled() => return Err(UpError::Interrupted),
            };
            if !plan.blocked.is_empty() {
                return Err(UpError::Blocked(plan.blocked));
            }
            if rounds == 0 && self.agreed.is_some_and(|agreed| plan.digest() != agreed) {
                return Err(UpError::Moved);
            }
            self.note_images(&plan);
            done += self.apply(&plan).await?;
            rounds += 1;
            match plan.provisional {
                false => break looked,
                true if rounds == ROUNDS => {
                    let unread = unread.unwrap_or_else(|| "they kept restarting".into());
                    return Err(UpError::Unsettled(unread));
                }
                true => {}
            }
        };
        tokio::select! {
            waited = self.await_links(looked) => {
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

    /// A plan, and a look at the links, which mostly is all that is left to do: one does not wait for the other.
    async fn plan_and_look(&self) -> Result<Planned, UpError> {
        let (planning, looking) = (pin!(self.plan()), pin!(links::now(self.tools)));
        let mut planned = match select(planning, looking).await {
            Either::Left((planned, looking)) => {
                let mut planned = planned?;
                if planned.plan.is_empty() {
                    planned.looked = Some(looking.await);
                }
                planned
            }
            Either::Right((looked, planning)) => Planned { looked: Some(looked), ..planning.await? },
        };
        planned.looked = planned.looked.filter(|_| planned.plan.is_empty());
        Ok(planned)
    }

    async fn plan(&self) -> Result<Planned, UpError> {
        let inspect = &self.tools.inspect;
        let found = inspect.definitions(self.desired).await?;
        self.tools.brokers.borrow_mut().extend(inspect.brokers(&found.engine));
        let mut unread =
            found.brokers.iter().filter_map(|(region, found)| Some((region, found.answer.as_ref().err()?)));
        let unread = unread.next().map(|(region, unavailable)| format!("broker {region}: {unavailable}"));
        Ok(Planned { plan: plan(self.desired, &found), looked: None, unread })
    }

    async fn await_links(&self, mut looked: Option<Looked>) -> Result<(Vec<LinkStatus>, Federated), UpError> {
        let started = Instant::now();
        let events = &self.tools.events;
        let seen = RefCell::new((0, 0));
        let mut repairs = Repairs::default();
        let look = async || {
            let found = match looked.take() {
                Some(found) => found,
                None => links::now(self.tools).await,
            };
            let (found, links) = match found {
                Ok(Ok(found)) => found,
                Ok(Err(reason)) => return Poll::Pending(reason),
                Err(error) => return Poll::Failed(error.into()),
            };
            let running = links.iter().filter(|link| link.is_running()).count();
            let first = links::first_missing(&links);
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
            repairs.repair(&links, self.tools).await;
            first.map_or_else(|| Poll::Ready((links, found)), Poll::Pending)
        };
        let waited = poll_until(self.tools.deadline, look, |reason| events.progress("links", reason)).await;
        match waited {
            Ok((links, found)) => {
                events.send(Event::LinksRunning { expected: links.len(), took: started.elapsed() });
                self.without_alarms(&found)?;
                Ok((links, status::federated(&self.tools.topology, &found)))
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
}
