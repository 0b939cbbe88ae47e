//! The first file of a new project.

use std::fmt::Write;

use crate::{
    import::quoted,
    topology::{ExternalBroker, RegionName},
};

/// A topology of these regions, each in a container or on a broker that runs already, with what can be said in it as
/// comments.
#[must_use]
pub fn first(name: &str, regions: &[(RegionName, Option<ExternalBroker>)]) -> String {
    let mut text = "# yaml-language-server: $schema=regions.schema.json\n\
         #\n\
         #   fedctl check --offline                 what may be wrong in this file\n\
         #   fedctl plan                            what `up` would do\n\
         #   fedctl up                              does it, and waits until every link runs\n\
         #   fedctl schema > regions.schema.json    completion and checks in an editor\n\
         \n\
         # what is made is named after the project\n"
        .to_owned();
    let master = regions.first().map_or("", |(region, _)| region.as_str());
    let containers = regions.iter().any(|(_, broker)| broker.is_none());
    write!(
        text,
        "name: {}\n# the region that does the work only one region may do\nmaster: {master}\n",
        quoted(name)
    )
    .ok();
    if containers {
        text.push_str("# the broker that runs in every region\nbroker:\n  image: rabbitmq:4-management\n");
    }
    text.push_str("regions:\n");
    for (region, broker) in regions {
        writeln!(text, "  - name: {region}").ok();
        match broker {
            Some(broker) => elsewhere(&mut text, broker),
            None => text.push_str("    # services: [name: products]    # what runs beside the broker\n"),
        }
    }
    text.push_str(FEDERATION);
    text
}

fn elsewhere(text: &mut String, broker: &ExternalBroker) {
    let ExternalBroker { management, amqp, vhost, user, password, .. } = broker;
    let password = password.as_deref().unwrap_or_default();
    write!(
        text,
        "    broker:\n      \
           management: {}\n      \
           amqp: {}\n      \
           # advertise: amqps://10.1.0.7    # as other regions' brokers reach it, if that differs\n      \
           vhost: {}\n      \
           # cluster-name: NAME             # if it is not the region's: rabbitmqctl cluster_status shows it\n      \
           user: {}\n      \
           password: {}    # the environment variable, never the password\n",
        quoted(management),
        quoted(amqp),
        quoted(vhost),
        quoted(user),
        quoted(password)
    )
    .ok();
}

const FEDERATION: &str = r"federation:
  # which regions are linked: full-mesh, ring, line, hub-and-spoke (with `hub: REGION`) or pairs
  shape: full-mesh
  # upstream:
  #   prefetch-count: 1000    # messages in flight on a link
  #   expires: 1209600000     # milliseconds after which what waits for a region is given up; by default never
  policies:
    # exchanges: every region gets a copy of every message
    - name: events
      pattern: '\.events$'
      apply-to: exchanges
    # queues: a message is consumed once, in whichever region has a free consumer
    - name: fed
      pattern: '^fed\.'
      apply-to: queues
";
