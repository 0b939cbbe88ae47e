//! A status for Nagios, and for whatever speaks its protocol: one line with a verdict, the cause and performance data.

use fedctl_model::{
    counted::counted,
    diagnostic::Diagnostic,
    status::{BrokerState, Limits, LinkStatus, RegionStatus, ServiceStatus, Status, Verdict},
};

use super::status::counts;

/// More causes than this are counted, and not named.
const NAMED_CAUSES: usize = 2;
/// A value that is not known.
const UNDETERMINED: &str = "U";

/// The line. The limits are shown with the values that they limit.
#[must_use]
pub fn render(status: &Status, limits: Limits) -> String {
    let causes = causes(status);
    let more = causes.len().saturating_sub(NAMED_CAUSES);
    let more = (more > 0).then(|| format!("and {}", counted(more, "more problem")));
    let parts = [counts(status)].into_iter().chain(causes.into_iter().take(NAMED_CAUSES)).chain(more);
    let text = parts.collect::<Vec<_>>().join("; ");
    format!("{} | {}\n", head(status.verdict(), &text), performance(status, limits).join(" "))
}

/// The line where nothing could be looked at.
#[must_use]
pub fn unknown(error: &str) -> String {
    format!("{}\n", head(Verdict::Unknown, error))
}

/// The vertical bar is what performance data begin with, and a second line is not shown by every monitor.
fn head(verdict: Verdict, text: &str) -> String {
    let text = text.replace('|', "/").lines().collect::<Vec<_>>().join(" ");
    format!("FEDCTL {} - {text}", verdict.as_str())
}

/// What is wrong: brokers, services, links over a limit, and links that do not run though the brokers do.
fn causes(status: &Status) -> Vec<String> {
    let brokers = status.brokers_in_trouble();
    let links = status.links.iter().filter(|_| brokers.is_empty()).filter_map(LinkStatus::diagnostic);
    let links: Vec<_> = links.collect();
    let described = |found: &Diagnostic| format!("{found} ({})", found.code);
    let services = status.regions.iter().flat_map(|region| {
        let failing = region.services.iter().filter(|service| !service.is_healthy());
        failing.map(|service| format!("service `{}` in `{}`: {}", service.name, region.name, why(service)))
    });
    let causes = brokers.iter().map(described).chain(services);
    causes.chain(status.over_limits().map(described)).chain(links.iter().map(described)).collect()
}

fn why(service: &ServiceStatus) -> &str {
    match (&service.container, &service.error, service.running) {
        (None, ..) => "missing",
        (Some(_), _, false) => "stopped",
        (Some(_), Some(error), true) => error,
        (Some(_), None, true) => "running",
    }
}

/// `label=value;warning;critical;minimum;maximum`, each.
fn performance(status: &Status, limits: Limits) -> Vec<String> {
    let counts = status.count_links();
    let expected = shown(counts.map(|counts| counts.expected), "");
    let of_links = |label: &str, count: Option<usize>| format!("{label}={};;;0;{expected}", shown(count, ""));
    let answers = |region: &&RegionStatus| region.broker.state == BrokerState::Running;
    let brokers = status.regions.iter().filter(answers).count();
    let services = || status.regions.iter().flat_map(|region| &region.services);
    let ready = services().filter(|service| service.is_healthy()).count();
    let limit = |limit: Option<u64>| limit.map_or_else(String::new, |limit| limit.to_string());
    let backlog = status.links.iter().filter_map(|link| link.waiting).max();
    let lag = status.links.iter().filter_map(|link| link.lag_seconds).max();
    vec![
        of_links("links_running", counts.map(|counts| counts.running)),
        of_links("links_unknown", counts.map(|counts| counts.unknown)),
        format!("brokers_up={brokers};;;0;{}", status.regions.len()),
        format!("services_ready={ready};;;0;{}", services().count()),
        format!("backlog_max={};;{};0", shown(backlog, ""), limit(limits.backlog)),
        format!("lag_max={};;{};0", shown(lag, "s"), limit(limits.lag)),
    ]
}

fn shown<N: ToString>(value: Option<N>, unit: &str) -> String {
    value.map_or_else(|| UNDETERMINED.into(), |value| value.to_string() + unit)
}
