//! Versions of RabbitMQ, and features that a next version needs or no longer has.

use super::{Check, Look};
use crate::{
    diagnostic::{Code, Diagnostic},
    plan::LAST_OF_THREE,
};

pub(super) const CHECK: Check = Check { codes: &[FAR_APART], check };
pub(super) const FEATURES: Check = Check { codes: &[FLAGS, DEPRECATED], check: features };

const FAR_APART: Code = Code::warning(
    "FED0841",
    "Regions run versions of RabbitMQ that are more than one release series apart. Federation works between any two, but \
     keys of upstreams, permissions and what a shutdown does differ, and a region can only be upgraded series by series. \
     Upgrade the oldest region first.",
);
const FLAGS: Code = Code::warning(
    "FED0842",
    "Stable feature flags of the broker are not enabled. The next release series requires them: a broker with its image \
     would not start on these data, and then it is too late to enable them. Enable them once every node runs this version: \
     `rabbitmqctl enable_feature_flag all`.",
);
const DEPRECATED: Code = Code::warning(
    "FED0843",
    "An application or the configuration uses features of RabbitMQ that are deprecated: a later version refuses them, and \
     applications that need them stop working on the day of the upgrade. RabbitMQ's guide \"Deprecated Features\" says for each \
     when, and what to use in its place.",
);

/// Used by every broker whose management API counts, fedctl's own source of depths and consumers.
const ACCEPTED: &str = "management_metrics_collection";

/// A version of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// `4.3.6`, or `4.3.0-rc.1`.
    pub fn of(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let patch = parts.next().unwrap_or_default();
        let digits = patch.find(|c: char| !c.is_ascii_digit()).map_or(patch, |end| &patch[..end]);
        Some(Self { major, minor, patch: digits.parse().unwrap_or_default() })
    }

    /// Where its release series stands among those of 3.x and 4.x; later ones are not known yet.
    fn series(self) -> Option<u32> {
        match self.major {
            3 => Some(self.minor),
            4 => Some(LAST_OF_THREE + 1 + self.minor),
            _ => None,
        }
    }
}

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    let known = || {
        look.regions
            .iter()
            .filter_map(|region| Some((Version::of(&region.health.version)?.series()?, region)))
    };
    let ends = known().min_by_key(|(series, _)| *series).zip(known().max_by_key(|(series, _)| *series));
    let Some(((oldest, old), (newest, new))) = ends else { return };
    if newest > oldest + 1 {
        let message = format!(
            "runs RabbitMQ {}, and `{}` runs {}: {} release series apart",
            old.health.version,
            new.name,
            new.health.version,
            newest - oldest
        );
        found.push(Diagnostic::new(FAR_APART, old.place(), message).help("upgrade this region first"));
    }
}

fn features(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in look.brokers() {
        let mut add = |code, message: String, help: &str| {
            found.push(Diagnostic::new(code, region.place(), message).help(help));
        };
        if let [first, rest @ ..] = &region.facts.disabled_flags[..] {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} others", rest.len()) };
            let message = format!("stable feature flag `{first}`{others} not enabled");
            add(FLAGS, message, "rabbitmqctl enable_feature_flag all");
        }
        let used = region.facts.deprecated.iter().filter(|name| *name != ACCEPTED);
        let used: Vec<String> = used.map(|name| format!("`{name}`")).collect();
        if !used.is_empty() {
            let message = format!("deprecated features are in use: {}", used.join(", "));
            add(DEPRECATED, message, "see RabbitMQ's guide \"Deprecated Features\" for what to use instead");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_ordered_by_number() {
        let of = |text| Version::of(text).unwrap();
        assert!(of("4.3.4") > of("4.3.4-rc.1") || of("4.3.4") == of("4.3.4-rc.1"));
        assert!(of("3.10.8") > of("3.9.29") && of("4.0.5") > of("3.13.7") && of("4.3.10") > of("4.3.4"));
        assert_eq!(of("4.0.5").series(), of("3.13.7").series().map(|series| series + 1));
        assert_eq!(Version::of("latest"), None);
    }
}
