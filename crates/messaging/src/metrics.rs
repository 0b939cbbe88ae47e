//! Facts, counted, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A counter: its name without the prefix and the unit, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    name: &'static str,
    help: &'static str,
    label: &'static str,
}

impl Counter {
    /// Messages processed, by queue.
    pub const CONSUMED: Self =
        Self { name: "messages_consumed", help: "Messages processed.", label: "queue" };
    /// Tries after one that failed and may pass, by queue.
    pub const RETRIED: Self =
        Self { name: "messages_retried", help: "Tries after one that failed.", label: "queue" };
    /// Messages put aside with their reason, by queue.
    pub const DEAD_LETTERED: Self =
        Self { name: "messages_dead_lettered", help: "Messages put aside as dead letters.", label: "queue" };
    /// Messages that the broker confirmed, by exchange.
    pub const PUBLISHED: Self =
        Self { name: "messages_published", help: "Messages that the broker confirmed.", label: "exchange" };
    /// Messages that no queue took, by exchange.
    pub const RETURNED: Self =
        Self { name: "messages_returned", help: "Messages that no queue took.", label: "exchange" };
    /// Replies that came when nobody waited for them any more, by queue.
    pub const LATE: Self =
        Self { name: "answers_late", help: "Replies that nobody waited for any more.", label: "queue" };
}

/// A gauge: its name without the prefix, and what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gauge {
    name: &'static str,
    help: &'static str,
}

impl Gauge {
    /// Requests that wait for answers now.
    pub const WAITING: Self = Self { name: "requests_waiting", help: "Requests that wait for answers now." };
}

#[derive(Debug, Default)]
struct Numbers {
    counts: BTreeMap<Counter, BTreeMap<String, u64>>,
    gauges: BTreeMap<Gauge, usize>,
}

/// The counters and gauges of one service. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Numbers>>);

impl Metrics {
    /// Counts so many more.
    pub fn count(&self, counter: Counter, label: &str, times: usize) {
        let times = u64::try_from(times).unwrap_or(u64::MAX);
        let mut numbers = self.lock();
        let counts = numbers.counts.entry(counter).or_default();
        match counts.get_mut(label) {
            Some(count) => *count += times,
            None => drop(counts.insert(label.to_owned(), times)),
        }
    }

    /// Shows a gauge as this from now on.
    pub fn set(&self, gauge: Gauge, value: usize) {
        self.lock().gauges.insert(gauge, value);
    }

    /// All of them, in the text format of Prometheus.
    /// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
    #[must_use]
    pub fn render(&self) -> String {
        let numbers = self.lock();
        let mut text = String::new();
        for (Counter { name, help, label }, counts) in &numbers.counts {
            let name = format!("fedctl_service_{name}_total");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (value, count) in counts {
                let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = writeln!(text, "{name}{{{label}=\"{value}\"}} {count}");
            }
        }
        for (Gauge { name, help }, value) in &numbers.gauges {
            let name = format!("fedctl_service_{name}");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_in_the_form_that_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.count(Counter::DEAD_LETTERED, "a\"b", 1);
        metrics.count(Counter::CONSUMED, "q", 2);
        metrics.set(Gauge::WAITING, 2);
        metrics.set(Gauge::WAITING, 1);
        let text = metrics.render();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "fedctl_service_messages_consumed_total{queue=\"q\"} 2",
                "fedctl_service_messages_dead_lettered_total{queue=\"a\\\"b\"} 1",
                "fedctl_service_requests_waiting 1",
            ]
        );
        assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), 3);
    }
}
