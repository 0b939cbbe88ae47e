//! Which versions of RabbitMQ may follow each other on the same data.

use super::blocked;
use crate::{
    desired::{Container, Desired},
    diagnostic::Diagnostic,
    names::BROKER,
    observed::{Definitions, EngineState, Snapshot},
};

/// The release series of 3.x, each of which starts only on the data of the one before it, and the last of which is the
/// only one that 4.x starts on (RabbitMQ's documentation, "Upgrading RabbitMQ").
pub(crate) const LAST_OF_THREE: u32 = 13;

/// The brokers whose new image cannot start on the data that they have.
pub(super) fn refused(desired: &Desired, observed: &Snapshot<Definitions>) -> Vec<Diagnostic> {
    let brokers = desired.containers.iter().filter(|container| container.service == BROKER);
    let refused = brokers.filter_map(|wanted| {
        let (old, new) = versions(wanted, &observed.engine)?;
        let way = way(series(old)?, series(new)?)?;
        Some(blocked::upgrade(&wanted.region, old, new, &way))
    });
    refused.collect()
}

/// Whether a broker's image is of another release series than the one that it runs, or may be. Only a new series
/// requires feature flags that the old one had not enabled.
pub(super) fn is_of_another_series(wanted: &Container, engine: &EngineState) -> bool {
    versions(wanted, engine).is_none_or(|(old, new)| series(old) != series(new))
}

/// RabbitMQ's version that a broker's container runs, and that of the image that it is to have.
fn versions<'a>(wanted: &Container, engine: &'a EngineState) -> Option<(&'a str, &'a str)> {
    let found = engine.container(&wanted.name)?;
    let old = engine.rabbitmq_versions.get(&found.image_id)?;
    let new = engine.rabbitmq_versions.get(engine.images.get(&wanted.image)?)?;
    Some((old, new))
}

/// `3.10.8` is of the series 3.10.
fn series(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// What to do instead of going from one series to the other at once, if that is not supported.
fn way(old: (u32, u32), new: (u32, u32)) -> Option<String> {
    if new < old {
        return Some(
            "an older version does not start on the data of a newer one: keep the newer image".into(),
        );
    }
    let (major, minor) = old;
    let through: Vec<String> = match (major, new) {
        (3, (3, to)) => (minor + 1..to).map(|minor| format!("3.{minor}")).collect(),
        (3, _) => (minor + 1..=LAST_OF_THREE).map(|minor| format!("3.{minor}")).collect(),
        _ => Vec::new(),
    };
    (!through.is_empty()).then(|| {
        format!(
            "go by way of {}, and enable all feature flags on each: rabbitmqctl enable_feature_flag all",
            through.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_skips_no_series_of_three_and_never_goes_back() {
        let check = |old: &str, new: &str| way(series(old).unwrap(), series(new).unwrap());
        for (old, new) in
            [("3.10.8", "3.10.25"), ("3.10.8", "3.11.0"), ("3.13.7", "4.0.5"), ("4.0.5", "4.3.6")]
        {
            assert_eq!(check(old, new), None, "{old} to {new}");
        }
        let by_way = check("3.10.8", "4.0.5").unwrap();
        assert!(by_way.contains("3.11, 3.12, 3.13, and"), "{by_way}");
        assert!(check("3.10.8", "3.12.0").unwrap().contains("by way of 3.11, and"));
        assert!(check("4.0.5", "3.10.8").unwrap().contains("an older version"));
        assert_eq!(series("latest"), None);
    }
}
