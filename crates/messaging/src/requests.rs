//! Requests that wait for answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::message::Message;
use super::metrics::{Counter, Gauge, Metrics};

/// Where the answers to a request go, and how many more it takes.
type Waiting = HashMap<String, (mpsc::UnboundedSender<Message>, usize)>;

/// The requests of one service that wait, by correlation identifier. Cheap to clone.
///
/// The service consumes a reply queue that stays the same, and hands every reply to [`PendingRequests::resolve`].
/// Direct reply-to and a queue per request would do within one broker, but neither crosses federation.
#[derive(Debug, Clone, Default)]
pub struct PendingRequests {
    waiting: Arc<Mutex<Waiting>>,
    metrics: Metrics,
}

impl PendingRequests {
    /// Requests whose number is shown as [`Gauge::WAITING`].
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        metrics.set(Gauge::WAITING, 0);
        Self { waiting: Arc::default(), metrics }
    }

    /// Waits for the answers to the request of this identifier, from before it is published until what this
    /// gives is dropped.
    #[must_use]
    pub fn expect(&self, correlation_id: &str) -> Replies {
        self.expect_some(correlation_id, usize::MAX)
    }

    /// As [`PendingRequests::expect`], for one answer: a second one is late, however soon it comes.
    #[must_use]
    pub fn expect_one(&self, correlation_id: &str) -> Replies {
        self.expect_some(correlation_id, 1)
    }

    fn expect_some(&self, correlation_id: &str, most: usize) -> Replies {
        let (sender, received) = mpsc::unbounded_channel();
        self.change(|waiting| waiting.insert(correlation_id.to_owned(), (sender, most)));
        Replies { received, requests: self.clone(), correlation_id: correlation_id.to_owned() }
    }

    /// Hands a reply to the request that waits for it; `false` where none does: it is late, or another's, and counted.
    #[must_use]
    pub fn resolve(&self, reply: &Message) -> bool {
        let resolved = self.deliver(reply);
        if !resolved {
            self.metrics.count(Counter::LATE, &reply.queue, 1);
        }
        resolved
    }

    fn deliver(&self, reply: &Message) -> bool {
        let mut waiting = self.lock();
        let Some((waits, left)) = reply.correlation_id().and_then(|id| waiting.get_mut(id)) else {
            return false;
        };
        let wanted = *left > 0;
        *left = left.saturating_sub(1);
        wanted && waits.send(reply.clone()).is_ok()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) {
        let mut waiting = self.lock();
        change(&mut waiting);
        self.metrics.set(Gauge::WAITING, waiting.len());
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers to one request, as they come. Dropped, the request does not wait any more.
#[derive(Debug)]
pub struct Replies {
    received: mpsc::UnboundedReceiver<Message>,
    requests: PendingRequests,
    correlation_id: String,
}

impl Replies {
    /// The next answer. Waits for ever where none comes: give it a deadline.
    ///
    /// # Panics
    ///
    /// Never: what sends answers is kept until this is dropped.
    pub async fn next(&mut self) -> Message {
        self.received.recv().await.expect("the request waits as long as this is here")
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.requests.change(|waiting| waiting.remove(&self.correlation_id));
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::*;

    fn reply(correlation_id: &str, body: &str) -> Message {
        let mut delivery = lapin::message::Delivery::mock(1, "".into(), "r".into(), false, body.into());
        delivery.properties = BasicProperties::default().with_correlation_id(correlation_id.into());
        Message::new(&"r".into(), delivery)
    }

    #[tokio::test]
    async fn an_answer_reaches_its_own_request_and_a_late_one_none() {
        let requests = PendingRequests::default();
        let (mut one, mut other) = (requests.expect("one"), requests.expect("other"));
        assert!(requests.resolve(&reply("other", "b")) && requests.resolve(&reply("one", "a")));
        assert_eq!((one.next().await.body, other.next().await.body), (b"a".to_vec(), b"b".to_vec()));
        drop(one);
        assert_eq!(requests.waiting(), 1);
        assert!(!requests.resolve(&reply("one", "late")) && !requests.resolve(&reply("never", "asked")));
        let _only = requests.expect_one("only");
        assert!(requests.resolve(&reply("only", "a")) && !requests.resolve(&reply("only", "b")));
    }
}
