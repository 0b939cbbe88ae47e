//! Applies a plan: every step starts as soon as those that it depends on are done.

mod step;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use step::StepError;

use crate::{
    chain::chain, executable::Executable, inspect::Inspect, links::note_attachment, rabbitmq::Broker,
};
use fedctl_model::{
    desired,
    event::{Event, Events},
    plan::{Description, Plan},
    topology::{RegionName, Topology},
};

/// How long steps in flight may go on after an interrupt.
const GRACE: Duration = Duration::from_secs(2);

/// What steps work with.
pub struct Tools {
    /// The engine, and how brokers and services are reached.
    pub inspect: Inspect,
    /// The topology.
    pub topology: Topology,
    /// What the chosen regions' brokers should hold; empty where no link is waited for.
    pub wanted: Vec<desired::Broker>,
    /// What the service image is built from.
    pub executable: Option<Executable>,
    /// Brokers that answered.
    pub brokers: RefCell<BTreeMap<RegionName, Broker>>,
    /// When brokers that ran were attached to the network between the regions again.
    pub attached: RefCell<BTreeMap<RegionName, Instant>>,
    /// Where events go.
    pub events: Events,
    /// When waiting ends.
    pub deadline: Instant,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// Steps that are done.
    pub done: usize,
    /// Steps that failed: subject and error.
    pub failures: Vec<(String, StepError)>,
    /// Steps that were not started, because one that they depend on failed or because of an interrupt.
    pub skipped: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether some region has a running broker in spite of the failures.
    pub partly: bool,
}

/// Applies `plan`. A step that fails cancels those that depend on it and nothing else. When `stop` is cancelled no
/// new step starts, and those in flight get two seconds.
pub async fn apply(plan: &Plan, tools: &Tools, stop: &CancellationToken) -> Report {
    tools.events.send(Event::Planned { steps: plan.steps.len() });
    let mut run = Run::new(plan, tools);
    run.start_ready();
    while !run.running.is_empty() {
        let joined = tokio::select! {
            joined = run.running.next() => joined,
            () = stop.cancelled(), if !run.report.interrupted => {
                run.interrupt().await;
                continue;
            }
        };
        if let Some((index, result)) = joined {
            run.finish(index, result);
            run.start_ready();
        }
    }
    run.report.partly = !tools.brokers.borrow().is_empty();
    run.report.skipped = plan.steps.len() - run.report.done - run.report.failures.len();
    run.report
}

struct Run<'a> {
    plan: &'a Plan,
    tools: &'a Tools,
    /// How many unfinished steps each step depends on.
    waiting: Vec<usize>,
    dependents: HashMap<usize, Vec<usize>>,
    ready: BTreeSet<usize>,
    /// Unfinished steps by subject, to report when a subject is done.
    left: HashMap<String, usize>,
    running: FuturesUnordered<LocalBoxFuture<'a, (usize, Result<Duration, StepError>)>>,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, tools: &'a Tools) -> Self {
        let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut left = HashMap::new();
        for (index, planned) in plan.steps.iter().enumerate() {
            for before in &planned.after {
                dependents.entry(*before).or_default().push(index);
            }
            *left.entry(planned.step.describe().subject).or_default() += 1;
        }
        let waiting: Vec<usize> = plan.steps.iter().map(|planned| planned.after.len()).collect();
        let ready = (0..waiting.len()).filter(|index| waiting[*index] == 0).collect();
        Self {
            plan,
            tools,
            waiting,
            dependents,
            ready,
            left,
            running: FuturesUnordered::new(),
            report: Report::default(),
        }
    }

    fn start_ready(&mut self) {
        while let Some(index) = self.ready.pop_first() {
            let step = &self.plan.steps[index].step;
            let tools = self.tools;
            let Description { subject, action, .. } = step.describe();
            tools.events.send(Event::StepStarted { subject, action });
            self.running.push(Box::pin(async move {
                let started = Instant::now();
                (index, step::run(step, tools).await.map(|()| started.elapsed()))
            }));
        }
    }

    fn finish(&mut self, index: usize, result: Result<Duration, StepError>) {
        let step = &self.plan.steps[index].step;
        let Description { subject, result: done, .. } = step.describe();
        match result {
            Ok(took) => {
                self.report.done += 1;
                note_attachment(self.tools, &self.plan.steps[index]);
                let left = self.left.entry(subject.clone()).or_default();
                *left = left.saturating_sub(1);
                let last = *left == 0;
                self.tools.events.send(Event::StepDone { subject, result: done, took, last });
                if !self.report.interrupted {
                    for dependent in self.dependents.remove(&index).unwrap_or_default() {
                        self.waiting[dependent] -= 1;
                        if self.waiting[dependent] == 0 {
                            self.ready.insert(dependent);
                        }
                    }
                }
            }
            Err(error) => {
                self.tools.events.send(Event::StepFailed { subject: subject.clone(), error: chain(&error) });
                self.report.failures.push((subject, error));
            }
        }
    }

    /// Starts no further steps, and waits a little for those in flight.
    async fn interrupt(&mut self) {
        self.report.interrupted = true;
        self.ready.clear();
        let deadline = Instant::now() + GRACE;
        while let Ok(Some((index, result))) = tokio::time::timeout_at(deadline, self.running.next()).await {
            self.finish(index, result);
        }
        self.running.clear();
    }
}
