//! The fraud check: checks every order alongside the chain, which does not know of it.

use rusqlite::{Transaction, params};

use super::chain::ChainContext;
use super::order::Charge;
use super::{ChainConsumer, ChainService, declarations};
use crate::decimal::Decimal;
use crate::process::Process;
use fedctl_contract::checkout::{ORDERS_CREATED, queue};
use fedctl_contract::environment;
use fedctl_contract::log::{event, field};
use fedctl_messaging::{ConsumeError, Message, StoreError};

const PREFETCH: u16 = 32;
const FILE: &str = "fraud.db";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS verdicts (
    message_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, amount TEXT NOT NULL, verdict TEXT NOT NULL
) STRICT;
";
const SUSPICIOUS: &str = "5000";

/// Checks orders.
pub struct Fraud {
    context: ChainContext,
    suspicious: Decimal,
}

pub(super) async fn part(process: &Process) -> anyhow::Result<ChainService> {
    let suspicious = process.settings.read_option(
        environment::SUSPICIOUS,
        SUSPICIOUS,
        Decimal::AMOUNT,
        Decimal::parse_amount,
    )?;
    let context = ChainContext::open(process, FILE, TABLES).await?;
    let fraud = Fraud { context, suspicious };
    Ok(ChainService::new(
        declarations(&queue(process.program.name()), &[ORDERS_CREATED]),
        PREFETCH,
        ChainConsumer::Fraud(fraud),
    ))
}

impl Fraud {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let charge = Charge::read(&message.json()?)?;
        let verdict = if charge.amount.exceeds(&self.suspicious) { "suspicious" } else { "clear" };
        let (id, checked) = (message.identity().to_owned(), charge.clone());
        let store = move |transaction: &Transaction<'_>| keep(transaction, &id, &checked, verdict);
        if self.context.process_once(message, store).await?.is_some() {
            self.context
                .log
                .info(event::FRAUD_CHECKED)
                .with_message(message)
                .with(field::ORDER_ID, charge.order_id)
                .with(field::AMOUNT, charge.amount.as_str())
                .with(field::VERDICT, verdict)
                .write();
        }
        Ok(())
    }
}

fn keep(transaction: &Transaction<'_>, id: &str, charge: &Charge, verdict: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO verdicts (message_id, order_id, amount, verdict) VALUES (?1, ?2, ?3, ?4)";
    transaction.prepare_cached(sql)?.execute(params![
        id,
        charge.order_id,
        charge.amount.as_str(),
        verdict
    ])?;
    Ok(())
}
