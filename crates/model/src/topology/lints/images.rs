//! Images of brokers that may become another version, or that say too little.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[NO_VERSION, NO_MANAGEMENT], check };

const NO_VERSION: Code = Code::warning(
    "FED0218",
    "An image without a tag, or with the tag `latest`, is another RabbitMQ as soon as it is pulled again: regions that start \
     at different times run different versions, and a new release series may not start on the data of the old one. Name at \
     least the major version, such as `rabbitmq:4-management`.",
);
const NO_MANAGEMENT: Code = Code::warning(
    "FED0219",
    "RabbitMQ's official images without `-management` switch the collection of metrics off. Then the broker does not say how \
     much memory it uses or what consumes its queues, and fedctl cannot find a link that fetches nothing. Use the variant \
     of the same version with `-management`.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let image = topology.broker.image.as_str();
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    let (repository, tag) = last.split_once(':').map_or((last, None), |(name, tag)| (name, Some(tag)));
    let shown = quoted(image);
    if digest.is_none() && tag.is_none_or(|tag| tag == "latest") {
        let message = format!("{shown} is whatever version was pulled last");
        places.add(NO_VERSION, "broker/image", message, "name the version, such as `rabbitmq:4-management`");
    }
    if repository == "rabbitmq" && digest.is_none() && !tag.is_some_and(|tag| tag.contains("management")) {
        let message = format!("a broker of {shown} collects no metrics");
        let help = format!("`{repository}:{}-management`", tag.unwrap_or("4"));
        places.add(NO_MANAGEMENT, "broker/image", message, help);
    }
}
