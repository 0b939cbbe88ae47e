//! The front: takes orders over HTTP, and knows what became of every region's.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::chain::Means;
use super::order::{Order, Request, order_id};
use super::{
    EVENTS, INVENTORY, INVENTORY_REJECTED, INVENTORY_RESERVED, PAYMENT, PAYMENT_CAPTURED, PAYMENT_FAILED,
    Part, Program, Step, declarations,
};
use crate::http::{self, Failure};
use fedctl_messaging::{ConsumeError, Message, Outgoing, StoreError, fresh_id};

const PREFETCH: u16 = 32;
const FILE: &str = "checkout.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS checkouts (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL, rank INTEGER NOT NULL, reason TEXT
) STRICT;
";

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Created,
    Reserved,
    Rejected,
    Captured,
    Failed,
}

impl Stage {
    /// Where an event takes an order, if anywhere.
    fn after(key: &str) -> Option<Self> {
        Some(match key {
            INVENTORY_RESERVED => Self::Reserved,
            INVENTORY_REJECTED => Self::Rejected,
            PAYMENT_CAPTURED => Self::Captured,
            PAYMENT_FAILED => Self::Failed,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Reserved => "reserved",
            Self::Rejected => "rejected",
            Self::Captured => "captured",
            Self::Failed => "failed",
        }
    }

    /// Events come from several regions, over ways of their own: an earlier stage may be told of later.
    fn rank(self) -> u8 {
        match self {
            Self::Created => 0,
            Self::Reserved => 1,
            Self::Rejected | Self::Captured | Self::Failed => 2,
        }
    }
}

/// Takes orders and follows them.
#[derive(Clone)]
pub struct Front {
    means: Means,
    region: String,
}

pub(super) async fn part(program: &Program) -> anyhow::Result<Part> {
    let region = program.settings.region.clone();
    let declarations = declarations(&format!("checkout.{region}"), &[INVENTORY, PAYMENT]);
    let front = Front { means: Means::open(program, FILE, TABLES).await?, region };
    let router = Router::new()
        .route("/checkouts", post(check_out))
        .route("/checkouts/{order_id}", get(checkout))
        .layer(DefaultBodyLimit::max(http::LARGEST_BODY))
        .with_state(front.clone());
    Ok(Part { router, ..Part::new(declarations, PREFETCH, Step::Front(front)) })
}

/// `POST /checkouts`: 202 once a queue has the order.
async fn check_out(
    State(front): State<Front>,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Failure> {
    let request = Request::read(&http::json(&body)?)?;
    let order = Order { order_id: fresh_id(), request, region: front.region.clone() };
    let event = Outgoing::json(EVENTS, format!("order.{}.created", front.region), &order.body())
        .with_correlation_id(Some(&fresh_id()))
        .with_log_field("order_id", order.order_id.as_str())
        .with_log_field("sku", order.request.sku.as_str())
        .with_log_field("quantity", order.request.quantity)
        .with_log_field("amount", order.request.amount.as_str());
    let headers = http::publish(&front.means.publisher, event).await?;
    front.created(&order.order_id).await;
    Ok((StatusCode::ACCEPTED, headers, Json(json!({"order_id": order.order_id}))))
}

/// `GET /checkouts/{order_id}`: how far the order is, as far as this region was told.
async fn checkout(State(front): State<Front>, Path(order_id): Path<String>) -> Result<Json<Value>, Failure> {
    let id = order_id.clone();
    let found = front.means.store.read(move |connection| {
        let sql = "SELECT state, reason FROM checkouts WHERE order_id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        Ok(connection.prepare_cached(sql)?.query_row([id], read).optional()?)
    });
    Ok(Json(match found.await? {
        Some((state, None)) => json!({"order_id": order_id, "state": state}),
        Some((state, Some(reason))) => json!({"order_id": order_id, "state": state, "reason": reason}),
        None => return Err(Failure::NotFound("Order not found".to_owned())),
    }))
}

impl Front {
    /// The order is on its way: a store that fails must not make the buyer order again, and the events to come
    /// will tell what this one does not.
    async fn created(&self, order_id: &str) {
        let id = order_id.to_owned();
        let create = move |transaction: &Transaction<'_>| advance(transaction, &id, Stage::Created, None);
        if let Err(error) = self.means.store.write(create).await {
            self.means
                .log
                .warn("state_not_stored")
                .with("order_id", order_id)
                .with("reason", error.to_string())
                .write();
        }
    }

    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Some(stage) = Stage::after(&message.original_routing_key()) else {
            self.means.log.info("event_ignored").with_message(message).write();
            return Ok(());
        };
        let body = message.json()?;
        let order_id = order_id(&body)?;
        let (id, reason) = (order_id.clone(), body["reason"].as_str().map(str::to_owned));
        let take = move |transaction: &Transaction<'_>| advance(transaction, &id, stage, reason.as_deref());
        if let Some(advanced) = self.means.once(message, take).await? {
            let word = if advanced { "checkout_updated" } else { "stale_skipped" };
            self.means
                .log
                .info(word)
                .with_message(message)
                .with("order_id", order_id)
                .with("state", stage.name())
                .write();
        }
        Ok(())
    }
}

/// Takes an order to a stage, unless it is as far already.
fn advance(
    transaction: &Transaction<'_>,
    order_id: &str,
    stage: Stage,
    reason: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO checkouts (order_id, state, rank, reason) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, rank = excluded.rank,
            reason = excluded.reason
        WHERE excluded.rank > rank";
    Ok(transaction.prepare_cached(sql)?.execute(params![order_id, stage.name(), stage.rank(), reason])? == 1)
}
