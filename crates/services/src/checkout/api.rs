//! The API: takes orders over HTTP, and knows what became of every region's.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::chain::ChainContext;
use super::order::{Order, Request, order_id};
use super::{ChainConsumer, ChainService, declarations};
use crate::http::{self, Failure};
use crate::process::Process;
use fedctl_contract::checkout::{
    CHECKOUTS_PATH, EVENTS, INVENTORY, INVENTORY_REJECTED, INVENTORY_RESERVED, PAYMENT, PAYMENT_CAPTURED,
    PAYMENT_FAILED, order_created, queue,
};
use fedctl_contract::log::{event, field};
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
enum OrderState {
    Created,
    Reserved,
    Rejected,
    Captured,
    Failed,
}

impl OrderState {
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

    /// Events come from several regions, over links of their own: an earlier state may arrive later.
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
pub struct Api {
    context: ChainContext,
    region: String,
}

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let region = process.settings.region.clone();
    let declarations = declarations(&queue(&region), &[INVENTORY, PAYMENT]);
    let api = Api { context: ChainContext::open(process, FILE, TABLES).await?, region };
    let router = Router::new()
        .route(CHECKOUTS_PATH, post(check_out))
        .route(&format!("{CHECKOUTS_PATH}/{{order_id}}"), get(checkout))
        .layer(DefaultBodyLimit::max(http::LARGEST_BODY))
        .with_state(api.clone());
    Ok(ChainService { router, ..ChainService::new(declarations, PREFETCH, ChainConsumer::Api(api)) })
}

/// `POST /checkouts`: 202 once a queue has the order.
async fn check_out(
    State(api): State<Api>,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Failure> {
    let request = Request::read(&http::json(&body)?)?;
    let order = Order { order_id: fresh_id(), request, region: api.region.clone() };
    let event = Outgoing::json(EVENTS, order_created(&api.region), &order.body())
        .with_correlation_id(Some(&fresh_id()))
        .with_log_field(field::ORDER_ID, order.order_id.as_str())
        .with_log_field(field::SKU, order.request.sku.as_str())
        .with_log_field(field::QUANTITY, order.request.quantity)
        .with_log_field(field::AMOUNT, order.request.amount.as_str());
    let headers = http::publish(&api.context.publisher, event).await?;
    api.created(&order.order_id).await;
    Ok((StatusCode::ACCEPTED, headers, Json(json!({"order_id": order.order_id}))))
}

/// `GET /checkouts/{order_id}`: the state of the order, as far as this region knows.
async fn checkout(State(api): State<Api>, Path(order_id): Path<String>) -> Result<Json<Value>, Failure> {
    let id = order_id.clone();
    let found = api.context.store.read(move |connection| {
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

impl Api {
    /// The order is on its way: a store that fails must not make the buyer order again, and the events to come
    /// will make up for it.
    async fn created(&self, order_id: &str) {
        let id = order_id.to_owned();
        let create =
            move |transaction: &Transaction<'_>| advance(transaction, &id, OrderState::Created, None);
        if let Err(error) = self.context.store.write(create).await {
            self.context
                .log
                .warn(event::STATE_NOT_STORED)
                .with(field::ORDER_ID, order_id)
                .with(field::REASON, error.to_string())
                .write();
        }
    }

    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Some(state) = OrderState::after(&message.original_routing_key()) else {
            self.context.log.info(event::EVENT_IGNORED).with_message(message).write();
            return Ok(());
        };
        let body = message.json()?;
        let order_id = order_id(&body)?;
        let (id, reason) = (order_id.clone(), body["reason"].as_str().map(str::to_owned));
        let take = move |transaction: &Transaction<'_>| advance(transaction, &id, state, reason.as_deref());
        if let Some(advanced) = self.context.process_once(message, take).await? {
            let word = if advanced { event::CHECKOUT_UPDATED } else { event::STALE_SKIPPED };
            self.context
                .log
                .info(word)
                .with_message(message)
                .with(field::ORDER_ID, order_id)
                .with(field::STATE, state.name())
                .write();
        }
        Ok(())
    }
}

/// Takes an order to a state, unless it is as far already.
fn advance(
    transaction: &Transaction<'_>,
    order_id: &str,
    state: OrderState,
    reason: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO checkouts (order_id, state, rank, reason) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, rank = excluded.rank,
            reason = excluded.reason
        WHERE excluded.rank > rank";
    Ok(transaction.prepare_cached(sql)?.execute(params![order_id, state.name(), state.rank(), reason])? == 1)
}
