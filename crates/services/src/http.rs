//! What all services do over HTTP: health, counters, errors, and publishing what was asked for.

use std::future::IntoFuture;
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::fields::Invalid;
use fedctl_contract::http::{CORRELATION_ID, HEALTHZ, METRICS};
use fedctl_messaging::{Health, Metrics, Outgoing, PublishError, Publisher, StoreError, fresh_id};

const FINISH_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const LARGEST_BODY: usize = 64 * 1024;

/// Serves `router` until `stop`, then lets running requests finish, for at most 5 s.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let mut serving = std::pin::pin!(serving.into_future());
    let served = tokio::select! {
        served = &mut serving => Ok(served),
        () = stop.cancelled() => timeout(FINISH_WITHIN, serving).await,
    };
    served.unwrap_or(Ok(())).context("serving HTTP")
}

/// `GET /healthz`: 200 when the session is up and its consumers are attached, else 503 with the reason.
/// `GET /metrics`: what was counted, for Prometheus.
pub fn health(health: watch::Receiver<Health>, metrics: Metrics) -> Router {
    let answer = async |State(health): State<watch::Receiver<Health>>| match &*health.borrow() {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(reason) => Failure::Unavailable(reason.clone()).into_response(),
    };
    let counted = async move || ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.encode());
    Router::new()
        .route(HEALTHZ, get(answer))
        .with_state(health)
        .route(METRICS, get(counted))
        .fallback(async || Failure::NotFound("Not found".to_owned()))
}

/// An answer other than 200, as `{"error": …, "message": …}`.
pub(crate) enum Failure {
    Invalid(Invalid),
    NotFound(String),
    Unavailable(String),
    Broken(&'static str, String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error, message) = match self {
            Self::Invalid(fields) => (StatusCode::BAD_REQUEST, "BAD_REQUEST", json!(fields)),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, "NOT_FOUND", message.into()),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message.into()),
            Self::Broken(error, message) => (StatusCode::INTERNAL_SERVER_ERROR, error, message.into()),
        };
        (status, Json(json!({"error": error, "message": message}))).into_response()
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::Unroutable { .. } => Self::Broken("UNROUTABLE", message),
            PublishError::NoSession | PublishError::Unconfirmed => Self::Unavailable(message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broken("STORE", error.to_string())
    }
}

/// 200 with an empty body, and the correlation identifier for `fedctl trace`.
pub(crate) type Accepted = Result<HeaderMap, Failure>;

pub(crate) fn json(body: &Bytes) -> Result<Value, Invalid> {
    serde_json::from_slice(body).map_err(|error| Invalid::whole(format!("Not valid JSON: {error}")))
}

pub(crate) fn outgoing(exchange: &str, key: impl Into<String>, body: &impl Serialize) -> Outgoing {
    Outgoing::json(exchange, key, body).with_correlation_id(Some(&fresh_id()))
}

/// Publishes, and returns the correlation identifier as a header.
pub(crate) async fn publish(publisher: &Publisher, message: Outgoing) -> Accepted {
    let correlation = message.correlation_id().and_then(|id| HeaderValue::from_str(id).ok());
    publisher.publish(message).await?;
    Ok(correlation.map(|id| HeaderMap::from_iter([(CORRELATION, id)])).unwrap_or_default())
}

/// The header with the correlation identifier of the published message.
pub(crate) const CORRELATION: HeaderName = HeaderName::from_static(CORRELATION_ID);
