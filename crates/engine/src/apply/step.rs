//! One step: one foreign call, or one wait.

use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::Tools;
use crate::{
    docker::{EngineError, Health},
    image::{self, ImageError},
    rabbitmq::{Broker, BrokerError},
    wait::{Gave, Look, until},
};
use fedctl_model::{
    desired::{MANAGEMENT_PORT, SERVICE_PORT},
    plan::Step,
    topology::RegionName,
};

/// Lines of a container's log that an error quotes.
const QUOTED_LINES: usize = 15;
/// How often the engine may start a container anew before waiting for it ends.
const RESTARTS: i64 = 1;
const ASK_AGAIN: Duration = Duration::from_secs(1);

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
    #[error("time ran out: {reason}{log}")]
    TimedOut {
        /// Why it was not ready at the last look.
        reason: String,
        /// Its last lines.
        log: String,
    },
    /// A container does not stay up.
    #[error("its process does not stay up{log}")]
    Died {
        /// Its last lines.
        log: String,
    },
    /// A step that needs a broker ran without one: the plan did not wait for it.
    #[error("broker `{0}` was not waited for")]
    NoBroker(RegionName),
    /// The service image was to be made and fedctl does not know its own executable.
    #[error("fedctl does not know its own executable")]
    NoExecutable,
}

impl StepError {
    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// The engine's error underneath, where it is one.
    #[must_use]
    pub fn engine(&self) -> Option<&EngineError> {
        match self {
            Self::Engine(error) | Self::Image(ImageError::Engine(error)) => Some(error),
            _ => None,
        }
    }
}

pub(super) async fn run(step: &Step, tools: &Tools) -> Result<(), StepError> {
    let engine = &tools.engine;
    match step {
        Step::ProvideImage { reference } => image::provide(engine, reference, &tools.events).await?,
        Step::ImportServiceImage { .. } => {
            let executable = tools.executable.as_ref().ok_or(StepError::NoExecutable)?;
            image::import_executable(engine, executable).await?;
        }
        Step::CreateNetwork(network) => engine.create_network(network).await?,
        Step::CreateVolume(volume) => engine.create_volume(volume).await?,
        Step::CreateContainer(container) => engine.create_container(container).await?,
        Step::UploadFiles(container) => engine.upload(container).await?,
        Step::StartContainer { name } => engine.start(name).await?,
        Step::UnpauseContainer { name } => engine.unpause(name).await?,
        Step::ConnectNetwork { container, attachment } => {
            engine.connect_network(container, attachment).await?;
        }
        Step::StopContainer { name } => engine.stop(name).await?,
        Step::RemoveContainer { name } => engine.remove_container(name).await?,
        Step::RemoveNetwork { name } => engine.remove_network(name).await?,
        Step::RemoveVolume { name } => engine.remove_volume(name).await?,
        Step::RemoveImage { reference } => engine.remove_image(reference).await?,
        Step::AwaitBroker { region, container } => await_broker(tools, region, container).await?,
        Step::AwaitService { container } => await_service(tools, container).await?,
        _ => define(step, tools).await?,
    }
    Ok(())
}

async fn define(step: &Step, tools: &Tools) -> Result<(), StepError> {
    let broker = |region: &RegionName| -> Result<Broker, StepError> {
        tools.brokers.borrow().get(region).cloned().ok_or_else(|| StepError::NoBroker(region.clone()))
    };
    match step {
        Step::PutClusterName { region, name } => broker(region)?.put_cluster_name(name).await?,
        Step::PutUser { region, user } => broker(region)?.put_user(user).await?,
        Step::PutPermissions { region, user } => broker(region)?.put_permissions(user).await?,
        Step::PutUpstream { region, upstream } => broker(region)?.put_upstream(upstream).await?,
        Step::PutPolicy { region, policy } => broker(region)?.put_policy(policy).await?,
        Step::PutOwned { region, parameter, owned } => broker(region)?.put_owned(parameter, owned).await?,
        Step::DeleteUser { region, name } => broker(region)?.delete_user(name).await?,
        Step::DeleteUpstream { region, name } => broker(region)?.delete_upstream(name).await?,
        Step::DeletePolicy { region, name } => broker(region)?.delete_policy(name).await?,
        Step::RestartLink { region, upstream, resource } => {
            broker(region)?.restart_link(upstream, resource).await?;
        }
        Step::DeleteExchange { region, name } => broker(region)?.delete_exchange(name).await?,
        Step::DeleteEmptyQueue { region, name } => broker(region)?.delete_empty_queue(name).await?,
        _ => unreachable!("`run` handles every other step"),
    }
    Ok(())
}

async fn await_broker(tools: &Tools, region: &RegionName, container: &str) -> Result<(), StepError> {
    let password = tools.administrators.get(region).ok_or_else(|| StepError::NoBroker(region.clone()))?;
    let mut life = Life::of(tools, container, MANAGEMENT_PORT);
    let look = async || {
        let port = match life.port().await {
            Ok(port) => port,
            Err(look) => return look,
        };
        let broker = tools.connector.broker(region, port, password);
        match broker.ready().await {
            Ok(()) => Look::Done(broker),
            Err(error) if error.is_unreachable() => Look::NotYet("the broker is booting".into()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    let broker = wait(tools, container, &format!("broker {region}"), look).await?;
    tools.brokers.borrow_mut().insert(region.clone(), broker);
    Ok(())
}

async fn await_service(tools: &Tools, container: &str) -> Result<(), StepError> {
    let mut life = Life::of(tools, container, SERVICE_PORT);
    let look = async || {
        let port = match life.port().await {
            Ok(port) => port,
            Err(look) => return look,
        };
        tools.endpoints.at(port).ready().await.map_or_else(Look::NotYet, Look::Done)
    };
    wait(tools, container, &format!("container {container}"), look).await
}

/// Whether a container still runs. The engine is asked once a second, however often one looks: while
/// brokers boot, the processors have better things to do.
struct Life<'a> {
    tools: &'a Tools,
    container: &'a str,
    port: u16,
    seen: Option<(Instant, u16)>,
    /// How often the engine had started it anew at the first look: those may have had a reason that is gone.
    restarts: Option<i64>,
}

impl<'a> Life<'a> {
    fn of(tools: &'a Tools, container: &'a str, port: u16) -> Self {
        Self { tools, container, port, seen: None, restarts: None }
    }

    /// The host port of a container that runs, or what waiting for it comes to.
    async fn port<T>(&mut self) -> Result<u16, Look<T, StepError>> {
        if let Some((_, port)) = self.seen.filter(|(at, _)| at.elapsed() < ASK_AGAIN) {
            return Ok(port);
        }
        let health = match self.tools.engine.health(self.container, self.port).await {
            Ok(health) => health,
            Err(error) => return Err(Look::Never(error.into())),
        };
        let restarts = health.restarts - *self.restarts.get_or_insert(health.restarts);
        match health {
            Health { running, .. } if restarts > RESTARTS || !running => {
                Err(Look::Never(StepError::Died { log: String::new() }))
            }
            Health { port: Some(port), .. } => {
                self.seen = Some((Instant::now(), port));
                Ok(port)
            }
            Health { port: None, .. } => {
                Err(Look::NotYet(format!("port {} is not published yet", self.port)))
            }
        }
    }
}

async fn wait<T>(
    tools: &Tools,
    container: &str,
    subject: &str,
    look: impl AsyncFnMut() -> Look<T, StepError>,
) -> Result<T, StepError> {
    let waited = until(tools.deadline, look, |reason| tools.events.progress(subject, reason)).await;
    match waited {
        Ok(value) => Ok(value),
        Err(Gave::Never(StepError::Died { .. })) => {
            Err(StepError::Died { log: last_lines(tools, container).await })
        }
        Err(Gave::Never(error)) => Err(error),
        Err(Gave::Up(reason)) => {
            let log = last_lines(tools, container).await;
            Err(StepError::TimedOut { reason: reason.unwrap_or_else(|| "no answer".into()), log })
        }
    }
}

/// A container's last lines, indented below an error. What it says again and again is said once.
async fn last_lines(tools: &Tools, container: &str) -> String {
    let lines = tools.engine.logs(container, None, Some(QUOTED_LINES), false);
    let mut lines: Vec<String> =
        lines.map_ok(|line| format!("\n    {}", line.text)).try_collect().await.unwrap_or_default();
    lines.dedup();
    if lines.is_empty() { String::new() } else { format!("; its last lines:{}", lines.concat()) }
}
