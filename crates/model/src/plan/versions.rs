//! Keys of upstreams that the version of a broker does not know.

use super::blocked;
use crate::{
    desired::{Broker, Desired},
    diagnostic::Diagnostic,
    names::BROKER,
    observed::{Definitions, Snapshot},
};

/// The keys that not every supported version knows, and the first one that does (RabbitMQ's release notes).
const INTRODUCED: [(&str, [u32; 3]); 1] = [("queue-type", [3, 13, 1])];

/// The brokers that would refuse an upstream for one of its keys. One whose version is not known yet may do so still.
pub(super) fn unknown_keys(desired: &Desired, observed: &Snapshot<Definitions>) -> Vec<Diagnostic> {
    let refused = desired.brokers.iter().filter_map(|broker| {
        let has = |key: &str| broker.upstreams.values().any(|upstream| upstream.settings.contains_key(key));
        let (key, since) = INTRODUCED.into_iter().find(|(key, _)| has(key))?;
        let older = |version: &&str| numbers(version).is_some_and(|version| version < since);
        let version = versions(desired, observed, broker).into_iter().find(older)?;
        Some(blocked::unknown_key(&broker.region, version, key, since))
    });
    refused.collect()
}

/// The version that a broker runs, and that of its image.
fn versions<'a>(desired: &'a Desired, observed: &'a Snapshot<Definitions>, broker: &Broker) -> Vec<&'a str> {
    let engine = &observed.engine;
    let mut containers = desired.containers.iter();
    let container = containers.find(|found| found.region == broker.region && found.service == BROKER);
    let image = container.and_then(|container| engine.images.get(&container.image));
    let of_image = image.and_then(|image| engine.rabbitmq_versions.get(image));
    let runs = observed.answer(&broker.region).and_then(|held| held.version.as_ref());
    [runs, of_image].into_iter().flatten().map(String::as_str).collect()
}

/// `3.13.0-rc.4` is 3, 13 and 0.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version.split(['.', '-', '+', '~']).map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some([next()?, next()?, next().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        let of = |version| numbers(version);
        assert!(of("3.10.8") < of("3.13.0") && of("3.13.0") < of("3.13.1") && of("3.13.7") < of("4.0.5"));
        assert_eq!((of("3.13.1-rc.1"), of("4.1"), of("latest")), (Some([3, 13, 1]), Some([4, 1, 0]), None));
    }
}
