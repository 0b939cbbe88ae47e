//! The HTTP face: health for every service, and the products service's endpoints.

use std::future::IntoFuture;
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::contract::{self, Invalid, Order, Product, TaxRequest};
use fedctl_messaging::{Health, Metrics, Outgoing, PublishError, Publisher, StoreError, fresh_id};

const FINISH_WITHIN: Duration = Duration::from_secs(5);
pub(super) const LARGEST_BODY: usize = 64 * 1024;

/// Serves `router` until `stop`, then lets running requests finish, for at most 5 s.
///
/// # Errors
/// When the listener breaks.
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
        .route("/healthz", get(answer))
        .with_state(health)
        .route("/metrics", get(counted))
        .fallback(async || Failure::NotFound("No such page".to_owned()))
}

/// What the products service's endpoints need.
#[derive(Clone)]
pub struct Front {
    /// This region.
    pub region: String,
    /// All regions, this one included.
    pub regions: Vec<String>,
    /// Where requests go.
    pub publisher: Publisher,
    /// Where products are read.
    pub store: Catalogue,
}

/// The endpoints of the products service.
pub fn products(front: Front) -> Router {
    Router::new()
        .route("/products/{id}", get(read_product))
        .route("/products", post(add_product))
        .route("/orders", post(place_order))
        .route("/tax/{region}", post(request_taxes))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(front)
}

/// An answer other than 200, as `{"error": …, "message": …}`.
pub(super) enum Failure {
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

/// 200 with an empty body, and the correlation identifier to follow the message by.
pub(super) type Accepted = Result<HeaderMap, Failure>;

async fn read_product(State(front): State<Front>, Path(id): Path<String>) -> Result<Json<Product>, Failure> {
    let unknown = || Failure::NotFound("Product not found".to_owned());
    let id = id.parse().map_err(|_| unknown())?;
    front.store.product(id).await?.map(Json).ok_or_else(unknown)
}

async fn add_product(State(front): State<Front>, body: Bytes) -> Accepted {
    let product = Product::read(&json(&body)?)?;
    let message = outgoing(contract::PRODUCT_EVENTS, contract::PRODUCT_ADDED, &product)
        .with_log_field("product_id", product.id)
        .with_log_field("quantity", product.quantity);
    accept(&front, message).await
}

async fn place_order(State(front): State<Front>, body: Bytes) -> Accepted {
    let order = Order::read(&json(&body)?)?;
    let message = outgoing(contract::ORDERS, contract::ORDER_PRODUCT, &order)
        .with_log_field("product_id", order.product_id)
        .with_log_field("quantity", order.quantity);
    accept(&front, message).await
}

async fn request_taxes(State(front): State<Front>, Path(region): Path<String>) -> Accepted {
    if !front.regions.contains(&region) {
        let known = front.regions.join(", ");
        return Err(Failure::NotFound(format!("Region `{region}` not found; there are: {known}")));
    }
    let request = TaxRequest { order_id: 1 };
    let message = outgoing(contract::ORDERS, contract::taxes_key(&region), &request)
        .with_reply_to(&contract::taxes_reply_key(&front.region))
        .with_log_field("order_id", request.order_id);
    accept(&front, message).await
}

pub(super) fn json(body: &Bytes) -> Result<Value, Invalid> {
    serde_json::from_slice(body).map_err(|error| Invalid::whole(format!("Not valid JSON: {error}")))
}

pub(super) fn outgoing(exchange: &str, key: impl Into<String>, body: &impl Serialize) -> Outgoing {
    Outgoing::json(exchange, key, body).with_correlation_id(Some(&fresh_id()))
}

async fn accept(front: &Front, message: Outgoing) -> Accepted {
    publish(&front.publisher, message).await
}

/// Publishes, and gives the correlation identifier as a header.
pub(super) async fn publish(publisher: &Publisher, message: Outgoing) -> Accepted {
    let correlation = message.correlation_id().and_then(|id| HeaderValue::from_str(id).ok());
    publisher.publish(message).await?;
    Ok(correlation.map(|id| HeaderMap::from_iter([(CORRELATION, id)])).unwrap_or_default())
}

/// The header that gives the correlation identifier of what was published.
pub(super) const CORRELATION: axum::http::HeaderName =
    axum::http::HeaderName::from_static("x-correlation-id");
