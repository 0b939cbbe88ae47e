//! How many events a second the services of a region work off.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use crate::{
    container::Engine,
    region::{PRODUCT_EVENTS, Region, fresh_id, product, until},
};

/// How many events may be unconfirmed.
const WINDOW: usize = 256;
const PAUSE: Duration = Duration::from_millis(20);

/// What came of a load.
pub struct Load {
    /// Events a second, from the first publish until every event is confirmed.
    pub published: f64,
    /// Events a second, from the first publish until nothing waits in the region.
    pub here: f64,
    /// The same in another region.
    pub there: f64,
    /// Events for every second of processor time of the region's indexer: what one core could do.
    pub per_core: f64,
}

/// Publishes events here and waits until they are worked off here and there.
pub async fn load(engine: &Engine, here: &Region, there: &Region, events: usize) -> Result<Load> {
    let connection = here.connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let first = fresh_id();
    let last = first + i64::try_from(events)? - 1;
    let indexer = here.service("indexer");
    let before = engine.usage(&indexer).await?;

    let started = Instant::now();
    let confirms = stream::iter(first..=last).map(|id| publish(&channel, id)).buffer_unordered(WINDOW);
    confirms.try_for_each(|()| std::future::ready(Ok(()))).await?;
    let all_published = started.elapsed();
    until(PAUSE, async || Ok(here.waiting(there).await?.0 == 0)).await?;
    let nothing_waits = started.elapsed();
    let cpu = engine.usage(&indexer).await?.cpu - before.cpu;
    until(PAUSE, async || Ok(here.waiting(there).await?.1 == 0 && there.waiting(here).await?.0 == 0)).await?;
    let nothing_waits_anywhere = started.elapsed();

    connection.close(200, "OK".into()).await?;
    if !(here.has(last).await? && there.has(last).await?) {
        bail!("no event waits, and yet the last product cannot be read");
    }
    let events = f64::from(u32::try_from(events)?);
    let rate = |time: Duration| events / time.as_secs_f64();
    Ok(Load {
        published: rate(all_published),
        here: rate(nothing_waits),
        there: rate(nothing_waits_anywhere),
        per_core: events / cpu,
    })
}

async fn publish(channel: &Channel, id: i64) -> Result<()> {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_message_id(format!("bench-{id}").as_str().into())
        .with_correlation_id(format!("bench-{id}").as_str().into());
    let (key, options) = ("product_added".into(), BasicPublishOptions::default());
    let body = product(id).to_string();
    let confirm =
        channel.basic_publish(PRODUCT_EVENTS.into(), key, options, body.as_bytes(), properties).await?;
    match confirm.await? {
        Confirmation::Ack(_) => Ok(()),
        other => bail!("the broker did not confirm an event: {other:?}"),
    }
}
