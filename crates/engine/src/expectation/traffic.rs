//! The messages of a test: where they are looked for, when they can be published, and that they are.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use futures_util::{
    Stream, StreamExt,
    future::join_all,
    stream::{self, select_all},
};
use tokio::time::{Instant, timeout_at};

use super::{Stage, Testing};
use crate::{
    amqp::{
        AmqpError, Session,
        marked::{Depth, Letter},
    },
    chain::chain,
    wait::{Poll, poll_until, quiet},
};
use fedctl_model::{
    counted::counted,
    expectation::{Course, Crossing, HEADER, Tally},
    federation::Downstream,
    observed::Resource,
    probe::Message,
    topology::{RegionName, Test, Topology},
};

/// How long upstreams may take to learn of a binding.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// How long to watch at least for what must not arrive, and for second copies.
const QUIET: Duration = Duration::from_millis(100);
/// How much longer than a test waits for its messages they stay in an application's queue.
const KEPT_LONGER: Duration = Duration::from_secs(1);
/// How many messages of an application, at most, that come into a queue meanwhile wait until the test is over.
const OTHERS: usize = 1000;

/// What is delivered to an inbox: the marks.
type Deliveries = Pin<Box<dyn Stream<Item = String>>>;

/// A region that takes part in a test.
pub struct End {
    pub session: Rc<Session>,
    /// By the inbox's place.
    deliveries: Vec<(usize, Deliveries)>,
}

impl Stage {
    /// Connects to every region that takes part, and consumes there; or why that is not possible.
    ///
    /// Nothing is consumed before every queue is known to be idle: whoever consumes a queue has messages fetched out of
    /// those of other regions.
    pub(super) async fn prepare(
        &self,
        index: usize,
        test: &Test,
        course: &Course,
    ) -> Result<BTreeMap<RegionName, End>, Vec<String>> {
        let mut regions = course.regions();
        regions.insert(&test.publish.region);
        regions.extend(course.idle.iter().map(|(region, _)| region));
        let connected = regions.into_iter().map(async |region| {
            let connected = self.connect(index, course, region).await;
            connected.unwrap_or_else(|error| Err(out(region, &error))).map(|session| (region, session))
        });
        let connected = all(join_all(connected).await)?;
        let ends = connected.into_iter().map(async |(region, session)| {
            let consumed = self.consume_all(&session, index, test, course, region).await;
            let deliveries = consumed.map_err(|error| out(region, &error))?;
            Ok((region.clone(), End { session, deliveries }))
        });
        Ok(all(join_all(ends).await)?.into_iter().collect())
    }

    /// A connection to a region; or which queue of it is in use.
    async fn connect(
        &self,
        index: usize,
        course: &Course,
        region: &RegionName,
    ) -> Result<Result<Rc<Session>, String>, AmqpError> {
        let Some(broker) = self.brokers.get(region) else {
            return Ok(Err(format!("`{region}` takes no part")));
        };
        let session = Rc::new(Session::connect(broker.site(), "fedctl test").await?);
        self.open.borrow_mut().push((index, Rc::clone(&session)));
        for (_, queue) in course.idle.iter().filter(|(of, _)| of == region) {
            if let Some(problem) = in_use(region, queue, session.depth(queue).await?) {
                return Ok(Err(problem));
            }
        }
        Ok(Ok(session))
    }

    async fn consume_all(
        &self,
        session: &Session,
        index: usize,
        test: &Test,
        course: &Course,
        region: &RegionName,
    ) -> Result<Vec<(usize, Deliveries)>, AmqpError> {
        let mut deliveries = Vec::new();
        for (place, _) in course.inboxes.iter().enumerate().filter(|(_, inbox)| inbox.region == *region) {
            deliveries.push((place, self.consume(session, index, test, course, place).await?));
        }
        Ok(deliveries)
    }

    async fn consume(
        &self,
        session: &Session,
        index: usize,
        test: &Test,
        course: &Course,
        place: usize,
    ) -> Result<Deliveries, AmqpError> {
        let inbox = &course.inboxes[place];
        let own = self.own_queue(index, place);
        let (queue, shared) = match &inbox.from {
            Resource::Exchange(exchange) => {
                session.declare_own_queue(&own).await?;
                session.bind(&own, exchange, &inbox.key).await?;
                if course.crossings.iter().any(|crossing| crossing.inbox == place) {
                    session.bind(&own, exchange, &self.last_key(index, place)).await?;
                }
                (&own, None)
            }
            Resource::Queue(queue) => {
                let most = test.publish.count.saturating_add(OTHERS);
                (queue, Some(u16::try_from(most).unwrap_or(u16::MAX)))
            }
        };
        let nonce = self.nonce.clone();
        let is_own = move |mark: &str| {
            Message::parse(mark.as_bytes(), &nonce).is_some_and(|message| message.lane == index)
        };
        Ok(session.consume_marked(queue, HEADER, shared, is_own).await?.boxed_local())
    }

    /// The key of a second binding, which links tell their upstreams after the first. A broker lists a binding a little
    /// before it routes by it, and links bind one after the other: once this one is listed, the first one works.
    fn last_key(&self, index: usize, place: usize) -> String {
        format!("{}.last", self.own_queue(index, place))
    }

    fn own_queue(&self, index: usize, place: usize) -> String {
        format!("{}.{index}.{place}", self.nonce.mark())
    }

    /// Waits until every upstream knows the bindings by which messages cross; which ones it does not in time.
    pub(super) async fn await_bindings(
        &self,
        topology: &Topology,
        index: usize,
        course: &Course,
    ) -> BTreeSet<Crossing> {
        // what is paused does not learn of anything
        let waited = course.crossings.iter().filter(|crossing| !self.paused.contains(&crossing.pair));
        let waited: RefCell<BTreeSet<Crossing>> = RefCell::new(waited.cloned().collect());
        let look = async || {
            let asked: Vec<Crossing> = waited.borrow().iter().cloned().collect();
            let known = asked.iter().map(|crossing| self.knows(topology, index, crossing));
            let known = join_all(known).await;
            let mut waited = waited.borrow_mut();
            for (crossing, _) in asked.iter().zip(known).filter(|(_, known)| *known) {
                waited.remove(crossing);
            }
            if waited.is_empty() { Poll::<(), ()>::Ready(()) } else { Poll::Pending(String::new()) }
        };
        let deadline = (Instant::now() + KNOWN_WITHIN).min(self.deadline);
        poll_until(deadline, look, |_| {}).await.ok();
        waited.into_inner()
    }

    async fn knows(&self, topology: &Topology, index: usize, crossing: &Crossing) -> bool {
        let Crossing { inbox, pair, exchange, .. } = crossing;
        let last = self.last_key(index, *inbox);
        let ends = topology.region(&pair.upstream).zip(topology.region(&pair.downstream));
        let downstream: Option<Downstream> =
            ends.map(|(upstream, downstream)| downstream.as_downstream_of(upstream));
        let (Some(broker), Some(downstream)) = (self.brokers.get(&pair.upstream), downstream) else {
            return false;
        };
        let bound = broker.bound_downstreams(exchange, &last, [((), downstream)]).await;
        bound.is_ok_and(|bound| !bound.is_empty())
    }
}

fn out(region: &RegionName, error: &AmqpError) -> String {
    format!("`{region}` takes no part: {}", chain(error))
}

/// All of them, or everything that is wrong.
fn all<T>(results: Vec<Result<T, String>>) -> Result<Vec<T>, Vec<String>> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// Why a queue is not a test's to consume.
fn in_use(region: &RegionName, queue: &str, depth: Depth) -> Option<String> {
    let what = match depth {
        Depth { messages: 0, consumers: 0 } => return None,
        Depth { messages: 0, consumers } => counted(consumers, "consumer"),
        Depth { messages, .. } => counted(messages, "message"),
    };
    Some(format!(
        "queue `{queue}` in `{region}` is in use, with {what}: the test would take or move what is not its own"
    ))
}

impl Testing<'_> {
    /// Publishes, and counts what arrives, until all has or time is up, and a moment longer for what must not arrive.
    pub(super) async fn send_and_receive(
        &self,
        stage: &Stage,
        index: usize,
        test: &Test,
        course: &Course,
        ends: &mut BTreeMap<RegionName, End>,
    ) -> Tally {
        let began = Instant::now();
        let deadline = (began + test.within()).min(stage.deadline);
        let tally: RefCell<Tally> = RefCell::default();
        let deliveries = ends.values_mut().flat_map(|end| std::mem::take(&mut end.deliveries));
        let deliveries = deliveries.map(|(place, marks)| marks.map(move |mark| (place, mark)).boxed_local());
        let receiving = select_all(deliveries).chain(stream::pending()).for_each(async |(place, mark)| {
            if let Some(message) = Message::parse(mark.as_bytes(), &stage.nonce) {
                tally.borrow_mut().arrive(place, message.sequence, began.elapsed());
            }
        });
        let arrived = async || match tally.borrow().outstanding(test, course) {
            0 => Poll::<(), ()>::Ready(()),
            outstanding => Poll::Pending(format!("{} on their way", counted(outstanding, "message"))),
        };
        let working = async {
            if let Some(end) = ends.get(&test.publish.region) {
                self.publish(stage, index, test, &end.session, &tally, deadline).await;
            }
            let progress = |reason: &str| self.events.progress(&test.name, reason);
            poll_until(deadline, arrived, progress).await.ok();
            let arrivals = || tally.borrow().arrivals();
            let mut before = arrivals();
            // a stray copy may be as late again as the last message that was expected
            let longer = QUIET.max(tally.borrow().slowest());
            let watching = quiet(longer, || std::mem::replace(&mut before, arrivals()) != arrivals());
            timeout_at(deadline + QUIET, watching).await.ok();
        };
        tokio::select! {
            () = working => {}
            () = receiving => {}
        }
        tally.into_inner()
    }

    async fn publish(
        &self,
        stage: &Stage,
        index: usize,
        test: &Test,
        session: &Session,
        tally: &RefCell<Tally>,
        deadline: Instant,
    ) {
        let target = test.publish.target();
        let (exchange, key) = match &target {
            Resource::Exchange(name) => (name.as_str(), test.publish.routing_key()),
            Resource::Queue(name) => ("", name.as_str()),
        };
        let expires = test.within() + KEPT_LONGER;
        let (body, headers) = (test.publish.payload.as_str(), &test.publish.headers);
        let letter = Letter { exchange, key, body, headers, header: HEADER, expires };
        let mark = |sequence| Message { lane: index, sequence }.body(&stage.nonce);
        let published = session.publish_marked(&letter, (0..test.publish.count).map(mark));
        let published = timeout_at(deadline, published).await;
        let mut tally = tally.borrow_mut();
        match published {
            Ok(Ok(found)) => tally.publish(found.taken, found.unroutable),
            Ok(Err(error)) => tally.refuse(chain(&error)),
            Err(_) => {}
        }
    }
}
