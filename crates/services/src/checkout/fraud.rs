//! The fraud check: looks at every order beside the chain, which does not know of it.

use rusqlite::{Transaction, params};

use super::amount::Amount;
use super::chain::Means;
use super::order::Charge;
use super::{ORDER_CREATED, Part, Program, Step, declarations};
use fedctl_messaging::{ConsumeError, Message, StoreError};

const QUEUE: &str = "checkout.fraud";
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
    means: Means,
    suspicious: Amount,
}

pub(super) async fn part(program: &Program) -> anyhow::Result<Part> {
    let suspicious = program.settings.read_option("SUSPICIOUS", SUSPICIOUS, Amount::WANTED, Amount::read)?;
    let means = Means::open(program, FILE, TABLES).await?;
    let fraud = Fraud { means, suspicious };
    Ok(Part::new(declarations(QUEUE, &[ORDER_CREATED]), PREFETCH, Step::Fraud(fraud)))
}

impl Fraud {
    pub(super) async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let charge = Charge::read(&message.json()?)?;
        let verdict = if charge.amount.exceeds(&self.suspicious) { "suspicious" } else { "clear" };
        let (id, checked) = (message.identity().to_owned(), charge.clone());
        let store = move |transaction: &Transaction<'_>| keep(transaction, &id, &checked, verdict);
        if self.means.once(message, store).await?.is_some() {
            self.means
                .log
                .info("fraud_checked")
                .with_message(message)
                .with("order_id", charge.order_id)
                .with("amount", charge.amount.as_str())
                .with("verdict", verdict)
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
