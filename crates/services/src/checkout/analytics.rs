//! The analytics: how often each event happened, in every region that runs it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::Transaction;

use super::chain::ChainContext;
use super::{ChainConsumer, ChainService, declarations};
use crate::http::Failure;
use crate::process::Process;
use fedctl_contract::checkout::{INVENTORY, ORDERS_CREATED, PAYMENT, STATS_PATH, queue};
use fedctl_contract::log::{event, field};
use fedctl_messaging::{ConsumeError, Message, StoreError};

const PREFETCH: u16 = 64;
const FILE: &str = "analytics.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
";

/// Counts events.
pub struct Analytics(ChainContext);

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let context = ChainContext::open(process, FILE, TABLES).await?;
    let router = Router::new().route(STATS_PATH, get(stats)).with_state(context.clone());
    let declarations = declarations(&queue(process.program.name()), &[ORDERS_CREATED, INVENTORY, PAYMENT]);
    Ok(ChainService {
        router,
        ..ChainService::new(declarations, PREFETCH, ChainConsumer::Analytics(Analytics(context)))
    })
}

/// `GET /stats`: the counts by routing key.
async fn stats(State(context): State<ChainContext>) -> Result<Json<BTreeMap<String, i64>>, Failure> {
    let counts = context.store.read(|connection| {
        let mut counts = connection.prepare_cached("SELECT key, count FROM counts")?;
        let counts = counts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(counts.collect::<Result<_, _>>()?)
    });
    Ok(Json(counts.await?))
}

impl Analytics {
    /// Counts by key alone: whether a body can be processed is for others to decide.
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let key = message.original_routing_key().into_owned();
        let counted = key.clone();
        let Some(count) =
            self.0.process_once(message, move |transaction| count(transaction, &counted)).await?
        else {
            return Ok(());
        };
        let order_id = message.json().ok().and_then(|body| body.get("order_id").cloned());
        self.0
            .log
            .info(event::EVENT_COUNTED)
            .with_message(message)
            .with(field::ORDER_ID, order_id.unwrap_or_default())
            .with(field::KEY, key)
            .with(field::COUNT, count)
            .write();
        Ok(())
    }
}

fn count(transaction: &Transaction<'_>, key: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO counts (key, count) VALUES (?1, 1)
        ON CONFLICT (key) DO UPDATE SET count = count + 1 RETURNING count";
    Ok(transaction.prepare_cached(sql)?.query_row([key], |row| row.get(0))?)
}
