//! The analytics: how often each event happened, in every region that runs it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::Transaction;

use super::chain::Means;
use super::{INVENTORY, ORDER_CREATED, PAYMENT, Part, Program, Step, declarations};
use crate::http::Failure;
use fedctl_messaging::{ConsumeError, Message, StoreError};

const QUEUE: &str = "checkout.analytics";
const PREFETCH: u16 = 64;
const FILE: &str = "analytics.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
";

/// Counts events.
pub struct Analytics(Means);

pub(super) async fn part(program: &Program) -> anyhow::Result<Part> {
    let means = Means::open(program, FILE, TABLES).await?;
    let router = Router::new().route("/stats", get(stats)).with_state(means.clone());
    let declarations = declarations(QUEUE, &[ORDER_CREATED, INVENTORY, PAYMENT]);
    Ok(Part { router, ..Part::new(declarations, PREFETCH, Step::Analytics(Analytics(means))) })
}

/// `GET /stats`: the counts by routing key.
async fn stats(State(means): State<Means>) -> Result<Json<BTreeMap<String, i64>>, Failure> {
    let counts = means.store.read(|connection| {
        let mut counts = connection.prepare_cached("SELECT key, count FROM counts")?;
        let counts = counts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(counts.collect::<Result<_, _>>()?)
    });
    Ok(Json(counts.await?))
}

impl Analytics {
    /// Counts by key alone: whether a body can be worked off is for others to say.
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let key = message.original_routing_key().into_owned();
        let counted = key.clone();
        let Some(count) = self.0.once(message, move |transaction| count(transaction, &counted)).await? else {
            return Ok(());
        };
        let order_id = message.json().ok().and_then(|body| body.get("order_id").cloned());
        self.0
            .log
            .info("event_counted")
            .with_message(message)
            .with("order_id", order_id.unwrap_or_default())
            .with("key", key)
            .with("count", count)
            .write();
        Ok(())
    }
}

fn count(transaction: &Transaction<'_>, key: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO counts (key, count) VALUES (?1, 1)
        ON CONFLICT (key) DO UPDATE SET count = count + 1 RETURNING count";
    Ok(transaction.prepare_cached(sql)?.query_row([key], |row| row.get(0))?)
}
