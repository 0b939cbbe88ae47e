//! Requests to the management API, and what a failed one says.

use std::sync::Arc;

use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Broker, BrokerError, Cause, Result, answer};
use crate::wait::before_retry;

/// How many requests a broker has at once. More connections cost both sides more than they save: the broker answers
/// each in about a millisecond, and a new one takes half of that.
pub(super) const AT_ONCE: usize = 2;
/// How often a request is made that fails for a moment.
const ATTEMPTS: u32 = 3;
/// The largest answer that is read, in bytes: some hundred thousand queues.
const LONGEST_ANSWER: usize = 256 << 20;

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    /// The broker's clock when it answered.
    pub(super) now: Option<jiff::Timestamp>,
    body: Vec<u8>,
}

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
        let answer = Box::pin(self.send(Method::GET, path, query, None)).await?;
        Ok((self.read(Method::GET, path, &answer)?, answer.now))
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<()> {
        self.send(Method::PUT, path, "", Some(body)).await.map(drop)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> Result<T> {
        let answer = self.send(Method::POST, path, "", Some(body)).await?;
        self.read(Method::POST, path, &answer)
    }

    pub(super) async fn delete(&self, path: &[&str], query: &str) -> Result<()> {
        match self.send(Method::DELETE, path, query, None).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let answer = self.request(method.clone(), path, query, body).await?;
        self.succeeded(method, path, &answer)?;
        Ok(answer)
    }

    /// Whether a request was not refused.
    pub(super) fn succeeded(&self, method: Method, path: &[&str], answer: &Answer) -> Result<()> {
        if answer.status.is_success() {
            return Ok(());
        }
        let refusal = serde_json::from_slice::<answer::Refusal>(&answer.body).unwrap_or_default();
        let reason = refusal.text().unwrap_or_else(|| answer.status.to_string());
        Err(self.failed(method, path, Cause::Refused { status: answer.status, reason }))
    }

    /// The answer to a request, whether or not it is that of a success. What is between here and a broker that fedctl did
    /// not start may fail for a moment: then it is tried again, since whatever is asked for more than once is the same.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let attempts = if self.site.is_ours() || method == Method::POST { 1 } else { ATTEMPTS };
        for number in 1..attempts {
            let answer = self.attempt(method.clone(), path, query, body).await;
            if !is_passing(&method, &answer) {
                return answer;
            }
            before_retry(number - 1).await;
        }
        self.attempt(method, path, query, body).await
    }

    async fn attempt(
        &self,
        method: Method,
        path: &[&str],
        query: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
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
        // kept until the answer is read, so that the next request finds a connection free
        let _turn = self.turns.requests.acquire().await;
        let answer = async { self.read_to_end(request.send().await.map_err(unanswered)?).await };
        answer.await.map_err(|cause| self.failed(method, path, cause))
    }

    async fn read_to_end(&self, mut response: Response) -> std::result::Result<Answer, Cause> {
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let now = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Cause::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), now, body })
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        answer: &Answer,
    ) -> Result<T> {
        serde_json::from_slice(&answer.body)
            .map_err(|source| self.failed(method, path, Cause::Malformed(Arc::new(source))))
    }

    pub(super) fn failed(&self, method: Method, path: &[&str], cause: Cause) -> BrokerError {
        BrokerError { method, path: path.join(" "), region: self.site.region.clone(), cause }
    }
}

/// Whether it is worth to ask again: the connection failed, a proxy's own words say that it will pass, or a broker failed to
/// list what somebody else deletes at that moment. A change that failed within the broker may be half done.
fn is_passing(method: &Method, answer: &Result<Answer>) -> bool {
    match answer {
        Ok(answer) if *method == Method::GET => answer.status.is_server_error(),
        Ok(answer) => matches!(
            answer.status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(error) => error.is_unreachable() && !error.is_timeout(),
    }
}

/// The address is an internal one; the region says which broker it is.
fn unanswered(source: reqwest::Error) -> Cause {
    let cause = if source.is_timeout() { Cause::TimedOut } else { Cause::Unreachable };
    cause(Arc::new(source.without_url()))
}
