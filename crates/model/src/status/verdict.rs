//! What a status amounts to for a monitor.

use super::{BrokerState, BrokerStatus, LinkState, LinkStatus, ServiceStatus, Status};
use crate::{observed::Plugin, site::UNREACHABLE};

/// What a status amounts to, as Nagios and what speaks its protocol count it; the worst is the greatest. What is unknown
/// may be critical, so it is worse than a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything is as it should be.
    Ok,
    /// Something is not as it should be, and keeps no message from its destination for long.
    Warning,
    /// Something cannot be asked.
    Unknown,
    /// Something does not work, or a limit is exceeded.
    Critical,
}

impl Verdict {
    /// As Nagios spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::Warning => "WARNING",
            Verdict::Critical => "CRITICAL",
            Verdict::Unknown => "UNKNOWN",
        }
    }

    /// The exit code by which Nagios knows it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Verdict::Ok => 0,
            Verdict::Warning => 1,
            Verdict::Critical => 2,
            Verdict::Unknown => 3,
        }
    }
}

impl Status {
    /// What it amounts to: [`Verdict::Ok`] where it is healthy, and nowhere else.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let brokers = self.regions.iter().map(|region| of_broker(&region.broker));
        let services = self.regions.iter().flat_map(|region| &region.services).map(of_service);
        let limits = self.over_limits().map(|_| Verdict::Critical);
        let links = self.links.iter().map(LinkStatus::state).map(of_link);
        brokers.chain(services).chain(limits).chain(links).max().unwrap_or(Verdict::Ok)
    }
}

fn of_broker(broker: &BrokerStatus) -> Verdict {
    match broker.state {
        BrokerState::Stopped | BrokerState::Paused | BrokerState::Missing => Verdict::Critical,
        BrokerState::Unreachable if broker.code == Some(UNREACHABLE) => Verdict::Critical,
        // it may well work
        BrokerState::Unreachable => Verdict::Unknown,
        BrokerState::Running if broker.alarms.as_ref().is_some_and(|alarms| !alarms.is_empty()) => {
            Verdict::Critical
        }
        BrokerState::Running => match broker.missing_plugin.as_deref() {
            None => Verdict::Ok,
            Some(plugin) if plugin == Plugin::Federation.name() => Verdict::Critical,
            Some(_) => Verdict::Unknown,
        },
    }
}

fn of_service(service: &ServiceStatus) -> Verdict {
    match (service.running, &service.error) {
        (true, None) => Verdict::Ok,
        (true, Some(_)) => Verdict::Warning,
        (false, _) => Verdict::Critical,
    }
}

fn of_link(state: LinkState) -> Verdict {
    match state {
        LinkState::Running | LinkState::Paused => Verdict::Ok,
        LinkState::Starting | LinkState::Unexpected => Verdict::Warning,
        LinkState::Unknown => Verdict::Unknown,
        LinkState::Down | LinkState::Missing => Verdict::Critical,
    }
}
