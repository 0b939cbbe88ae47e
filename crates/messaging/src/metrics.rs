//! What was counted, for Prometheus.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabel {
    exchange: String,
}

/// The metrics of one service, since the start of its process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    consumed: Family<QueueLabel, Counter>,
    retried: Family<QueueLabel, Counter>,
    dead_lettered: Family<QueueLabel, Counter>,
    published: Family<ExchangeLabel, Counter>,
    returned: Family<ExchangeLabel, Counter>,
    late: Family<QueueLabel, Counter>,
    waiting: Gauge,
}

/// The counters of one queue, looked up once.
pub(crate) struct QueueCounters {
    pub consumed: Counter,
    pub retried: Counter,
    pub dead_lettered: Counter,
}

impl Metrics {
    /// The content type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// Metrics whose names begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let mut registry = Registry::with_prefix(prefix);
        Self {
            consumed: register(&mut registry, "messages_consumed", "Messages processed"),
            retried: register(&mut registry, "messages_retried", "Retries of messages that failed"),
            dead_lettered: register(&mut registry, "messages_dead_lettered", "Messages dead-lettered"),
            published: register(&mut registry, "messages_published", "Messages confirmed by the broker"),
            returned: register(&mut registry, "messages_returned", "Messages returned as unroutable"),
            late: register(&mut registry, "answers_late", "Replies without a pending request"),
            waiting: register(&mut registry, "requests_waiting", "Requests waiting for a reply"),
            registry: registry.into(),
        }
    }

    pub(crate) fn of_queue(&self, queue: &Arc<str>) -> QueueCounters {
        let label = QueueLabel { queue: Arc::clone(queue) };
        QueueCounters {
            consumed: self.consumed.get_or_create_owned(&label),
            retried: self.retried.get_or_create_owned(&label),
            dead_lettered: self.dead_lettered.get_or_create_owned(&label),
        }
    }

    pub(crate) fn count_published(&self, exchange: String) {
        self.published.get_or_create(&ExchangeLabel { exchange }).inc();
    }

    pub(crate) fn count_returned(&self, exchange: String) {
        self.returned.get_or_create(&ExchangeLabel { exchange }).inc();
    }

    pub(crate) fn count_late(&self, queue: &Arc<str>) {
        self.late.get_or_create(&QueueLabel { queue: Arc::clone(queue) }).inc();
    }

    pub(crate) fn set_waiting(&self, requests: usize) {
        self.waiting.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }

    /// All of them, in the text format of Prometheus.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_in_the_form_that_prometheus_reads() {
        let metrics = Metrics::new("test");
        metrics.of_queue(&"q".into()).consumed.inc_by(2);
        metrics.count_published("a\"b".to_owned());
        metrics.set_waiting(2);
        metrics.set_waiting(1);
        assert_eq!(
            metrics.encode(),
            "\
# HELP test_messages_consumed_total Messages processed.
# TYPE test_messages_consumed_total counter
test_messages_consumed_total{queue=\"q\"} 2
# HELP test_messages_retried_total Retries of messages that failed.
# TYPE test_messages_retried_total counter
test_messages_retried_total{queue=\"q\"} 0
# HELP test_messages_dead_lettered_total Messages dead-lettered.
# TYPE test_messages_dead_lettered_total counter
test_messages_dead_lettered_total{queue=\"q\"} 0
# HELP test_messages_published_total Messages confirmed by the broker.
# TYPE test_messages_published_total counter
test_messages_published_total{exchange=\"a\\\"b\"} 1
# HELP test_requests_waiting Requests waiting for a reply.
# TYPE test_requests_waiting gauge
test_requests_waiting 1
"
        );
    }
}
