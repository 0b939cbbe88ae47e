//! A queue to consume, and the consumers that do it.

use std::{future::ready, num::NonZeroU16};

use anyhow::Context;
use futures_util::{
    Stream, StreamExt,
    future::try_join_all,
    stream::{once, select_all},
};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};

/// A queue to consume.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub queue: String,
    pub consumers: u16,
    /// How many unacknowledged messages each consumer may have.
    pub prefetch: u16,
    mode: Mode,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Batched,
    Concurrent,
}

impl Subscription {
    /// Messages that are ready together are processed as a batch, in the queue's order, one batch after the other: for
    /// work that is short, and cheaper in batches.
    #[must_use]
    pub fn batched(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), consumers: 1, prefetch, mode: Mode::Batched }
    }

    /// Each message is processed when it comes, whatever others are in flight: for work that may take long.
    #[must_use]
    pub fn concurrent(queue: impl Into<String>, prefetch: u16) -> Self {
        Self { queue: queue.into(), consumers: 1, prefetch, mode: Mode::Concurrent }
    }

    /// Concurrent, by as many consumers as there are workers, each with a prefetch of 1: the broker sees the workers, and
    /// shares the messages out between them and those of other processes.
    #[must_use]
    pub fn workers(queue: impl Into<String>, workers: NonZeroU16) -> Self {
        Self { consumers: workers.get(), ..Self::concurrent(queue, 1) }
    }

    /// Attaches the consumers, all on one channel.
    pub(crate) async fn attach(&self, connection: &Connection) -> anyhow::Result<Attached> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consume =
            |_| channel.basic_consume(self.queue.as_str().into(), "".into(), options, arguments.clone());
        let consumers = try_join_all((0..self.consumers).map(consume)).await;
        let consumers = consumers.with_context(|| format!("consuming queue `{}`", self.queue))?;
        let limit = usize::from(self.prefetch) * consumers.len();
        Ok(Attached { channel, consumers, mode: self.mode, limit })
    }
}

/// A channel and its consumers.
pub(crate) struct Attached {
    pub(super) channel: Channel,
    pub(super) consumers: Vec<Consumer>,
    pub(super) mode: Mode,
    /// How many messages are taken at once: as many as may be unacknowledged.
    pub(super) limit: usize,
}

/// What is delivered to any of `consumers`, until one of them ends.
pub(super) fn merge(consumers: Vec<Consumer>) -> impl Stream<Item = lapin::Result<Delivery>> + Unpin {
    let with_its_end = |consumer: Consumer| consumer.map(Some).chain(once(ready(None)));
    select_all(consumers.into_iter().map(with_its_end)).scan((), |(), delivery| ready(delivery))
}

pub(super) async fn cancel(channel: &Channel, tags: Vec<ShortString>) -> anyhow::Result<()> {
    let cancel = |tag| channel.basic_cancel(tag, BasicCancelOptions::default());
    try_join_all(tags.into_iter().map(cancel)).await.context("cancelling a consumer")?;
    Ok(())
}
