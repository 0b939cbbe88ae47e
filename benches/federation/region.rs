//! A region as its users see it: AMQP, HTTP, and how much waits in its queues.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fedctl_contract::http;
use fedctl_model::{
    desired::PasswordId,
    federation::{Downstream, internal_queue},
    names::{APPLICATION, BROKER, container},
    site::{ADMINISTRATOR, AMQP_PORT, MANAGEMENT_PORT},
    topology::RegionName,
};
use lapin::{Connection, ConnectionProperties};
use reqwest::{Client, header::CONTENT_TYPE};
use serde::Deserialize;

use crate::{
    container::Engine,
    events::{Event, Form},
    project::{NAME, Project},
};

const PATIENCE: Duration = Duration::from_secs(300);

/// A region of the running project.
pub struct Region {
    name: RegionName,
    amqp: String,
    queues: String,
    password: String,
    api: String,
    client: Client,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    messages: u64,
}

impl Region {
    /// A region, and the service there that is asked over HTTP.
    pub async fn find(project: &Project, engine: &Engine, name: &str, api: &str) -> Result<Self> {
        let name = RegionName::new(name);
        let passwords = project.passwords()?;
        let password = |user: &str| {
            let id = PasswordId { region: name.clone(), user: user.into() };
            passwords.get(&id).map(|password| password.expose().to_owned()).context("no password")
        };
        let broker = container(NAME, &name, BROKER);
        let amqp = engine.port(&broker, AMQP_PORT).await?;
        let management = engine.port(&broker, MANAGEMENT_PORT).await?;
        let api = engine.port(&container(NAME, &name, api), http::PORT).await?;
        let query = "disable_stats=true&enable_queue_totals=true";
        Ok(Self {
            amqp: format!("amqp://{APPLICATION}:{}@127.0.0.1:{amqp}/%2f", password(APPLICATION)?),
            queues: format!("http://127.0.0.1:{management}/api/queues/%2f?{query}"),
            password: password(ADMINISTRATOR)?,
            api: format!("http://127.0.0.1:{api}"),
            client: Client::builder().tls_certs_only([]).no_proxy().build()?,
            name,
        })
    }

    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The container of one of the region's services.
    pub fn service(&self, service: &str) -> String {
        container(NAME, &self.name, service)
    }

    /// Whether the consumers of a service are attached.
    pub async fn is_ready(&self, engine: &Engine, service: &str) -> Result<bool> {
        let port = engine.port(&self.service(service), http::PORT).await?;
        let answer = self.client.get(format!("http://127.0.0.1:{port}/healthz")).send().await?;
        Ok(answer.status().is_success())
    }

    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::connect(&self.amqp, ConnectionProperties::default()).await?)
    }

    /// How many messages each queue holds, unacknowledged ones included.
    pub async fn queues(&self) -> Result<BTreeMap<String, u64>> {
        let request = self.client.get(&self.queues).basic_auth(ADMINISTRATOR, Some(&self.password));
        let queues: Vec<Queue> = request.send().await?.error_for_status()?.json().await?;
        Ok(queues.into_iter().map(|queue| (queue.name, queue.messages)).collect())
    }

    /// How many messages wait in this region's own queues, and of `exchange` for the links of `other`.
    pub async fn waiting(&self, other: &Region, exchange: &str) -> Result<(u64, u64)> {
        let queues = self.queues().await?;
        let outgoing = internal_queue(exchange, &Downstream::new(other.name.as_str(), None));
        let own = queues.iter().filter(|(name, _)| !name.starts_with("federation: "));
        Ok((own.map(|(_, messages)| messages).sum(), queues.get(&outgoing).copied().unwrap_or_default()))
    }

    /// Has the service cause an event; its answer is not checked.
    pub async fn add(&self, event: &Event, id: i64) -> Result<()> {
        let Form { path, content_type, body } = (event.form)(id);
        let request = self.client.post(format!("{}/{path}", self.api)).header(CONTENT_TYPE, content_type);
        request.body(body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Whether the content of an event can be read here.
    pub async fn has(&self, event: &Event, id: i64) -> Result<bool> {
        let answer = self.client.get(format!("{}/{}/{id}", self.api, event.read_at)).send().await?;
        let found = answer.status().is_success();
        // read to the end, so that the connection is used again
        answer.bytes().await?;
        Ok(found)
    }
}

/// An unused id, with room for many more after it.
pub fn fresh_id() -> i64 {
    jiff::Timestamp::now().as_millisecond() * 1000
}

/// Polls every few milliseconds until it holds; a failed poll counts as not yet.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
pub async fn until<F: Future<Output = Result<bool>>>(
    pause: Duration,
    mut look: impl FnMut() -> F,
) -> Result<()> {
    let started = Instant::now();
    loop {
        let looked = look().await;
        if matches!(looked, Ok(true)) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("it did not happen within {PATIENCE:?}: {looked:?}");
        }
        tokio::time::sleep(pause).await;
    }
}
