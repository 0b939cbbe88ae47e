//! How many events per second the services of a region process.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fedctl_contract::profile;
use fedctl_messaging::fresh_id as fresh_message;
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use serde_json::{Value, json};

use crate::{
    container::Engine,
    region::{Region, fresh_id, until},
};

/// How many events may be unconfirmed.
const WINDOW: usize = 256;
const PAUSE: Duration = Duration::from_millis(20);
/// How many of a load's events are read in each region afterwards.
const READ: usize = 50;

/// An event that services of every region process.
pub struct Event {
    /// The federated exchange that it is published to.
    pub exchange: &'static str,
    pub key: &'static str,
    /// The service that processes it.
    pub service: &'static str,
    pub body: fn(i64) -> Value,
    /// What makes a service publish it.
    pub form: fn(i64) -> Form,
    /// The path at which the service shows the result, by its number.
    pub read_at: &'static str,
}

/// A request to a service.
pub struct Form {
    pub path: String,
    pub content_type: &'static str,
    pub body: String,
}

/// A product is added.
pub const PRODUCT: Event = Event {
    exchange: "products.events",
    key: "product_added",
    service: "indexer",
    body: product,
    form: |id| Form {
        path: "products".into(),
        content_type: "application/json",
        body: product(id).to_string(),
    },
    read_at: "products",
};

/// A user has another name.
pub const USER: Event = Event {
    exchange: profile::UPDATES,
    key: "user.profile.update",
    service: "profile",
    body: |id| json!({"full_name": "Ann Lee", "id": id}),
    form: |id| Form {
        path: format!("users/{id}"),
        content_type: "application/x-www-form-urlencoded",
        body: "full_name=Ann+Lee".into(),
    },
    read_at: "users",
};

/// The result of a load.
pub struct Load {
    /// Events a second, from the first publish until every event is confirmed.
    pub published: f64,
    /// Events a second, from the first publish until nothing waits in the region.
    pub here: f64,
    /// The same in another region.
    pub there: f64,
    /// Events for every second of processor time of the region's consumer: what one core could do.
    pub per_core: f64,
}

/// Publishes events here and waits until both regions have processed them.
pub async fn load(
    engine: &Engine,
    here: &Region,
    there: &Region,
    event: &Event,
    events: usize,
) -> Result<Load> {
    let connection = here.connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let first = fresh_id();
    let last = first + i64::try_from(events)? - 1;
    let consumer = here.service(event.service);
    let before = engine.usage(&consumer).await?;

    let started = Instant::now();
    let confirms = stream::iter(first..=last).map(|id| publish(&channel, event, id)).buffer_unordered(WINDOW);
    confirms.try_for_each(|()| std::future::ready(Ok(()))).await?;
    let all_published = started.elapsed();
    until(PAUSE, async || Ok(here.waiting(there, event.exchange).await?.0 == 0)).await?;
    let nothing_waits = started.elapsed();
    let cpu = engine.usage(&consumer).await?.cpu - before.cpu;
    let left = async || {
        let outgoing = here.waiting(there, event.exchange).await?.1;
        anyhow::Ok(outgoing + there.waiting(here, event.exchange).await?.0)
    };
    until(PAUSE, async || Ok(left().await? == 0)).await?;
    let nothing_waits_anywhere = started.elapsed();

    connection.close(200, "OK".into()).await?;
    for id in (first..=last).rev().step_by(events.div_ceil(READ)) {
        if !(here.has(event, id).await? && there.has(event, id).await?) {
            bail!("no event waits, and yet {} {id} cannot be read", event.read_at);
        }
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

async fn publish(channel: &Channel, event: &Event, id: i64) -> Result<()> {
    let body = (event.body)(id).to_string();
    send(channel, event.exchange, event.key, persistent(&fresh_message()), body.as_bytes()).await
}

/// The properties of a message as services send it, under this identifier.
pub fn persistent(id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_message_id(id.into())
        .with_correlation_id(id.into())
}

/// Publishes a message, and waits until a queue has it.
pub async fn send(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
    body: &[u8],
) -> Result<()> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?;
    let confirmation = confirm.await?;
    if let Confirmation::Ack(None) = confirmation {
        return Ok(());
    }
    bail!("no queue took a message with key `{key}`: {confirmation:?}")
}

fn product(id: i64) -> Value {
    json!({"id": id, "name": "lamp", "price": "100.00", "quantity": 1000})
}
