//! How long one event takes from one region to another on an idle system.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::time::timeout;

use crate::{
    events::{Event, PRODUCT},
    figure::Figure,
    region::{Region, fresh_id, until},
};

/// A key that no service binds to.
const KEY: &str = "bench";
const MILLISECOND: Duration = Duration::from_millis(1);

/// From the beginning of a `POST` here to the first `GET` there that finds it.
pub async fn through_services(
    here: &Region,
    there: &Region,
    event: &Event,
    samples: usize,
) -> Result<Figure> {
    let mut times = Vec::new();
    for id in (fresh_id()..).take(samples) {
        let started = Instant::now();
        here.add(event, id).await?;
        until(MILLISECOND, || there.has(event, id)).await?;
        times.push(started.elapsed());
    }
    Ok(Figure::seconds(times))
}

/// From a publish here to its delivery there: the broker's own share.
pub async fn through_brokers(here: &Region, there: &Region, samples: usize) -> Result<Figure> {
    let (here, there) = (here.connect().await?, there.connect().await?);
    let (publisher, consumer) = (here.create_channel().await?, there.create_channel().await?);
    let mut deliveries = bound(&consumer).await?;
    // the binding takes its time to become known upstream
    while hop(&publisher, &mut deliveries, MILLISECOND * 20).await?.is_none() {}
    while timeout(MILLISECOND * 500, deliveries.next()).await.is_ok() {}
    let mut times = Vec::new();
    for _ in 0..samples {
        times.push(hop(&publisher, &mut deliveries, MILLISECOND * 5000).await?.context("an event was lost")?);
    }
    here.close(200, "OK".into()).await?;
    there.close(200, "OK".into()).await?;
    Ok(Figure::seconds(times))
}

async fn bound(channel: &Channel) -> Result<Consumer> {
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let name = format!("{KEY}.{}", fresh_id());
    channel.queue_declare(name.as_str().into(), own, FieldTable::default()).await?;
    let (exchange, options) = (PRODUCT.exchange.into(), QueueBindOptions::default());
    channel.queue_bind(name.as_str().into(), exchange, KEY.into(), options, FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(name.as_str().into(), "".into(), options, FieldTable::default()).await?)
}

/// Publishes one event and waits for it; none if it does not come in time.
async fn hop(publisher: &Channel, deliveries: &mut Consumer, patience: Duration) -> Result<Option<Duration>> {
    let started = Instant::now();
    let (exchange, options) = (PRODUCT.exchange.into(), BasicPublishOptions::default());
    let properties = BasicProperties::default().with_delivery_mode(2);
    publisher.basic_publish(exchange, KEY.into(), options, b"{}", properties).await?;
    match timeout(patience, deliveries.next()).await {
        Ok(delivery) => {
            delivery.context("the consumer was cancelled")??;
            Ok(Some(started.elapsed()))
        }
        Err(_) => Ok(None),
    }
}
