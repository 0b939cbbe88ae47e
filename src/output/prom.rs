//! A status for Prometheus.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, prometheus_text},
    metrics::MetricType,
    registry::Registry,
};

use fedctl_model::{
    diagnostic::Place,
    status::{BrokerState, LinkRef, LinkState, LinkStatus, RegionStatus, Status},
};

/// The content type of [`render`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;
/// The alarms that RabbitMQ has.
const ALARMS: [&str; 2] = ["disk", "memory"];

/// What one look found and how long it took, in the text format of Prometheus. Without a status the look failed. What is
/// unknown has no sample.
#[must_use]
pub fn render(status: Option<Status>, took: Duration) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Look { status, took }));
    let mut text = String::new();
    // writing into a string does not fail
    prometheus_text::encode(&mut text, &registry).ok();
    text
}

#[derive(Debug)]
struct Look {
    status: Option<Status>,
    took: Duration,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Self { status, took } = self;
        let mut metrics = Metrics(&mut encoder);
        let version = ("version", env!("CARGO_PKG_VERSION"));
        metrics.gauge("build_info", "The version of fedctl.", [(vec![version], 1_u64)])?;
        let up = u64::from(status.is_some());
        metrics.gauge("up", "Whether the engine could be asked.", [(vec![], up)])?;
        let took = took.as_secs_f64();
        metrics.gauge("scrape_duration_seconds", "How long it took to look.", [(vec![], took)])?;
        let Some(status) = status else { return Ok(()) };
        let project = ("project", status.project.as_str());
        metrics.gauge("topology_info", "The project.", [(vec![project], 1_u64)])?;
        totals(&mut metrics, status)?;
        links(&mut metrics, status)?;
        brokers(&mut metrics, &status.regions)?;
        let services = status.regions.iter().flat_map(|region| {
            let labels = |name| vec![("region", region.name.as_str()), ("service", name)];
            let ready = region.services.iter();
            ready.map(move |service| (labels(service.name.as_str()), u64::from(service.is_healthy())))
        });
        metrics.gauge(
            "service_ready",
            "Whether the service runs and is ready, as far as it can be checked.",
            services,
        )
    }
}

struct Metrics<'m, 'e>(&'m mut DescriptorEncoder<'e>);

impl Metrics<'_, '_> {
    /// Writes a gauge, unless there is no sample of it.
    fn gauge<'a, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) -> fmt::Result {
        self.write(name, help, &mut samples.into_iter())
    }

    /// The same, compiled once for all kinds of samples.
    fn write<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: &mut dyn Iterator<Item = (Labels<'_>, V)>,
    ) -> fmt::Result {
        let mut samples = samples.peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let name = format!("fedctl_{name}");
        let mut metric = self.0.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn totals(metrics: &mut Metrics, status: &Status) -> fmt::Result {
    let counts = status.count_links();
    let sample = |count: Option<usize>| count.map(|count| (vec![], count as u64));
    metrics.gauge(
        "links_expected",
        "Links that the topology requires, whoever answers.",
        sample(counts.map(|counts| counts.expected)),
    )?;
    metrics.gauge("links_running", "Those of them that run.", sample(counts.map(|counts| counts.running)))
}

fn links(metrics: &mut Metrics, status: &Status) -> fmt::Result {
    let by_state = status.links.iter().flat_map(|link| {
        LinkState::ALL.into_iter().map(|state| {
            let labels = [labels(&link.link), vec![("state", state.as_str())]].concat();
            (labels, u64::from(link.state() == state))
        })
    });
    metrics.gauge("link_state", "1 for the state that the link is in, 0 for every other.", by_state)?;
    let of = |value: fn(&LinkStatus) -> Option<u64>| {
        status.links.iter().filter_map(move |link| Some((labels(&link.link), value(link)?)))
    };
    metrics.gauge(
        "link_waiting_messages",
        "Messages queued on the upstream for the link.",
        of(|link| link.waiting),
    )?;
    metrics.gauge(
        "link_lag_seconds",
        "How long messages have waited without becoming fewer, by what looks counted.",
        of(|link| link.lag_seconds),
    )?;
    metrics.gauge(
        "link_age_seconds",
        "How long the link has been in its state, by its broker or else since a look first saw it so.",
        of(|link| link.age_seconds),
    )?;
    let over = status.over_limits().filter_map(|found| match &found.place {
        Place::Link(link) => Some(([labels(link), vec![("code", found.code.as_str())]].concat(), 1_u64)),
        Place::File(_)
        | Place::Broker { .. }
        | Place::Queue { .. }
        | Place::Policy { .. }
        | Place::Upstream { .. }
        | Place::Exchange { .. }
        | Place::UpstreamSet { .. }
        | Place::User { .. }
        | Place::Network { .. }
        | Place::Volume { .. }
        | Place::Container { .. }
        | Place::Project { .. } => None,
    });
    metrics.gauge("link_over_limit", "Links that exceed --max-backlog or --max-lag.", over)
}

fn labels(link: &LinkRef) -> Labels<'_> {
    vec![
        ("upstream", link.upstream.as_str()),
        ("downstream", link.downstream.as_str()),
        ("type", link.resource.kind()),
        ("name", link.resource.name()),
    ]
}

fn brokers(metrics: &mut Metrics, regions: &[RegionStatus]) -> fmt::Result {
    let of = |value: fn(&RegionStatus) -> Option<u64>| {
        regions
            .iter()
            .filter_map(move |region| Some((vec![("region", region.name.as_str())], value(region)?)))
    };
    metrics.gauge(
        "broker_up",
        "Whether the broker answers.",
        of(|region| Some(u64::from(region.broker.state == BrokerState::Running))),
    )?;
    let alarms = regions.iter().flat_map(|region| {
        let found = region.broker.alarms.iter().flat_map(move |alarms| {
            let others = alarms.iter().map(String::as_str).filter(|alarm| !ALARMS.contains(alarm));
            let in_effect = |alarm: &str| alarms.iter().any(|found| found == alarm);
            ALARMS.into_iter().chain(others).map(move |alarm| (alarm, u64::from(in_effect(alarm))))
        });
        found.map(|(alarm, value)| (vec![("region", region.name.as_str()), ("alarm", alarm)], value))
    });
    metrics.gauge("broker_alarm", "Whether the broker has the alarm and blocks publishers.", alarms)?;
    metrics.gauge("broker_memory_bytes", "Memory in use.", of(|region| region.broker.memory_bytes))?;
    metrics.gauge(
        "broker_memory_limit_bytes",
        "The limit of the broker's container.",
        of(|region| region.broker.memory_limit_bytes),
    )?;
    metrics.gauge(
        "broker_uptime_seconds",
        "How long the broker has been running.",
        of(|region| Some(region.broker.uptime_ms? / 1000)),
    )
}
