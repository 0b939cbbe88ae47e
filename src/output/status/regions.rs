//! The regions of a status, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::status::{BrokerState, BrokerStatus, RegionStatus, ServiceStatus, Status};

use super::{age, explained};

/// More services than this are counted, and not named.
const SHOWN_SERVICES: usize = 4;

pub(super) fn regions(status: &Status, wide: bool) -> String {
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
    format!("{}\n", table.build().with(Style::blank()))
}

pub(super) fn region_problems(status: &Status) -> String {
    let mut text = String::new();
    for region in &status.regions {
        if let Some(error) = &region.broker.error {
            writeln!(text, "{} {}: {}", "✗".red(), region.name, explained(error, region.broker.code)).ok();
        }
        if let Some(alarms) = region.broker.alarms.as_ref().filter(|alarms| !alarms.is_empty()) {
            let alarms = alarms.join(" and ");
            writeln!(
                text,
                "{} {}: {alarms} alarm: it takes no messages from publishers",
                "✗".red(),
                region.name
            )
            .ok();
        }
        for service in &region.services {
            if let Some(error) = &service.error {
                writeln!(text, "{} {}, {}: {error}", "…".yellow(), region.name, service.name).ok();
            }
        }
    }
    text
}

pub(super) fn broker_state(state: BrokerState) -> String {
    match state {
        BrokerState::Running => "✓ running".green().to_string(),
        BrokerState::Unreachable => "✗ unreachable".red().to_string(),
        BrokerState::Stopped => "✗ stopped".red().to_string(),
        BrokerState::Paused => "✗ paused".red().to_string(),
        BrokerState::Missing => "? missing".red().to_string(),
    }
}

fn memory(used: Option<u64>, limit: Option<u64>) -> String {
    match (used.map(|bytes| bytes >> 20), limit.map(|bytes| bytes >> 20)) {
        (Some(used), Some(limit)) => format!("{used} of {limit} MiB"),
        (Some(used), None) => format!("{used} MiB"),
        (None, _) => "-".into(),
    }
}

/// Where the broker does not say, nothing is known of them.
fn alarms(broker: &BrokerStatus) -> String {
    match broker.alarms.as_deref() {
        None => "-".into(),
        Some([]) => "none".into(),
        Some(alarms) => alarms.join(", ").red().to_string(),
    }
}

/// Each service with its port, or only how many run where they are many; what does not run is named.
fn services(region: &RegionStatus, wide: bool) -> String {
    let ready = region.services.iter().filter(|service| service.is_healthy()).count();
    if wide || region.services.len() <= SHOWN_SERVICES {
        return region.services.iter().map(service_cell).collect::<Vec<_>>().join(" ");
    }
    let others = region.services.iter().filter(|found| !found.is_healthy()).map(service_cell);
    let counted = format!("{ready} of {} ready", region.services.len());
    [counted].into_iter().chain(others).collect::<Vec<_>>().join(" ")
}

/// A service with its ports, and what is wrong with it.
fn service_cell(service: &ServiceStatus) -> String {
    let name = &service.name;
    let ports = service.ports.values().fold(String::new(), |ports, port| format!("{ports}:{port}"));
    match (&service.container, service.running) {
        (_, true) if service.error.is_some() => format!("… {name}{ports} not ready").yellow().to_string(),
        (_, true) => format!("{name}{ports}"),
        (Some(_), false) => format!("✗ {name} stopped").red().to_string(),
        (None, _) => format!("? {name} missing").red().to_string(),
    }
}

/// The state of a service, as a word.
pub(super) fn service_state(service: &ServiceStatus) -> String {
    match (&service.container, service.running) {
        (_, true) if service.error.is_some() => "… not ready".yellow().to_string(),
        (_, true) => "✓ running".green().to_string(),
        (Some(_), false) => "✗ stopped".red().to_string(),
        (None, _) => "? missing".red().to_string(),
    }
}
