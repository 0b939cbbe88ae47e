//! What a slow step, and messages that can never be processed, do to the other orders.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use fedctl_contract::checkout;
use lapin::{
    Connection,
    options::{QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

use crate::{
    Settings,
    calls::Caller,
    container::Engine,
    figure::{Figure, Unit},
    project::Project,
    region::{Region, until},
    systems::{OUTSTANDING, order, topology},
};

/// How much longer a slow payment takes.
const SLOW_MS: u32 = 50;
/// One poison before so many good ones: one message in ten.
const GOOD_FOR_POISON: usize = 9;
const PAYMENT: &str = "checkout.payment";
const INVENTORY: &str = "checkout.inventory";
const DEAD_LETTERS: &str = "dead-letters.inventory";
const UNPAID: &str = "dead-letters.payment";
const PAUSE: Duration = Duration::from_millis(50);

/// Loads of orders under three conditions.
pub struct Trouble {
    fast: Column,
    slow: Column,
    poison: Column,
}

struct Column {
    name: String,
    /// Orders whose stock was reserved, a second.
    rate: Figure,
    times: Figure,
    /// Orders that waited for their payment when the last one was reserved.
    waiting: u64,
    dead_lettered: u64,
}

/// Makes the payment slow at the end, and leaves it slow.
pub async fn measure(
    project: &Project,
    engine: &Engine,
    regions: &[Region; 2],
    settings: &Settings,
) -> Result<Trouble> {
    let here = &regions[0];
    let listener = listener(here).await?;
    let fast = loads(here, "fast payment", settings, None).await?;
    paid(here).await?;
    let poison = loads(here, "one in ten is poison", settings, Some(GOOD_FOR_POISON)).await?;
    paid(here).await?;
    project.write(&topology(&project.topology.broker.image, None, settings.workers, SLOW_MS))?;
    project.time(&["up"])?;
    until(PAUSE, async || here.is_ready(engine, "payment").await).await?;
    let slow = loads(here, &format!("payment takes {SLOW_MS} ms more"), settings, None).await?;
    if slow.waiting == 0 {
        bail!("no order waits for a payment that should be slow");
    }
    listener.close(200, "OK".into()).await?;
    Ok(Trouble { fast, slow, poison })
}

/// Has a queue for what becomes of payments: an unroutable payment event is retried and then dead-lettered.
async fn listener(here: &Region) -> Result<Connection> {
    let connection = here.connect().await?;
    let channel = connection.create_channel().await?;
    let mut short = FieldTable::default();
    short.insert("x-max-length".into(), 1.into());
    let (queue, exchange, key) = ("bench.payments", checkout::EVENTS, "payment.*");
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), own, short).await?;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments).await?;
    Ok(connection)
}

async fn loads(here: &Region, name: &str, settings: &Settings, poison: Option<usize>) -> Result<Column> {
    let caller = Caller::open(here, order(here.name())).await?;
    let before = depth(here, DEAD_LETTERS).await?;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for _ in 0..settings.repetitions {
        let load = caller.load(settings.calls, OUTSTANDING, poison).await?;
        rates.push(load.rate);
        times.extend(load.times);
    }
    let waiting = depth(here, PAYMENT).await?;
    caller.close().await?;
    let sent = poison.map_or(0, |every| settings.calls.div_ceil(every)) * settings.repetitions;
    let wanted = before + u64::try_from(sent)?;
    until(PAUSE, async || Ok(depth(here, INVENTORY).await? == 0)).await?;
    let dead_lettered = depth(here, DEAD_LETTERS).await?;
    if dead_lettered != wanted {
        bail!("{dead_lettered} messages are dead-lettered in `{DEAD_LETTERS}`, and {wanted} should be");
    }
    let rate = Figure::new(Unit::PerSecond, rates);
    Ok(Column {
        name: name.to_owned(),
        rate,
        times: Figure::seconds(times),
        waiting,
        dead_lettered: dead_lettered - before,
    })
}

/// Waits until no order waits for its payment.
async fn paid(here: &Region) -> Result<()> {
    until(PAUSE, async || Ok(depth(here, PAYMENT).await? == 0)).await?;
    match depth(here, UNPAID).await? {
        0 => Ok(()),
        dead_lettered => bail!("{dead_lettered} orders are dead-lettered in `{UNPAID}`"),
    }
}

async fn depth(here: &Region, queue: &str) -> Result<u64> {
    let queues = here.queues().await?;
    queues.get(queue).copied().with_context(|| format!("there is no queue `{queue}`"))
}

pub fn print(trouble: &Trouble) {
    let Trouble { fast, slow, poison } = trouble;
    let row = |name: &str, value: &dyn Fn(&Column) -> String| {
        println!("{name:<58}{:<38}{:<38}{}", value(fast), value(slow), value(poison));
    };
    println!();
    row("order.created → inventory.reserved: median (min … max)", &|column| column.name.clone());
    row(&format!("  good orders, {OUTSTANDING} at once"), &|column| column.rate.to_string());
    row("  from one to the other", &|column| column.times.to_string());
    row("    99 of 100 within", &|column| column.times.show(column.times.p99()));
    row("  orders that wait for their payment at the end", &|column| column.waiting.to_string());
    row("  poison, dead-lettered", &|column| column.dead_lettered.to_string());
}
