//! Requests to the management API, and what a failed one says.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Broker, BrokerError, Cause, Result, answer};

impl Broker {
    pub(super) async fn get<'p, T: DeserializeOwned>(
        &self,
        path: impl AsRef<[&'p str]>,
        query: &str,
    ) -> Result<T> {
        Ok(self.get_at(path.as_ref(), query).await?.0)
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
        let body = response.json().await.map_err(|source| self.unanswered(Method::GET, path, source))?;
        Ok((body, now))
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<()> {
        self.send(Method::PUT, path, "", Some(body)).await.map(drop)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> Result<T> {
        let response = self.send(Method::POST, path, "", Some(body)).await?;
        response.json().await.map_err(|source| self.unanswered(Method::POST, path, source))
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
        let response = self.request(method.clone(), path, query, body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal = response.json::<answer::Refusal>().await.unwrap_or_default();
        let reason = refusal.text().unwrap_or_else(|| status.to_string());
        Err(self.failed(method, path, Cause::Refused { status, reason }))
    }

    /// The answer to a request, whether or not it is that of a success.
    pub(super) async fn request(
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
        let request = self.client.request(method.clone(), url);
        let request = request.basic_auth(&self.site.user, Some(self.password.expose()));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.map_err(|source| self.unanswered(method, path, source))
    }

    pub(super) fn unanswered(&self, method: Method, path: &[&str], source: reqwest::Error) -> BrokerError {
        let cause = if source.is_timeout() {
            Cause::TimedOut
        } else if source.is_decode() {
            Cause::Malformed
        } else {
            Cause::Unreachable
        };
        // the address is an internal one; the region says which broker it is
        self.failed(method, path, cause(source.without_url()))
    }

    pub(super) fn failed(&self, method: Method, path: &[&str], cause: Cause) -> BrokerError {
        BrokerError { method, path: path.join(" "), region: self.site.region.clone(), cause }
    }
}
