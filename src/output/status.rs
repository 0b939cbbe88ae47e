//! A status for people.

use std::{collections::BTreeMap, fmt::Write};

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::{
    diagnostic::Code,
    observed::Resource,
    status::{BrokerState, BrokerStatus, LinkRef, LinkState, LinkStatus, RegionStatus, Status},
    topology::RegionName,
};

/// More services than this are counted, and not named.
const SHOWN_SERVICES: usize = 4;

/// Regions and links; with `wide` every link has a line, without it those that run are counted.
#[must_use]
pub fn render(status: &Status, wide: bool) -> String {
    let mut text = regions(status, wide);
    text.push('\n');
    text += &if wide { every_link(status) } else { pairs(status) };
    let not_running = status.links.iter().filter(|link| !link.is_running()).count();
    writeln!(text, "\n{} of {} links running", status.links.len() - not_running, status.links.len()).ok();
    text
}

fn regions(status: &Status, wide: bool) -> String {
    let mut table = Builder::new();
    table.push_record([
        "REGION",
        "BROKER",
        "VERSION",
        "UP",
        "MEMORY",
        "ALARMS",
        "AMQP",
        "MANAGEMENT",
        "SERVICES",
    ]);
    for region in &status.regions {
        let broker = &region.broker;
        let address = |address: &Option<String>| address.clone().unwrap_or_else(|| "-".into());
        table.push_record([
            region.name.to_string(),
            broker_state(broker.state),
            broker.version.clone().unwrap_or_else(|| "-".into()),
            broker.uptime_ms.map_or_else(|| "-".into(), |uptime| age(uptime / 1000)),
            memory(broker.memory_bytes, broker.memory_limit_bytes),
            alarms(broker),
            address(&broker.amqp),
            address(&broker.management),
            services(region, wide),
        ]);
    }
    let mut text = format!("{}\n", table.build().with(Style::blank()));
    for region in &status.regions {
        if let Some(error) = &region.broker.error {
            writeln!(text, "{} {}: {}", "✗".red(), region.name, explained(error, region.broker.code)).ok();
        }
        for service in &region.services {
            if let Some(error) = &service.error {
                writeln!(text, "{} {}, {}: {error}", "…".yellow(), region.name, service.name).ok();
            }
        }
    }
    text
}

fn broker_state(state: BrokerState) -> String {
    match state {
        BrokerState::Running => "✓ running".green().to_string(),
        BrokerState::Unreachable => "✗ unreachable".red().to_string(),
        BrokerState::Stopped => "✗ stopped".red().to_string(),
        BrokerState::Missing => "? missing".red().to_string(),
    }
}

fn memory(used: Option<u64>, limit: u64) -> String {
    used.map_or_else(|| "-".into(), |used| format!("{} of {} MiB", used >> 20, limit >> 20))
}

/// Only a broker that answers is known to have none.
fn alarms(broker: &BrokerStatus) -> String {
    match broker.state {
        BrokerState::Running if broker.alarms.is_empty() => "none".into(),
        BrokerState::Running => broker.alarms.join(", ").red().to_string(),
        BrokerState::Unreachable | BrokerState::Stopped | BrokerState::Missing => "-".into(),
    }
}

fn waiting(messages: Option<u64>) -> String {
    messages.map_or_else(|| "-".into(), |messages| messages.to_string())
}

/// Each service with its port, or only how many run where they are many; what does not run is named.
fn services(region: &RegionStatus, wide: bool) -> String {
    let service = |service: &fedctl_model::status::ServiceStatus| {
        let ports = service.ports.values().fold(String::new(), |ports, port| format!("{ports}:{port}"));
        match (&service.container, service.running) {
            (_, true) if service.error.is_some() => {
                format!("… {}{ports} not ready", service.name).yellow().to_string()
            }
            (_, true) => format!("{}{ports}", service.name),
            (Some(_), false) => format!("✗ {} stopped", service.name).red().to_string(),
            (None, _) => format!("? {} missing", service.name).red().to_string(),
        }
    };
    let ready = region.services.iter().filter(|service| service.is_healthy()).count();
    if wide || region.services.len() <= SHOWN_SERVICES {
        return region.services.iter().map(service).collect::<Vec<_>>().join(" ");
    }
    let others = region.services.iter().filter(|found| !found.is_healthy()).map(service);
    let counted = format!("{ready} of {} ready", region.services.len());
    [counted].into_iter().chain(others).collect::<Vec<_>>().join(" ")
}

/// A line for each pair of regions, then one for each link that does not run.
fn pairs(status: &Status) -> String {
    let mut pairs: BTreeMap<(&RegionName, &RegionName), Vec<&LinkStatus>> = BTreeMap::new();
    for link in &status.links {
        pairs.entry((&link.link.upstream, &link.link.downstream)).or_default().push(link);
    }
    let mut table = Builder::new();
    table.push_record(["UPSTREAM", "DOWNSTREAM", "STATE", "EXCHANGES", "QUEUES", "WAITING"]);
    for ((upstream, downstream), links) in &pairs {
        let count = |exchanges: bool| {
            let of_kind =
                links.iter().filter(|link| matches!(link.link.resource, Resource::Exchange(_)) == exchanges);
            let running = of_kind.clone().filter(|link| link.is_running()).count();
            format!("{running}/{}", of_kind.count())
        };
        let worst = links.iter().map(|link| link.state()).max().unwrap_or(LinkState::Running);
        let messages = links.iter().filter_map(|link| link.waiting).reduce(|sum, more| sum + more);
        let record = [
            upstream.to_string(),
            downstream.to_string(),
            state(worst),
            count(true),
            count(false),
            waiting(messages),
        ];
        table.push_record(record);
    }
    let mut text = format!("{}\n", table.build().with(Style::blank()));
    for found in status.links.iter().filter(|link| !link.is_running()) {
        let LinkRef { upstream, downstream, resource } = &found.link;
        let (state, kind, name) = (state(found.state()), kind(resource), resource.name());
        let reason = explained(&found.condition.to_string(), found.diagnostic().map(|found| found.code));
        writeln!(text, "{state}  {upstream} → {downstream}  {kind} {name}: {reason}").ok();
    }
    text
}

fn every_link(status: &Status) -> String {
    let mut table = Builder::new();
    table.push_record(["UPSTREAM", "DOWNSTREAM", "TYPE", "NAME", "STATE", "SINCE", "WAITING", "ERROR"]);
    for found in &status.links {
        let LinkRef { upstream, downstream, resource } = &found.link;
        let error = found.diagnostic().map(|found| explained(&found.message, Some(found.code)));
        table.push_record([
            upstream.to_string(),
            downstream.to_string(),
            kind(resource).to_owned(),
            resource.name().to_owned(),
            state(found.state()),
            found.age_seconds.map_or_else(|| "-".into(), age),
            waiting(found.waiting),
            error.unwrap_or_default(),
        ]);
    }
    format!("{}\n", table.build().with(Style::blank()))
}

fn kind(resource: &Resource) -> &'static str {
    match resource {
        Resource::Exchange(_) => "exchange",
        Resource::Queue(_) => "queue",
    }
}

fn state(state: LinkState) -> String {
    match state {
        LinkState::Running => "✓ running".green().to_string(),
        LinkState::Starting => "… starting".yellow().to_string(),
        LinkState::Down => "✗ down".red().to_string(),
        LinkState::Missing => "? missing".red().to_string(),
        LinkState::Unexpected => "! unexpected".yellow().to_string(),
    }
}

/// An error with the code by which `fedctl explain` explains it.
fn explained(error: &str, code: Option<Code>) -> String {
    code.map_or_else(|| error.to_owned(), |code| format!("{error} ({code})"))
}

/// Seconds as people say them: `42s`, `7m`, `3h`, `12d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
