//! One step: one foreign call, or one wait.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::Tools;
use crate::{
    chain::chain,
    docker::EngineError,
    endpoint::refuses,
    image::{self, ImageError},
    links::{self, Repairs},
    rabbitmq::{Broker, BrokerError},
    wait::{Poll, WaitError, poll_until},
};
use fedctl_model::{
    desired::Readiness,
    names::{BROKER, container},
    plan::{Change, Operation, Step},
    site::{Address, LOOPBACK, Unavailable},
    topology::RegionName,
};

/// How many lines of a container's log an error quotes.
const QUOTED_LINES: usize = 15;
/// How often the engine may restart a container before waiting for it ends.
const RESTARTS: i64 = 1;
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What is said of a container that needs more memory than it may use.
const KILLED: &str = ": the kernel killed it for lack of memory";
/// What a broker logs once every listener is open.
const STARTED: &str = "Server startup complete";

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Time ran out.
    #[error("timed out: {reason}{log}")]
    TimedOut {
        /// Why it was not ready at the last poll.
        reason: String,
        /// Its last lines.
        log: String,
    },
    /// A container does not stay up.
    #[error("its process keeps exiting{}{log}", if *.out_of_memory { KILLED } else { "" })]
    Died {
        /// Whether the kernel killed it for lack of memory.
        out_of_memory: bool,
        /// Its last lines.
        log: String,
    },
    /// A broker has started and its ports cannot be reached from here.
    #[error(
        "the broker's container runs, but port {port} published on {LOOPBACK} refuses connections from here: is \
         fedctl running in another network namespace or container than the engine?"
    )]
    Elsewhere {
        /// The management API's port.
        port: u16,
    },
    /// The links of a region whose broker was replaced do not run.
    #[error("timed out: {reason}")]
    LinksDown {
        /// The first that does not run, and why.
        reason: String,
    },
    /// A step needs a broker that is not known: the plan did not wait for it, or there is no password.
    #[error("broker `{0}` is not available")]
    NoBroker(RegionName),
    /// The service image is needed and fedctl does not know its own executable.
    #[error("fedctl does not know its own executable")]
    NoExecutable,
}

impl StepError {
    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::LinksDown { .. })
    }

    /// Whether a broker runs where it cannot be reached from here.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere { .. })
    }

    /// What to do about it, if that is obvious.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        if self.is_elsewhere() {
            return Some(Cow::Borrowed(
                "run fedctl on the engine's machine; in a container, with `docker run --network host`",
            ));
        }
        if matches!(self, Self::LinksDown { .. }) {
            return Some(Cow::Borrowed(
                "the brokers of the regions after it are as they were: once the link runs, `fedctl up` goes on; `fedctl \
                 up REGION` does not wait for links to other regions",
            ));
        }
        self.engine().and_then(EngineError::hint)
    }

    /// The engine's error underneath, if there is one.
    #[must_use]
    pub fn engine(&self) -> Option<&EngineError> {
        match self {
            Self::Engine(error) => Some(error),
            Self::Broker(_)
            | Self::Image(_)
            | Self::TimedOut { .. }
            | Self::Died { .. }
            | Self::Elsewhere { .. }
            | Self::LinksDown { .. }
            | Self::NoBroker(_)
            | Self::NoExecutable => None,
        }
    }
}

pub(super) async fn run(step: &Step, tools: &Tools) -> Result<(), StepError> {
    match step {
        Step::Engine(operation) => operate(operation, tools).await,
        Step::Broker { region, change: Change::Await { container: Some(container) } } => {
            await_broker(tools, region, container).await
        }
        Step::Broker { region, change: Change::Await { container: None } } => {
            await_external(tools, region).await
        }
        Step::Broker { region, change: Change::AwaitLinks { upstream } } => {
            await_links(tools, region, upstream.as_ref()).await
        }
        Step::Broker { region, change: Change::EnableFeatureFlags } => enable_flags(tools, region).await,
        Step::Broker { region, change } => Ok(known(tools, region)?.change(change).await?),
    }
}

fn known(tools: &Tools, region: &RegionName) -> Result<Broker, StepError> {
    tools.brokers.borrow().get(region).cloned().ok_or_else(|| StepError::NoBroker(region.clone()))
}

async fn operate(operation: &Operation, tools: &Tools) -> Result<(), StepError> {
    let engine = &tools.inspect.engine;
    match operation {
        Operation::ProvideImage { reference } => image::provide(engine, reference, &tools.events).await?,
        Operation::ImportServiceImage { .. } => {
            let executable = tools.executable.as_ref().ok_or(StepError::NoExecutable)?;
            image::import_executable(engine, executable).await?;
        }
        Operation::RemoveImage { reference } => engine.remove_image(reference).await?,
        Operation::CreateNetwork(network) => engine.create_network(network).await?,
        Operation::RemoveNetwork { name } => engine.remove_network(name).await?,
        Operation::CreateVolume(volume) => engine.create_volume(volume).await?,
        Operation::RemoveVolume { name } => engine.remove_volume(name).await?,
        Operation::CreateContainer(container) => engine.create_container(container).await?,
        Operation::UploadFiles(container) => engine.upload(container).await?,
        Operation::StartContainer { name } => engine.start(name).await?,
        Operation::UnpauseContainer { name } => engine.unpause(name).await?,
        Operation::StopContainer { name } => engine.stop(name).await?,
        Operation::RemoveContainer { name } => engine.remove_container(name).await?,
        Operation::ConnectNetwork { container, attachment } => {
            engine.connect_network(container, attachment).await?;
        }
        Operation::EnablePlugins { container, plugins } => {
            let plugins = plugins.iter().map(|plugin| plugin.name());
            let command: Vec<&str> = ["rabbitmq-plugins", "enable"].into_iter().chain(plugins).collect();
            engine.execute(container, &command).await?;
        }
        Operation::AwaitService { container, readiness } => {
            await_service(tools, container, readiness).await?;
        }
    }
    Ok(())
}

async fn await_broker(tools: &Tools, region: &RegionName, container: &str) -> Result<(), StepError> {
    let mut liveness = LivenessCheck::of(tools, container);
    let mut looked = Instant::now();
    let poll = async || {
        let ports = match liveness.ports().await {
            Ok(ports) => ports,
            Err(poll) => return poll,
        };
        let site = tools.inspect.inventory.published(region, &ports);
        match site.and_then(|site| tools.inspect.broker(&site)) {
            Err(Unavailable::NoPassword) => Poll::Failed(StepError::NoBroker(region.clone())),
            Err(unavailable) => Poll::Pending(unavailable.to_string()),
            Ok(broker) => match broker.ready().await {
                Ok(()) => Poll::Ready(broker),
                Err(error) if error.is_unreachable() => {
                    booting(tools, container, &broker.site().management, &mut looked).await
                }
                Err(error) => Poll::Pending(chain(&error)),
            },
        }
    };
    let broker = wait(tools, container, &format!("broker {region}"), poll).await?;
    tools.brokers.borrow_mut().insert(region.clone(), broker);
    Ok(())
}

/// Waits for a broker that fedctl did not start.
async fn await_external(tools: &Tools, region: &RegionName) -> Result<(), StepError> {
    let inspect = &tools.inspect;
    let site = inspect.inventory.published(region, &BTreeMap::new());
    let broker =
        site.and_then(|site| inspect.broker(&site)).map_err(|_| StepError::NoBroker(region.clone()))?;
    let poll = async || match broker.ready().await {
        Ok(()) => Poll::Ready(()),
        Err(error) if error.is_unauthorized() => Poll::Failed(error.into()),
        Err(error) => Poll::Pending(chain(&error)),
    };
    let subject = format!("broker {region}");
    timed(poll_until(tools.deadline, poll, |reason| tools.events.progress(&subject, reason)).await)?;
    tools.brokers.borrow_mut().insert(region.clone(), broker);
    Ok(())
}

/// What waiting for something that has no log came to.
fn timed<T>(waited: Result<T, WaitError<StepError>>) -> Result<T, StepError> {
    waited.map_err(|error| match error {
        WaitError::Aborted(error) => error,
        WaitError::TimedOut(reason) => {
            StepError::TimedOut { reason: reason.unwrap_or_else(|| "no answer".into()), log: String::new() }
        }
    })
}

/// What waiting for a broker that gives no answer comes to. Most engines accept connections for a container from its
/// start; those that do not must do so when the broker has started, of which it is asked once a second.
async fn booting(
    tools: &Tools,
    container: &str,
    address: &Address,
    looked: &mut Instant,
) -> Poll<Broker, StepError> {
    if !refuses(address).await {
        return Poll::Pending("the broker is booting".into());
    }
    let port = address.port;
    if looked.elapsed() >= ASK_AGAIN {
        *looked = Instant::now();
        match tools.inspect.engine.has_logged(container, STARTED).await {
            Ok(true) if refuses(address).await => return Poll::Failed(StepError::Elsewhere { port }),
            Ok(_) => {}
            Err(error) => return Poll::Failed(error.into()),
        }
    }
    Poll::Pending(format!("the broker is booting, and its port {port} on {LOOPBACK} refuses connections"))
}

async fn await_service(tools: &Tools, container: &str, readiness: &Readiness) -> Result<(), StepError> {
    let Readiness { path, port } = readiness;
    let mut liveness = LivenessCheck::of(tools, container);
    let poll = async || {
        let ports = match liveness.ports().await {
            Ok(ports) => ports,
            Err(poll) => return poll,
        };
        let Some(published) = ports.get(port) else {
            return Poll::Pending(format!("port {port} is not published yet"));
        };
        let endpoint = tools.inspect.endpoints.at(&Address::published(*published));
        endpoint.ready(path).await.map_or_else(Poll::Pending, Poll::Ready)
    };
    wait(tools, container, &format!("container {container}"), poll).await
}

/// A link that cannot run whatever becomes of the brokers is not waited for.
async fn await_links(
    tools: &Tools,
    region: &RegionName,
    upstream: Option<&RegionName>,
) -> Result<(), StepError> {
    let mut repairs = Repairs::default();
    let poll = async || {
        let mut links = match links::now(tools).await {
            Ok(Ok((_, links))) => links,
            Ok(Err(reason)) => return Poll::Pending(reason),
            Err(error) => return Poll::Failed(error.into()),
        };
        links.retain(|found| {
            let ends = [&found.link.upstream, &found.link.downstream];
            let is_awaited = upstream.map_or(ends.contains(&region), |upstream| ends == [upstream, region]);
            is_awaited && !found.needs_a_person()
        });
        repairs.repair(&links, tools).await;
        links::first_missing(&links).map_or(Poll::Ready(()), Poll::Pending)
    };
    let subject = format!("links of {region}");
    match poll_until(tools.deadline, poll, |reason| tools.events.progress(&subject, reason)).await {
        Ok(()) => Ok(()),
        Err(WaitError::Aborted(error)) => Err(error),
        Err(WaitError::TimedOut(reason)) => {
            Err(StepError::LinksDown { reason: reason.unwrap_or_else(|| "no answer".into()) })
        }
    }
}

/// A flag that has much to migrate takes longer than a request may: it is asked again until all are enabled.
async fn enable_flags(tools: &Tools, region: &RegionName) -> Result<(), StepError> {
    let broker = known(tools, region)?;
    let container = container(&tools.topology.name, region, BROKER);
    let poll = async || match broker.enable_feature_flags().await {
        Ok(()) => Poll::Ready(()),
        Err(error) if error.is_timeout() => Poll::Pending(chain(&error)),
        Err(error) => Poll::Failed(error.into()),
    };
    wait(tools, &container, &format!("broker {region}"), poll).await
}

/// Whether a container still runs. The engine is asked once a second, however often this is: while brokers boot, the
/// processors are busy.
struct LivenessCheck<'a> {
    tools: &'a Tools,
    container: &'a str,
    seen: Option<(Instant, BTreeMap<u16, u16>)>,
    /// The engine's count of restarts at the first check: their reason may be resolved.
    restarts: Option<i64>,
}

impl<'a> LivenessCheck<'a> {
    fn of(tools: &'a Tools, container: &'a str) -> Self {
        Self { tools, container, seen: None, restarts: None }
    }

    /// The published ports of a container that runs, or what waiting for it comes to.
    async fn ports<T>(&mut self) -> Result<BTreeMap<u16, u16>, Poll<T, StepError>> {
        if let Some((_, ports)) = self.seen.as_ref().filter(|(at, _)| at.elapsed() < ASK_AGAIN) {
            return Ok(ports.clone());
        }
        let found = self.tools.inspect.engine.liveness(self.container).await;
        let found = found.map_err(|error| Poll::Failed(error.into()))?;
        let restarts = found.restarts - *self.restarts.get_or_insert(found.restarts);
        if restarts > RESTARTS || !found.running {
            let log = last_lines(self.tools, self.container).await;
            let out_of_memory = found.out_of_memory;
            return Err(Poll::Failed(StepError::Died { out_of_memory, log }));
        }
        if !found.ports.is_empty() {
            self.seen = Some((Instant::now(), found.ports.clone()));
        }
        Ok(found.ports)
    }
}

async fn wait<T>(
    tools: &Tools,
    container: &str,
    subject: &str,
    poll: impl AsyncFnMut() -> Poll<T, StepError>,
) -> Result<T, StepError> {
    let waited = poll_until(tools.deadline, poll, |reason| tools.events.progress(subject, reason)).await;
    match waited {
        Ok(value) => Ok(value),
        Err(WaitError::Aborted(error)) => Err(error),
        Err(WaitError::TimedOut(reason)) => {
            let log = last_lines(tools, container).await;
            Err(StepError::TimedOut { reason: reason.unwrap_or_else(|| "no answer".into()), log })
        }
    }
}

/// A container's last log lines, indented below an error; equal lines in a row are quoted once.
async fn last_lines(tools: &Tools, container: &str) -> String {
    let lines = tools.inspect.engine.logs(container, None, Some(QUOTED_LINES), false);
    let mut lines: Vec<String> =
        lines.map_ok(|line| format!("\n    {}", line.text)).try_collect().await.unwrap_or_default();
    lines.dedup();
    if lines.is_empty() { String::new() } else { format!("; its last log lines:{}", lines.concat()) }
}
