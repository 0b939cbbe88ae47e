//! Requests to the management API, and what a failed one says.

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Broker, BrokerError, Result, answer};
use fedctl_model::desired::ADMINISTRATOR;

impl Broker {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> Result<T> {
        Ok(self.get_at(path, query).await?.0)
    }

    /// The answer, and the broker's clock when it gave it.
    pub(super) async fn get_at<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<(T, Option<jiff::Timestamp>)> {
        let response = self.send(Method::GET, path, query, None).await?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let now = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let body = response.json().await.map_err(|source| self.error("GET", path, &source))?;
        Ok((body, now))
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<()> {
        self.send(Method::PUT, path, "", Some(body)).await.map(drop)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> Result<T> {
        let response = self.send(Method::POST, path, "", Some(body)).await?;
        response.json().await.map_err(|source| self.error("POST", path, &source))
    }

    pub(super) fn refused(&self, method: &str, path: &[&str], reason: &str) -> BrokerError {
        let status = Some(StatusCode::OK);
        BrokerError { reason: reason.into(), status, ..self.failure(method, path) }
    }

    pub(super) async fn delete(&self, path: &[&str], query: &str) -> Result<()> {
        match self.send(Method::DELETE, path, query, None).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::Response> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url.set_query((!query.is_empty()).then_some(query));
        let request =
            self.client.request(method.clone(), url).basic_auth(ADMINISTRATOR, Some(self.password.expose()));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|source| self.error(method.as_str(), path, &source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal = response.json::<answer::Refusal>().await.unwrap_or_default();
        let reason = refusal.text().unwrap_or_else(|| status.to_string());
        Err(BrokerError { reason, status: Some(status), ..self.failure(method.as_str(), path) })
    }

    fn error(&self, method: &str, path: &[&str], source: &reqwest::Error) -> BrokerError {
        let reason = if source.is_timeout() {
            "no answer in time".to_owned()
        } else if source.is_decode() {
            format!("an answer that fedctl does not understand: {}", innermost(source))
        } else {
            innermost(source)
        };
        let status = if source.is_decode() { Some(StatusCode::OK) } else { None };
        BrokerError { reason, status, ..self.failure(method, path) }
    }

    fn failure(&self, method: &str, path: &[&str]) -> BrokerError {
        let operation = format!("{method} {}", path.join(" "));
        BrokerError { operation, region: self.region.clone(), reason: String::new(), status: None }
    }
}

/// The cause at the bottom, which says what happened; those above it repeat the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
