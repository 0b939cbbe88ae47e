//! The HTTP endpoint of a region's service.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};

use fedctl_model::site::Address;
use reqwest::{Client, StatusCode, header::HeaderMap};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether connections to this address are refused, or there is no way to it.
pub async fn refuses(address: &Address) -> bool {
    let connected = timeout(TIMEOUT, TcpStream::connect((address.host.as_str(), address.port))).await;
    matches!(connected, Ok(Err(_)))
}

/// A service's HTTP endpoint on the host's loopback address.
#[derive(Debug, Clone)]
pub struct Endpoint {
    base: String,
    client: Client,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body, if it is JSON.
    pub body: Option<Value>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}")]
pub struct EndpointError {
    url: String,
    source: reqwest::Error,
}

/// Makes [`Endpoint`]s that share one client.
#[derive(Debug, Clone)]
pub struct Endpoints(Client);

impl Default for Endpoints {
    fn default() -> Self {
        Self::within(TIMEOUT)
    }
}

impl Endpoints {
    /// Endpoints that may take this long to answer.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        let client = Client::builder().tls_certs_only([]).no_proxy().timeout(timeout).build();
        Self(client.expect("a client without certificates can always be built"))
    }

    /// The endpoint at this address.
    #[must_use]
    pub fn at(&self, address: &Address) -> Endpoint {
        Endpoint { base: address.url(), client: self.0.clone() }
    }
}

impl Endpoint {
    /// Whether the service answers `GET path` with success, and why not.
    pub async fn ready(&self, path: &str) -> Result<(), String> {
        match self.get(path).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(Answer { status, body, .. }) => {
                let reason = body.as_ref().and_then(|body| body["message"].as_str());
                Err(reason.map_or_else(|| format!("`{path}` answers {status}"), str::to_owned))
            }
            Err(EndpointError { .. }) => Err("the service is starting".into()),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Answer, EndpointError> {
        self.send(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, EndpointError> {
        self.send(self.client.post(self.url(path)).json(body)).await
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer, EndpointError> {
        self.send(self.client.post(self.url(path)).form(fields)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, EndpointError> {
        self.send(self.client.delete(self.url(path))).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, EndpointError> {
        let error =
            |source: reqwest::Error| EndpointError { url: self.base.clone(), source: source.without_url() };
        let response = request.send().await.map_err(error)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(error)?;
        Ok(Answer { status, headers, body: serde_json::from_slice(&body).ok() })
    }
}

impl Answer {
    #[must_use]
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The text of a header, where there is one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
