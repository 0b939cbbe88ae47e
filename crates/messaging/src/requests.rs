//! Requests that wait for replies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use crate::{message::Message, metrics::Metrics};

/// Where the replies to a request go, and how many more it takes.
type Waiting = HashMap<String, (mpsc::UnboundedSender<Message>, usize)>;

/// The pending requests of one service, by correlation identifier. Cheap to clone.
///
/// The service consumes a reply queue that stays the same, and passes every reply to [`PendingRequests::resolve`].
/// Direct reply-to and a queue per request would do within one broker, but neither crosses federation.
#[derive(Clone)]
pub struct PendingRequests {
    waiting: Arc<Mutex<Waiting>>,
    metrics: Metrics,
}

impl PendingRequests {
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { waiting: Arc::default(), metrics }
    }

    /// Waits for the replies to the request with this identifier: from now, before it is published, until the result is
    /// dropped.
    #[must_use]
    pub fn expect(&self, correlation_id: &str) -> Replies {
        self.expect_at_most(usize::MAX, correlation_id)
    }

    /// As [`PendingRequests::expect`], for one reply: a second one is late, however soon it comes.
    #[must_use]
    pub fn expect_one(&self, correlation_id: &str) -> Replies {
        self.expect_at_most(1, correlation_id)
    }

    fn expect_at_most(&self, most: usize, correlation_id: &str) -> Replies {
        let (sender, received) = mpsc::unbounded_channel();
        self.change(|waiting| waiting.insert(correlation_id.to_owned(), (sender, most)));
        Replies { received, requests: self.clone(), correlation_id: correlation_id.to_owned() }
    }

    /// Passes a reply to the request that waits for it. If none does, the reply is late, or another service's: it is
    /// counted, and the result is `false`.
    #[must_use]
    pub fn resolve(&self, reply: &Message) -> bool {
        let resolved = self.pass_on(reply);
        if !resolved {
            self.metrics.count_late(&reply.queue);
        }
        resolved
    }

    fn pass_on(&self, reply: &Message) -> bool {
        let mut waiting = self.lock();
        let Some((sender, left)) = reply.correlation_id().and_then(|id| waiting.get_mut(id)) else {
            return false;
        };
        let wanted = *left > 0;
        *left = left.saturating_sub(1);
        wanted && sender.send(reply.clone()).is_ok()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) {
        let mut waiting = self.lock();
        change(&mut waiting);
        self.metrics.set_waiting(waiting.len());
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The replies to one request, as they come. Dropped, the request is no longer pending.
pub struct Replies {
    received: mpsc::UnboundedReceiver<Message>,
    requests: PendingRequests,
    correlation_id: String,
}

impl Replies {
    /// The next reply. Waits for ever if none comes: give it a deadline.
    pub async fn next(&mut self) -> Message {
        self.received.recv().await.expect("the sender is kept until this is dropped")
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.requests.change(|waiting| waiting.remove(&self.correlation_id));
    }
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, message::Delivery};

    use super::*;

    fn reply(correlation_id: &str, body: &str) -> Message {
        let mut delivery = Delivery::mock(1, "".into(), "r".into(), false, body.into());
        delivery.properties = BasicProperties::default().with_correlation_id(correlation_id.into());
        Message::new(&"r".into(), delivery)
    }

    #[tokio::test]
    async fn a_reply_reaches_its_own_request_and_a_late_one_none() {
        let metrics = Metrics::new("test");
        let requests = PendingRequests::new(metrics.clone());
        let waits = |number| metrics.encode().contains(&format!("test_requests_waiting {number}\n"));
        let (mut one, mut other) = (requests.expect("one"), requests.expect("other"));
        assert!(waits(2) && requests.resolve(&reply("other", "b")) && requests.resolve(&reply("one", "a")));
        assert_eq!((one.next().await.body, other.next().await.body), (b"a".to_vec(), b"b".to_vec()));
        drop(one);
        assert!(waits(1));
        assert!(!requests.resolve(&reply("one", "late")) && !requests.resolve(&reply("never", "asked")));
        let _only = requests.expect_one("only");
        assert!(requests.resolve(&reply("only", "a")) && !requests.resolve(&reply("only", "b")));
        assert!(metrics.encode().contains("test_answers_late_total{queue=\"r\"} 3\n"));
    }
}
