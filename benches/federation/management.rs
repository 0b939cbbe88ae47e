//! A broker's management API, asked by a plain client.

use anyhow::{Context, Result};
use fedctl_model::{
    desired::PasswordId,
    names::{BROKER, container},
    site::{ADMINISTRATOR, AMQP_PORT, MANAGEMENT_PORT},
    topology::RegionName,
};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::{
    container::Engine,
    project::{NAME, Project},
};

/// A region's broker, as its administrator sees it.
#[derive(Clone)]
pub struct Management {
    pub port: u16,
    pub amqp: u16,
    pub password: String,
    client: Client,
}

impl Management {
    pub async fn find(project: &Project, engine: &Engine, name: &str) -> Result<Self> {
        let region = RegionName::new(name);
        let broker = container(NAME, &region, BROKER);
        let id = PasswordId { region, user: ADMINISTRATOR.into() };
        let password = project.passwords()?.get(&id).context("no password")?.expose().to_owned();
        let (port, amqp) =
            (engine.port(&broker, MANAGEMENT_PORT).await?, engine.port(&broker, AMQP_PORT).await?);
        let client = Client::builder().tls_certs_only([]).no_proxy().build()?;
        Ok(Self { port, amqp, password, client })
    }

    /// What it answers; null where that is nothing.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}/api/{path}", self.port);
        let mut request = self.client.request(method, url).basic_auth(ADMINISTRATOR, Some(&self.password));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.ask(Method::PUT, path, Some(body)).await.map(drop)
    }

    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let answer = self.ask(Method::GET, path, None).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// The URI by which its administrator speaks AMQP.
    pub fn uri(&self) -> String {
        format!("amqp://{ADMINISTRATOR}:{}@127.0.0.1:{}/%2f", self.password, self.amqp)
    }
}
