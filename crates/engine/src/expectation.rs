//! The topology's own tests: their messages are published among an application's, and looked for in queues of their own.

mod traffic;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    amqp::Session,
    chain::chain,
    docker::EngineError,
    inspect::Inspect,
    probe::{ProbeError, clean::remove_own, nonce},
    rabbitmq::Broker,
    wait::{Poll, poll_until},
};
use fedctl_model::{
    event::{Event, Events},
    expectation::{Course, Evidence, Failure, Found, TestReport, TestState, TestsReport},
    observed::{Federated, Resource},
    probe::{Left, Nonce},
    site::{Site, Unavailable},
    status::History,
    topology::{Pair, RegionName, Test, Topology},
};

/// How many tests run side by side. Each has a connection to every region that takes part.
const AT_ONCE: usize = 4;
/// How long the brokers may take to remove the queues of connections that are closed, and what links made for them.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// And after an interrupt.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Why a test ended early, or did not begin.
const OVER: &str = "the time of all tests, `--timeout`, was over";

/// What tests work with.
pub struct Testing<'a> {
    /// Where the brokers are.
    pub inspect: &'a Inspect,
    /// The topology.
    pub topology: &'a Topology,
    /// What was federated when `up` last finished.
    pub federated: &'a Federated,
    /// Which of its tests to run.
    pub tests: Vec<&'a Test>,
    /// Where progress is reported.
    pub events: &'a Events,
    /// How long all of them may take.
    pub timeout: Duration,
    /// Cancelled to interrupt.
    pub stop: &'a CancellationToken,
}

/// What is known of the brokers before any test, and the connections to them.
struct Stage {
    nonce: Nonce,
    brokers: BTreeMap<RegionName, Broker>,
    found: Found,
    paused: BTreeSet<Pair>,
    deadline: Instant,
    /// By the test's place. A test that is interrupted cannot close its own.
    open: RefCell<Vec<(usize, Rc<Session>)>>,
}

impl Testing<'_> {
    /// Runs the tests, and leaves nothing behind but messages in an application's queues, which expire.
    ///
    /// Tests of exchanges run side by side: each has queues of its own, and counts no message of another. One that names a
    /// queue would consume what another waits for there, so these follow each other.
    ///
    /// # Errors
    ///
    /// See [`ProbeError`].
    pub async fn run(&self) -> Result<TestsReport, ProbeError> {
        let began = Instant::now();
        let stage = tokio::select! {
            stage = self.stage(began) => stage?,
            () = self.stop.cancelled() => return Err(ProbeError::Interrupted(Vec::new())),
        };
        let mut reports: BTreeMap<usize, TestReport> = BTreeMap::new();
        let all = 0..self.tests.len();
        let (alone, together): (Vec<usize>, Vec<usize>) =
            all.partition(|index| self.tests[*index].names_a_queue());
        let run = |index: usize| {
            let (stage, test) = (&stage, self.tests[index]);
            async move { (index, self.reported(stage, index, test).await) }
        };
        let running = async {
            let mut done = stream::iter(together).map(run).buffer_unordered(AT_ONCE);
            while let Some((index, report)) = done.next().await {
                reports.insert(index, report);
            }
            for (index, report) in stream::iter(alone).then(run).collect::<Vec<_>>().await {
                reports.insert(index, report);
            }
        };
        let interrupted = tokio::select! {
            () = running => false,
            () = self.stop.cancelled() => true,
        };
        let within = if interrupted { LEAVE_WITHIN } else { GONE_WITHIN };
        let left = stage.leave(Instant::now() + within).await;
        if interrupted {
            return Err(ProbeError::Interrupted(left));
        }
        let warnings = left.iter().map(Left::diagnostic).collect();
        let reports = reports.into_values().collect();
        Ok(TestsReport::of(&self.topology.name, reports, warnings, began.elapsed().as_secs_f64()))
    }

    /// Asks every broker what it has, and which of its links are paused.
    async fn stage(&self, began: Instant) -> Result<Stage, EngineError> {
        let slow = Inspect::for_changes(
            self.inspect.engine.clone(),
            &self.topology.name,
            self.inspect.inventory.clone(),
        );
        let ask = async |site: Result<Site, Unavailable>| {
            let broker = site.and_then(|site| slow.broker(&site)).map_err(|why| why.to_string())?;
            let held = tokio::try_join!(broker.exchanges_and_queues(), broker.owned());
            held.map(|held| (broker, held)).map_err(|error| chain(&error))
        };
        let reachable = self.inspect.reachable().await?.into_iter();
        let asked = reachable.map(async |(region, site)| (region, ask(site).await));
        let (mut brokers, mut found, mut paused) = (BTreeMap::new(), Found::new(), BTreeSet::new());
        for (region, answer) in join_all(asked).await {
            let held = answer.map(|(broker, (held, owned))| {
                paused.extend(owned.unwrap_or_default().paused.into_iter().map(|upstream| Pair {
                    upstream: RegionName::new(upstream),
                    downstream: region.clone(),
                }));
                brokers.insert(region.clone(), broker);
                held.into_iter().collect::<BTreeSet<Resource>>()
            });
            found.insert(region, held);
        }
        let (deadline, open) = (began + self.timeout, RefCell::default());
        Ok(Stage { nonce: nonce(), brokers, found, paused, deadline, open })
    }

    /// Runs a test and says what came of it.
    async fn reported(&self, stage: &Stage, index: usize, test: &Test) -> TestReport {
        let began = Instant::now();
        let ran = self.test(stage, index, test).await;
        stage.close(Some(index)).await;
        let seconds = || began.elapsed().as_secs_f64();
        let report = match ran {
            Ok(report) => report,
            Err(reasons) => TestReport::not_run(test, reasons, seconds()),
        };
        let (subject, took) = (test.name.clone(), began.elapsed());
        let first = report.failures.first().map(|failure| failure.message.clone());
        self.events.send(match (report.state, first) {
            (TestState::Passed, _) => Event::StepDone { subject, result: "passed".into(), took, last: true },
            (TestState::Failed | TestState::NotRun, first) => {
                Event::StepFailed { subject, error: first.unwrap_or_default() }
            }
        });
        report
    }

    async fn test(&self, stage: &Stage, index: usize, test: &Test) -> Result<TestReport, Vec<String>> {
        let began = Instant::now();
        let course = Course::of(self.topology, test, &stage.found)?;
        self.events.progress(&test.name, "binding queues of its own");
        let prepared = timeout_at(stage.deadline, stage.prepare(index, test, &course)).await;
        let mut ends = prepared.map_err(|_| vec![OVER.to_owned()])??;
        self.events.progress(&test.name, "waiting until the upstreams know the bindings");
        let unknown = stage.await_bindings(self.topology, index, &course).await;
        self.events.progress(&test.name, "publishing");
        let tally = self.send_and_receive(stage, index, test, &course, &mut ends).await;
        let is_over = Instant::now() >= stage.deadline;
        stage.close(Some(index)).await;
        let mut evidence = Evidence { unknown, links: Vec::new() };
        let judge = |evidence: &Evidence| tally.judge(self.topology, test, &course, &stage.found, evidence);
        let mut failures = judge(&evidence);
        if !failures.is_empty() {
            let known = History::of(&self.topology.name);
            let status = self.inspect.status(self.topology, self.federated, &known).await;
            evidence.links = status.map(|status| status.links).unwrap_or_default();
            failures = judge(&evidence);
            if is_over {
                failures.push(Failure { message: OVER.to_owned(), causes: Vec::new() });
            }
        }
        let (arrivals, seconds) = (tally.found(&course), began.elapsed().as_secs_f64());
        Ok(TestReport::of(test, tally.taken(), arrivals, failures, seconds))
    }
}

impl Stage {
    /// Closes the connections of a test, or all of them; their queues are gone with them.
    async fn close(&self, test: Option<usize>) {
        let is_meant = |(of, _): &mut (usize, Rc<Session>)| test.is_none_or(|test| test == *of);
        let open: Vec<_> = self.open.borrow_mut().extract_if(.., is_meant).collect();
        join_all(open.iter().map(|(_, session)| session.close())).await;
    }

    /// Closes what is still open, and looks until nothing is left; what is by then. Where a policy matches the names of the
    /// tests' own queues, their links make queues on upstreams.
    async fn leave(&self, deadline: Instant) -> Vec<Left> {
        timeout_at(deadline, self.close(None)).await.ok();
        let left = self.brokers.iter().map(async |(region, broker)| {
            let last: RefCell<(Vec<String>, String)> = RefCell::default();
            let look = async || {
                let removed = async {
                    let all = broker.exchanges_and_queues().await?;
                    let own = remove_own(&self.nonce, broker, &all);
                    own.await
                };
                *last.borrow_mut() = match removed.await {
                    Ok(names) if names.is_empty() => return Poll::<(), ()>::Ready(()),
                    Ok(names) => (names, "it was there again".into()),
                    Err(error) => (Vec::new(), chain(&error)),
                };
                Poll::Pending(String::new())
            };
            let gone = poll_until(deadline, look, |_| {}).await;
            let (names, reason) = last.into_inner();
            gone.is_err().then(|| Left { region: region.clone(), names, reason })
        });
        join_all(left).await.into_iter().flatten().collect()
    }
}
