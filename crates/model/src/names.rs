//! Every name and label that fedctl gives to anything.

use crate::topology::RegionName;

/// The label that carries the project's name; every object that fedctl creates has it.
pub const PROJECT_LABEL: &str = "io.fedctl.project";
/// The label that carries the region's name.
pub const REGION_LABEL: &str = "io.fedctl.region";
/// The label that carries the service's name; a broker's is [`BROKER`].
pub const SERVICE_LABEL: &str = "io.fedctl.service";
/// The label that carries the name of one of a service's replicas; a broker's is [`BROKER`].
pub const INSTANCE_LABEL: &str = "io.fedctl.instance";
/// The label that carries the fingerprint of a container's configuration.
pub const CONFIG_LABEL: &str = "io.fedctl.config";
/// The label, on the volume that marks a project's owner, of the topology file that the project belongs to.
pub const TOPOLOGY_LABEL: &str = "io.fedctl.topology";
/// The label of images that fedctl built: `service` or `broker`.
pub const IMAGE_LABEL: &str = "io.fedctl.image";
/// The service name of a region's broker.
pub const BROKER: &str = "broker";
/// The user that a region's services connect as.
pub const APPLICATION: &str = "services";
/// The repository of the image that fedctl builds for the built-in services.
pub const SERVICE_IMAGE: &str = "fedctl-service";
/// The entry of a region's passwords that holds its Erlang cookie.
pub const COOKIE: &str = "erlang-cookie";

/// The user that a downstream's links connect as, on every upstream.
#[must_use]
pub fn link_user(downstream: &RegionName) -> String {
    format!("link-{downstream}")
}

/// The user that a broker shows for its connections to itself, such as those of links between its virtual hosts.
pub const ITSELF: &str = "none";

/// Whether it is a user of links.
#[must_use]
pub fn is_link_user(user: &str) -> bool {
    user.starts_with("link-") || user == ITSELF
}

/// The network between the regions.
#[must_use]
pub fn wan(project: &str) -> String {
    format!("{project}_wan")
}

/// A region's own network.
#[must_use]
pub fn lan(project: &str, region: &RegionName) -> String {
    format!("{project}_{region}_lan")
}

/// The container of a service's instance, or of the broker, in a region.
#[must_use]
pub fn container(project: &str, region: &RegionName, instance: &str) -> String {
    format!("{project}_{region}_{instance}")
}

/// The global parameter in which a broker records what a project owns on it.
#[must_use]
pub fn ownership_parameter(project: &str) -> String {
    format!("fedctl.{project}")
}

/// The project that recorded something in this global parameter; none if it is another parameter.
#[must_use]
pub fn recorded_project(parameter: &str) -> Option<&str> {
    // on brokers that fedctl did not start the region's name follows
    parameter.strip_prefix("fedctl.")?.split('.').next()
}

/// The volume that a region's services share: their store and their AMQP URI.
#[must_use]
pub fn services_volume(project: &str, region: &RegionName) -> String {
    format!("{project}_{region}_services")
}

/// The empty volume whose label says which topology file the project belongs to.
#[must_use]
pub fn owner_volume(project: &str) -> String {
    format!("{project}_owner")
}
