//! A status for people.

use std::{collections::BTreeMap, fmt::Write};

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::{
    counted::counted,
    diagnostic::Code,
    observed::Resource,
    status::{Activity, BrokerState, BrokerStatus, LinkRef, LinkState, LinkStatus, RegionStatus, Status},
    topology::RegionName,
};

/// More services than this are counted, and not named.
const SHOWN_SERVICES: usize = 4;
/// Above this many regions their links are shown as a matrix.
const MATRIX_FROM: usize = 4;
/// More links than this with one cause are counted, and not named.
const NAMED_LINKS: usize = 3;

/// Regions and links; with `wide` every link has a line, without it those that run are counted.
#[must_use]
pub fn render(status: &Status, wide: bool) -> String {
    let mut text = regions(status, wide);
    text += &region_problems(status);
    text.push('\n');
    text += &match (wide, status.regions.len() > MATRIX_FROM) {
        (true, _) => every_link(status),
        (false, false) => pairs(status),
        (false, true) => matrix(status),
    };
    if !wide {
        text += &link_problems(status);
    }
    text += &warnings(status);
    writeln!(text, "\n{}", counts(status)).ok();
    text
}

/// Only what is wrong.
#[must_use]
pub fn problems(status: &Status) -> String {
    let mut text = region_problems(status) + &link_problems(status) + &warnings(status);
    if text.is_empty() {
        text.push_str("no problems\n");
    }
    writeln!(text, "\n{}", counts(status)).ok();
    text
}

/// How many links run: of those that are required, whoever answers.
fn counts(status: &Status) -> String {
    let of = |wanted: fn(LinkState) -> bool| status.links.iter().filter(|link| wanted(link.state())).count();
    let required = of(|state| state != LinkState::Unexpected);
    let unknown = of(|state| state == LinkState::Unknown);
    let unexpected = of(|state| state == LinkState::Unexpected);
    if required + unexpected == 0 {
        let answers = status.regions.iter().any(|region| region.broker.state == BrokerState::Running);
        let unknown = "no links are known: no region answers, and no `fedctl up` has finished here";
        return if answers { running(0, status.regions.len()) } else { unknown.into() };
    }
    let mut text =
        format!("{} of {} running", of(|state| state == LinkState::Running), counted(required, "link"));
    if unknown > 0 {
        write!(text, ", {unknown} unknown").ok();
    }
    if unexpected > 0 {
        write!(text, ", {unexpected} unexpected").ok();
    }
    text
}

/// That so many links run between so many regions, and all of them.
#[must_use]
pub fn running(links: usize, regions: usize) -> String {
    match (links, regions) {
        (0, 0 | 1) => "no links: they need two regions".into(),
        (0, _) => {
            "no links: nothing is federated yet, since no exchange or queue matches a policy's pattern".into()
        }
        _ => format!("{} running", counted(links, "link")),
    }
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
    format!("{}\n", table.build().with(Style::blank()))
}

fn region_problems(status: &Status) -> String {
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

fn broker_state(state: BrokerState) -> String {
    match state {
        BrokerState::Running => "✓ running".green().to_string(),
        BrokerState::Unreachable => "✗ unreachable".red().to_string(),
        BrokerState::Stopped => "✗ stopped".red().to_string(),
        BrokerState::Paused => "✗ paused".red().to_string(),
        BrokerState::Missing => "? missing".red().to_string(),
    }
}

fn memory(used: Option<u64>, limit: u64) -> String {
    used.map_or_else(|| "-".into(), |used| format!("{} of {} MiB", used >> 20, limit >> 20))
}

/// Where the broker does not say, nothing is known of them.
fn alarms(broker: &BrokerStatus) -> String {
    match broker.alarms.as_deref() {
        None => "-".into(),
        Some([]) => "none".into(),
        Some(alarms) => alarms.join(", ").red().to_string(),
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

/// A line for each pair of regions.
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
    format!("{}\n", table.build().with(Style::blank()))
}

/// A row for each upstream and a column for each downstream: links that run of those that are required.
fn matrix(status: &Status) -> String {
    let mut table = Builder::new();
    let names = || status.regions.iter().map(|region| region.name.to_string());
    table.push_record(["UPSTREAM \\ DOWNSTREAM".to_owned()].into_iter().chain(names()));
    for upstream in &status.regions {
        let cells = status.regions.iter().map(|downstream| {
            let required = status.links.iter().filter(|found| {
                found.link.upstream == upstream.name
                    && found.link.downstream == downstream.name
                    && found.state() != LinkState::Unexpected
            });
            let running = required.clone().filter(|link| link.is_running()).count();
            match (required.clone().count(), required.map(LinkStatus::state).max()) {
                (_, None) => "·".to_owned(),
                (all, Some(worst)) => format!("{} {running}/{all}", mark(worst)),
            }
        });
        table.push_record([upstream.name.to_string()].into_iter().chain(cells));
    }
    format!("{}\n", table.build().with(Style::blank()))
}

/// The links that do not run, those of one cause in one line.
fn link_problems(status: &Status) -> String {
    let mut causes: Vec<(String, Vec<&LinkStatus>)> = Vec::new();
    for found in status.links.iter().filter(|link| !link.is_running()) {
        let code = found.diagnostic().map(|found| found.code);
        let cause = format!("{}  {}", state(found.state()), explained(&found.condition.to_string(), code));
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, links)) => links.push(found),
            None => causes.push((cause, vec![found])),
        }
    }
    let mut text = String::new();
    for (cause, links) in causes {
        writeln!(text, "{cause}\n    {}", subject(&links)).ok();
    }
    text
}

/// Which links: each by its name while they are few, otherwise how many between which regions.
fn subject(links: &[&LinkStatus]) -> String {
    if links.len() <= NAMED_LINKS {
        let names = links.iter().map(|found| {
            let LinkRef { upstream, downstream, resource } = &found.link;
            format!("{upstream} → {downstream}  {} {}", kind(resource), resource.name())
        });
        return names.collect::<Vec<_>>().join("\n    ");
    }
    let mut pairs: BTreeMap<(&RegionName, &RegionName), usize> = BTreeMap::new();
    for found in links {
        *pairs.entry((&found.link.upstream, &found.link.downstream)).or_default() += 1;
    }
    let pairs =
        pairs.iter().map(|((upstream, downstream), count)| format!("{upstream} → {downstream} ({count})"));
    format!("{}: {}", counted(links.len(), "link"), pairs.collect::<Vec<_>>().join(", "))
}

fn warnings(status: &Status) -> String {
    status.warnings.iter().fold(String::new(), |text, warning| {
        let help = warning.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
        format!("{text}{} {warning}{help} ({})\n", "!".yellow(), warning.code)
    })
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
            found.activity.map_or_else(|| state(found.state()), activity),
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
    let word = match state {
        LinkState::Running => "running",
        LinkState::Starting => "starting",
        LinkState::Unknown => "unknown",
        LinkState::Down => "down",
        LinkState::Missing => "missing",
        LinkState::Unexpected => "unexpected",
    };
    paint(state, &format!("{} {word}", mark_of(state)))
}

fn mark(state: LinkState) -> String {
    paint(state, mark_of(state))
}

fn mark_of(state: LinkState) -> &'static str {
    match state {
        LinkState::Running => "✓",
        LinkState::Starting => "…",
        LinkState::Down => "✗",
        LinkState::Unknown | LinkState::Missing => "?",
        LinkState::Unexpected => "!",
    }
}

fn paint(state: LinkState, text: &str) -> String {
    match state {
        LinkState::Running => text.green().to_string(),
        LinkState::Starting | LinkState::Unknown | LinkState::Unexpected => text.yellow().to_string(),
        LinkState::Down | LinkState::Missing => text.red().to_string(),
    }
}

/// What a link that runs is doing.
fn activity(activity: Activity) -> String {
    match activity {
        Activity::Idle => "✓ idle".green().to_string(),
        Activity::Moving => "✓ moving".green().to_string(),
        Activity::Paused => "✓ paused".green().to_string(),
        Activity::Blocked => "! blocked".yellow().to_string(),
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
