//! Acknowledging in as few frames as possible, and never a message that is still in flight.

use std::collections::BTreeSet;

use anyhow::Context;
use futures_util::FutureExt;
use lapin::{Channel, options::BasicAckOptions, types::DeliveryTag};

use super::Settled;

/// A channel and its unacknowledged deliveries.
pub(super) struct AckBatcher {
    channel: Channel,
    unacked: UnackedTags,
}

impl AckBatcher {
    pub fn new(channel: Channel) -> Self {
        Self { channel, unacked: UnackedTags::default() }
    }

    pub fn track(&mut self, tag: DeliveryTag) {
        self.unacked.track(tag);
    }

    /// Acknowledges what is settled, and returns the first error among it.
    ///
    /// The acknowledgements are on their way then. If they cannot be sent, the connection is lost, and with it the
    /// deliveries.
    pub fn acknowledge(&mut self, settled: Vec<Settled>) -> anyhow::Result<()> {
        let (mut tags, mut failed) = (Vec::with_capacity(settled.len()), Ok(()));
        for one in settled {
            match one {
                Ok(tag) => tags.extend(tag),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        let (up_to, single) = self.unacked.release(tags);
        if let Some(tag) = up_to {
            self.send(tag, true)?;
        }
        for tag in single {
            self.send(tag, false)?;
        }
        failed
    }

    fn send(&self, tag: DeliveryTag, multiple: bool) -> anyhow::Result<()> {
        let sent = self.channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
        sent.transpose().context("acknowledging").map(drop)
    }
}

/// The unacknowledged deliveries of a channel.
///
/// The broker numbers all that it delivers on a channel, but the deliveries to one consumer may be received before
/// earlier ones to another: a number that was skipped is unacknowledged too.
#[derive(Default)]
struct UnackedTags {
    tags: BTreeSet<DeliveryTag>,
    last: DeliveryTag,
}

impl UnackedTags {
    fn track(&mut self, tag: DeliveryTag) {
        self.tags.extend(self.last + 1..=tag);
        self.last = self.last.max(tag);
    }

    /// Releases `settled`. Gives the tag up to which one acknowledgement is for all, since it is older than all that stay
    /// unacknowledged, and the tags that need one of their own.
    fn release(&mut self, mut settled: Vec<DeliveryTag>) -> (Option<DeliveryTag>, Vec<DeliveryTag>) {
        for tag in &settled {
            self.tags.remove(tag);
        }
        settled.sort_unstable();
        let older = |oldest| settled.partition_point(|tag| tag < oldest);
        let single = settled.split_off(self.tags.first().map_or(settled.len(), older));
        (settled.pop(), single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_acknowledgement_is_never_for_a_message_that_is_still_in_flight() {
        let mut unacked = UnackedTags::default();
        (1..=6).for_each(|tag| unacked.track(tag));
        for (settled, up_to, single) in [
            (vec![3, 2], None, vec![2, 3]),
            (vec![5, 1], Some(1), vec![5]),
            (vec![], None, vec![]),
            (vec![6, 4], Some(6), vec![]),
        ] {
            assert_eq!(unacked.release(settled.clone()), (up_to, single), "{settled:?}");
        }
    }

    #[test]
    fn one_acknowledgement_is_never_for_a_message_that_another_consumer_has_yet_to_receive() {
        let mut unacked = UnackedTags::default();
        unacked.track(2);
        unacked.track(4);
        assert_eq!(unacked.release(vec![2]), (None, vec![2]));
        unacked.track(1);
        assert_eq!(unacked.release(vec![1, 4]), (Some(1), vec![4]));
        unacked.track(3);
        assert_eq!(unacked.release(vec![3]), (Some(3), vec![]));
    }
}
