//! A region as its users see it: AMQP, HTTP, and how much waits in its queues.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fedctl::{
    desired::{
        ADMINISTRATOR, AMQP_PORT, APPLICATION, BROKER, MANAGEMENT_PORT, PasswordId, SERVICE_PORT, container,
        internal_queue,
    },
    topology::RegionName,
};
use lapin::{Connection, ConnectionProperties};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    container::Engine,
    project::{NAME, Project},
};

/// The federated exchange that products are told over.
pub const PRODUCT_EVENTS: &str = "products.events";
const PATIENCE: Duration = Duration::from_secs(300);

/// A region of the running project.
pub struct Region {
    name: RegionName,
    amqp: String,
    queues: String,
    password: String,
    products: String,
    client: Client,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    messages: u64,
}

impl Region {
    pub async fn find(project: &Project, engine: &Engine, name: &str) -> Result<Self> {
        let name = RegionName::new(name);
        let passwords = project.passwords()?;
        let password = |user: &str| {
            let id = PasswordId { region: name.clone(), user: user.into() };
            passwords.get(&id).map(|password| password.expose().to_owned()).context("no password")
        };
        let broker = container(NAME, &name, BROKER);
        let amqp = engine.port(&broker, AMQP_PORT).await?;
        let management = engine.port(&broker, MANAGEMENT_PORT).await?;
        let products = engine.port(&container(NAME, &name, "products"), SERVICE_PORT).await?;
        let query = "disable_stats=true&enable_queue_totals=true";
        Ok(Self {
            amqp: format!("amqp://{APPLICATION}:{}@127.0.0.1:{amqp}/%2f", password(APPLICATION)?),
            queues: format!("http://127.0.0.1:{management}/api/queues/%2f?{query}"),
            password: password(ADMINISTRATOR)?,
            products: format!("http://127.0.0.1:{products}/products"),
            client: Client::builder().tls_certs_only([]).no_proxy().build()?,
            name,
        })
    }

    /// The container of one of the region's services.
    pub fn service(&self, service: &str) -> String {
        container(NAME, &self.name, service)
    }

    /// Whether the consumers of a service are attached.
    pub async fn is_ready(&self, engine: &Engine, service: &str) -> Result<bool> {
        let port = engine.port(&self.service(service), SERVICE_PORT).await?;
        let answer = self.client.get(format!("http://127.0.0.1:{port}/healthz")).send().await?;
        Ok(answer.status().is_success())
    }

    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::connect(&self.amqp, ConnectionProperties::default()).await?)
    }

    /// How many messages wait in this region's own queues, and for the links of `other`.
    pub async fn waiting(&self, other: &Region) -> Result<(u64, u64)> {
        let request = self.client.get(&self.queues).basic_auth(ADMINISTRATOR, Some(&self.password));
        let queues: Vec<Queue> = request.send().await?.error_for_status()?.json().await?;
        let outgoing = internal_queue(PRODUCT_EVENTS, &other.name);
        let sum = |wanted: &dyn Fn(&str) -> bool| {
            queues.iter().filter(|queue| wanted(&queue.name)).map(|queue| queue.messages).sum()
        };
        Ok((sum(&|name| !name.starts_with("federation: ")), sum(&|name| name == outgoing)))
    }

    /// Adds a product; what the service says is taken for granted.
    pub async fn add(&self, id: i64) -> Result<()> {
        self.client.post(&self.products).json(&product(id)).send().await?.error_for_status()?;
        Ok(())
    }

    /// Whether a product can be read here.
    pub async fn has(&self, id: i64) -> Result<bool> {
        let answer = self.client.get(format!("{}/{id}", self.products)).send().await?;
        let found = answer.status().is_success();
        // read to the end, so that the connection is used again
        answer.bytes().await?;
        Ok(found)
    }
}

pub fn product(id: i64) -> Value {
    json!({"id": id, "name": "lamp", "price": "100.00", "quantity": 1000})
}

/// An id that nobody used before, with room for many more after it.
pub fn fresh_id() -> i64 {
    jiff::Timestamp::now().as_millisecond() * 1000
}

/// Looks every few milliseconds until it is so; a failed look is one at which it is not.
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
