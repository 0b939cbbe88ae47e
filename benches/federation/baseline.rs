//! The baseline of `fedctl up`: the same containers, started by hand.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use fedctl::catalogue::catalogue;
use fedctl_engine::{docker::Engine, workdir::Workdir};
use fedctl_model::{
    desired::{self, Container},
    names::BROKER,
    site::AMQP_PORT,
    topology::Port,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::project::{LABEL, NAME, Project, output};

const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(20);

/// The containers of the project, with fedctl's own images, limits, environment and files, and nothing else: no
/// networks, so that no service finds its broker, and no federation.
pub struct Baseline<'a> {
    runtime: &'a Runtime,
    engine: Engine,
    containers: Vec<Container>,
}

impl<'a> Baseline<'a> {
    /// Brings the project up once, for the image of its services.
    pub fn new(runtime: &'a Runtime, project: &Project) -> Result<Self> {
        project.time(&["up"])?;
        let service = format!("{NAME}_europe_products");
        let image =
            output(Command::new("docker").args(["inspect", "--format", "{{.Config.Image}}", &service]))?;
        project.down()?;
        let directory = TempDir::new()?;
        let workdir = Workdir::next_to(&directory.path().join("regions.yaml"));
        let passwords = workdir.preview_passwords(&desired::passwords(&project.topology))?;
        let desired = desired::desired(&project.topology, &catalogue(), &passwords, image.trim());
        let rename = |mut container: Container| {
            container.name = format!("{NAME}_plain_{}_{}", container.region, container.instance);
            container.volume.volume.clone_from(&container.name);
            container.network.network = "bridge".into();
            container
        };
        let engine = runtime.block_on(Engine::connect(std::env::var("DOCKER_HOST").ok().as_deref()))?;
        let baseline =
            Self { runtime, engine, containers: desired.containers.into_iter().map(rename).collect() };
        baseline.remove()?;
        Ok(baseline)
    }

    /// From `docker run`, all at once, until every broker answers AMQP and every service runs. Making the volumes
    /// that hold their configuration is not counted.
    pub fn time(&self) -> Result<Duration> {
        for container in &self.containers {
            self.runtime.block_on(self.fill_volume(container))?;
        }
        let ports = self.containers.iter().map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        thread::scope(|scope| {
            let containers = self.containers.iter().zip(&ports);
            let runs: Vec<_> =
                containers.map(|(container, port)| scope.spawn(|| run(container, *port))).collect();
            runs.into_iter().try_for_each(|run| run.join().map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        let took = started.elapsed();
        self.remove()?;
        Ok(took)
    }

    /// Writes the container's files into a new volume, through one that never runs.
    async fn fill_volume(&self, container: &Container) -> Result<()> {
        self.engine.create_container(container).await?;
        self.engine.upload(container).await?;
        Ok(self.engine.remove_container(&container.name).await?)
    }

    fn remove(&self) -> Result<()> {
        let names = || self.containers.iter().map(|container| &container.name);
        output(Command::new("docker").args(["rm", "--force", "--volumes"]).args(names()))?;
        output(Command::new("docker").args(["volume", "rm", "--force"]).args(names())).map(drop)
    }
}

impl Drop for Baseline<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("containers are still there: {error:#}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
fn run(container: &Container, port: u16) -> Result<()> {
    output(Command::new("docker").args(["run", "--detach"]).args(arguments(container, port)))?;
    let deadline = Instant::now() + PATIENCE;
    while container.service == BROKER && !answers(port) {
        if Instant::now() > deadline {
            bail!("broker `{}` does not answer", container.name);
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether the broker answers the protocol's header with `Connection.Start`. That something accepts the
/// connection says nothing: the engine's proxy always does.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        // type 1, channel 0, four bytes of length; class 10, method 10
        let mut frame = [0; 11];
        stream.read_exact(&mut frame)?;
        Ok(frame[..3] == [1, 0, 0] && frame[7..] == [0, 10, 0, 10])
    };
    ask().unwrap_or(false)
}

/// fedctl's request to make this container, as words of `docker run`.
fn arguments(container: &Container, port: u16) -> Vec<String> {
    let mut words: Vec<String> =
        ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=512"]
            .map(str::to_owned)
            .into();
    words.push("--tmpfs=/tmp:rw,nosuid,nodev,noexec,size=64m".into());
    words.push(format!("--memory={0}m", container.memory));
    words.push(format!("--memory-swap={0}m", container.memory));
    words.extend(container.open_files.map(|limit| format!("--ulimit=nofile={limit}:{limit}")));
    words.extend(
        ["--log-opt=max-size=10m", "--log-opt=max-file=3", "--restart=unless-stopped"].map(Into::into),
    );
    let publish = |published: &Port| match published.container {
        AMQP_PORT => format!("--publish=127.0.0.1:{port}:{AMQP_PORT}"),
        other => format!("--publish=127.0.0.1::{other}"),
    };
    words.extend(container.ports.iter().map(publish));
    words.extend(container.environment.iter().map(|(key, value)| format!("--env={key}={}", value.expose())));
    words.push(format!("--hostname={}", container.hostname));
    words.push(format!("--name={}", container.name));
    words.push(format!("--label={LABEL}"));
    words.push(format!("--user={}", container.user));
    let mount = &container.volume;
    words.push(format!("--mount=type=volume,source={},target={}", mount.volume, mount.path));
    words.push(container.image.clone());
    words.extend(container.command.clone());
    words
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
