//! `${instances:SERVICE}` in the values of `environment:`.

use super::{Service, Topology};

const OPEN: &str = "${instances:";
const CLOSE: char = '}';

/// The value in parts: text, and the service whose instances follow it, if any.
fn parts(value: &str) -> Vec<(&str, Option<&str>)> {
    let (mut parts, mut rest) = (Vec::new(), value);
    while let Some((text, after)) = rest.split_once(OPEN) {
        let (service, tail) = after.split_once(CLOSE).unwrap_or((after, ""));
        parts.push((text, Some(service)));
        rest = tail;
    }
    parts.push((rest, None));
    parts
}

/// The value that stands for the instances of a service.
pub(super) fn of(service: &str) -> String {
    format!("{OPEN}{service}{CLOSE}")
}

/// The services whose instances a value asks for.
pub(super) fn services(value: &str) -> impl Iterator<Item = &str> {
    parts(value).into_iter().filter_map(|(_, service)| service)
}

impl Topology {
    /// The value with every `${instances:SERVICE}` replaced by that service's instances in all regions, as
    /// `region/instance`, comma separated: a sender to all of them must know how many answers to expect.
    #[must_use]
    pub fn expand(&self, value: &str) -> String {
        let expanded = parts(value).into_iter().map(|(text, service)| {
            format!(
                "{text}{}",
                service.map(|service| self.instances_of(service).join(",")).unwrap_or_default()
            )
        });
        expanded.collect()
    }

    fn instances_of(&self, name: &str) -> Vec<String> {
        let instances = self.regions.iter().flat_map(|region| {
            let services = region.services.iter().filter(|service| service.name == name);
            services.flat_map(Service::instances).map(|instance| format!("{}/{instance}", region.name))
        });
        instances.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_in_parts() {
        assert_eq!(parts("${other} $"), [("${other} $", None)]);
        assert_eq!(
            parts("a ${instances:b}${instances:c} d"),
            [("a ", Some("b")), ("", Some("c")), (" d", None)]
        );
        assert_eq!(services("${instances:unclosed").collect::<Vec<_>>(), ["unclosed"]);
    }
}
