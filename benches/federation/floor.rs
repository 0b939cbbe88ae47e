//! The raw limit of `fedctl status`: what it asks the engine, the brokers and the services, asked by nothing but sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fedctl_contract::http;
use fedctl_model::{
    desired::PasswordId,
    names::{BROKER, container},
    site::{ADMINISTRATOR, MANAGEMENT_PORT},
    topology::{RegionName, Service},
};

use crate::{
    container::Engine,
    project::{NAME, Project},
};

const SOCKET: &str = "/var/run/docker.sock";
const CONTAINERS: &str = "/containers/json?all=true";
/// What a broker is asked, over two connections.
const QUESTIONS: [[&str; 4]; 2] = [
    [
        "/api/queues/%2F?disable_stats=true&enable_queue_totals=true",
        "/api/federation-links/%2F?columns=exchange,queue,upstream,status,error,timestamp",
        "/api/health/checks/alarms",
        "/api/version",
    ],
    [
        "/api/bindings/%2F?columns=source,destination,routing_key",
        "/api/exchanges/%2F?columns=name",
        "/api/nodes?columns=uptime,mem_used",
        "/api/consumers/%2F?columns=queue.name,channel_details.user,channel_details.peer_host",
    ],
];

/// Where everything is that is asked.
pub struct Floor {
    /// The management API of each broker, and what authorises a request there.
    brokers: Vec<(u16, String)>,
    services: Vec<u16>,
}

impl Floor {
    /// Finds the ports and passwords of the running project.
    pub async fn find(project: &Project, engine: &Engine) -> Result<Self> {
        let passwords = project.passwords()?;
        let (mut brokers, mut services) = (Vec::new(), Vec::new());
        for region in &project.topology.regions {
            let id = PasswordId { region: region.name.clone(), user: ADMINISTRATOR.into() };
            let password = passwords.get(&id).context("no password")?;
            let user = STANDARD.encode(format!("{ADMINISTRATOR}:{}", password.expose()));
            let port = engine.port(&broker(&region.name), MANAGEMENT_PORT).await?;
            brokers.push((port, format!("Authorization: Basic {user}\r\n")));
            for instance in region.services.iter().flat_map(Service::instances) {
                services.push(engine.port(&container(NAME, &region.name, &instance), http::PORT).await?);
            }
        }
        Ok(Self { brokers, services })
    }

    /// How long it takes to ask it all: the engine first, everything else at once.
    pub fn time(&self) -> Result<Duration> {
        let started = Instant::now();
        ask(UnixStream::connect(SOCKET)?, "", &[CONTAINERS])?;
        thread::scope(|scope| {
            let brokers =
                self.brokers.iter().flat_map(|broker| QUESTIONS.iter().map(move |paths| (broker, paths)));
            let mut asked: Vec<_> = brokers
                .map(|((port, user), paths)| scope.spawn(move || ask(connect(*port)?, user, paths)))
                .collect();
            let services = self.services.iter();
            asked.extend(services.map(|port| scope.spawn(|| ask(connect(*port)?, "", &["/healthz"]))));
            asked.into_iter().try_for_each(|asked| asked.join().map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        Ok(started.elapsed())
    }
}

fn broker(region: &RegionName) -> String {
    container(NAME, region, BROKER)
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks one question after the other over a connection, and reads the answers to their end.
fn ask(mut stream: impl Read + Write, headers: &str, paths: &[&str]) -> Result<()> {
    for path in paths {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")?;
        read(&mut stream)?;
    }
    Ok(())
}

fn read(stream: &mut impl Read) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
    }
    match length {
        Some(length) => reader.read_exact(&mut vec![0; length])?,
        None => chunks(&mut reader)?,
    }
    Ok(())
}

fn chunks(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16)?;
        reader.read_exact(&mut vec![0; length + 2])?;
        if length == 0 {
            return Ok(());
        }
    }
}
