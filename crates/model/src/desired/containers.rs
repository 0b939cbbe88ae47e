//! The containers of a topology.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    APPLICATION, Attachment, BROKER, CONFIG_LABEL, COOKIE, Container, File, Mount, Passwords,
    SERVICE_EXECUTABLE, SERVICE_LABEL, SERVICE_PORT, broker, container, labels, lan, password, wan,
};
use crate::{
    secret::Secret,
    site::{ADMINISTRATOR, AMQP_PORT, MANAGEMENT_PORT, amqp_uri},
    topology::{BUILT_IN_SERVICES, COMPUTE_HOST, Port, Region, RegionName, Service, Topology},
};

const BROKER_DATA: &str = "/var/lib/rabbitmq";
const SERVICE_DATA: &str = "/var/lib/fedctl";
/// The directory of [`SERVICE_DATA`] that fedctl's own services of a region share.
const STORE: &str = "store";
/// The file in a broker's volume with what it imports at every start.
pub const DEFINITIONS: &str = "fedctl/definitions.json";
/// The file in a broker's volume with its Erlang cookie, which it makes itself where there is none.
pub const COOKIE_FILE: &str = ".erlang.cookie";
/// The file, in a service's own directory of [`SERVICE_DATA`], that holds its AMQP URI.
const AMQP_URI: &str = "amqp-uri";
/// The user and group of fedctl's own services.
pub const SERVICE_ID: u64 = 10001;
/// How the names of the services begin that send commands to hosts, or are hosts.
const COMPUTE: &str = "compute";
const SERVICE_MEMORY: u64 = 64;
const OTHER_IMAGE_MEMORY: u64 = 256;

pub(super) fn containers(topology: &Topology, passwords: &Passwords, service_image: &str) -> Vec<Container> {
    let services = |region: &Region| -> Vec<Container> {
        region
            .services
            .iter()
            .flat_map(|service| {
                let instances = service.instances();
                instances.map(|instance| {
                    service_container(topology, region, (service, &instance), passwords, service_image)
                })
            })
            .collect()
    };
    topology
        .regions
        .iter()
        .flat_map(|region| {
            [broker_container(topology, region, passwords)].into_iter().chain(services(region))
        })
        .map(with_fingerprint)
        .collect()
}

/// The directory that fedctl's own services of a region share and write to.
#[must_use]
pub fn service_store() -> String {
    format!("{SERVICE_DATA}/{STORE}")
}

/// The volume that a region's services share: their store and their AMQP URI.
pub(super) fn services_volume(project: &str, region: &RegionName) -> String {
    format!("{project}_{region}_services")
}

fn broker_container(topology: &Topology, region: &Region, passwords: &Passwords) -> Container {
    let project = &topology.name;
    let environment = [
        ("RABBITMQ_NODENAME", format!("rabbit@{}", region.name)),
        ("RABBITMQ_CONFIG_FILE", format!("{BROKER_DATA}/fedctl/rabbitmq.conf")),
        (
            "RABBITMQ_ENABLED_PLUGINS",
            "rabbitmq_management,rabbitmq_federation,rabbitmq_federation_management".into(),
        ),
        ("RABBITMQ_LOGS", "-".into()),
        // on a read-only root file system the broker may write nowhere else
        ("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{BROKER_DATA}/enabled_plugins")),
        ("RABBITMQ_LOG_BASE", "/tmp".into()),
    ];
    let file = |path: &str, content: Secret| File { path: path.into(), content };
    Container {
        name: container(project, &region.name, BROKER),
        region: region.name.clone(),
        service: BROKER.into(),
        says_when_ready: false,
        image: topology.broker.image.clone(),
        hostname: region.name.to_string(),
        user: "rabbitmq".into(),
        command: vec!["rabbitmq-server".into()],
        environment: environment.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
        directories: vec!["fedctl".into()],
        files: vec![
            file("fedctl/rabbitmq.conf", Secret::new(broker_conf(topology, &region.name))),
            file(DEFINITIONS, broker::definitions(password(passwords, &region.name, ADMINISTRATOR))),
            file(COOKIE_FILE, password(passwords, &region.name, COOKIE).clone()),
        ],
        volume: Mount { volume: container(project, &region.name, BROKER), path: BROKER_DATA.into() },
        network: Attachment { network: lan(project, &region.name), alias: BROKER.into() },
        wan: Some(Attachment { network: wan(project), alias: region.name.to_string() }),
        ports: vec![
            Port { container: AMQP_PORT, host: region.ports.amqp },
            Port { container: MANAGEMENT_PORT, host: region.ports.management },
        ],
        memory: topology.broker.memory,
        open_files: Some(topology.broker.open_files),
        init: false,
        stop_timeout: 60,
        labels: service_labels(project, &region.name, BROKER),
    }
}

/// The broker's memory alarm is set from the container's limit: the broker would otherwise take the
/// host's memory for its own. Before RabbitMQ 4.0 the alarm comes at 40 % by default, which an idle broker
/// of three regions nearly reaches, and one with an alarm takes no messages.
fn broker_conf(topology: &Topology, region: &RegionName) -> String {
    format!(
        "cluster_name = {region}\n\
         load_definitions = {BROKER_DATA}/{DEFINITIONS}\n\
         listeners.tcp.default = {AMQP_PORT}\n\
         management.tcp.port = {MANAGEMENT_PORT}\n\
         total_memory_available_override_value = {}MB\n\
         vm_memory_high_watermark.relative = 0.6\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n",
        topology.broker.memory
    )
}

fn service_container(
    topology: &Topology,
    region: &Region,
    (service, instance): (&Service, &str),
    passwords: &Passwords,
    service_image: &str,
) -> Container {
    let project = &topology.name;
    let own = service.image.is_none();
    let uri = amqp_uri(APPLICATION, password(passwords, &region.name, APPLICATION), BROKER, "");
    let command = if own && service.command.is_empty() {
        [SERVICE_EXECUTABLE, "service", &service.name].map(str::to_owned).into()
    } else {
        service.command.clone()
    };
    Container {
        name: container(project, &region.name, instance),
        region: region.name.clone(),
        service: instance.to_owned(),
        says_when_ready: says_when_ready(service),
        image: service.image.clone().unwrap_or_else(|| service_image.to_owned()),
        hostname: instance.to_owned(),
        user: service.user.clone().unwrap_or_else(|| format!("{SERVICE_ID}:{SERVICE_ID}")),
        command,
        environment: service_environment(topology, region, (service, instance), &uri),
        directories: [Some(instance.to_owned()), own.then(|| STORE.into())].into_iter().flatten().collect(),
        files: vec![File { path: format!("{instance}/{AMQP_URI}"), content: uri }],
        volume: Mount { volume: services_volume(project, &region.name), path: SERVICE_DATA.into() },
        network: Attachment { network: lan(project, &region.name), alias: instance.to_owned() },
        wan: None,
        ports: ports(service),
        memory: service.memory.unwrap_or(if own { SERVICE_MEMORY } else { OTHER_IMAGE_MEMORY }),
        open_files: None,
        init: !own,
        stop_timeout: 15,
        labels: service_labels(project, &region.name, instance),
    }
}

/// The containers of services that say, at `/healthz`, when their consumers are attached. fedctl's own do, and so
/// does what stands in for one of them by name: it is in their contract.
pub fn services_that_say_when_ready(topology: &Topology) -> impl Iterator<Item = String> {
    topology.regions.iter().flat_map(|region| {
        let services = region.services.iter().filter(|service| says_when_ready(service));
        services
            .flat_map(Service::instances)
            .map(|instance| container(&topology.name, &region.name, &instance))
    })
}

fn says_when_ready(service: &Service) -> bool {
    BUILT_IN_SERVICES.contains(&service.name.as_str())
        && ports(service).iter().any(|port| port.container == SERVICE_PORT)
}

fn ports(service: &Service) -> Vec<Port> {
    if service.image.is_none() && service.ports.is_empty() {
        vec![Port { container: SERVICE_PORT, host: None }]
    } else {
        service.ports.clone()
    }
}

fn service_environment(
    topology: &Topology,
    region: &Region,
    (service, instance): (&Service, &str),
    uri: &Secret,
) -> BTreeMap<String, Secret> {
    let regions: Vec<&str> = topology.regions.iter().map(|region| region.name.as_str()).collect();
    let own = [
        ("REGION", region.name.to_string()),
        ("REGIONS", regions.join(",")),
        ("MASTER_REGION", topology.master.to_string()),
        ("AMQP_URI_FILE", format!("{SERVICE_DATA}/{instance}/{AMQP_URI}")),
        ("INSTANCE", instance.to_owned()),
        ("STORE", service_store()),
    ];
    let mut environment: BTreeMap<String, Secret> =
        service.environment.iter().map(|(key, value)| (key.clone(), Secret::new(value))).collect();
    environment.extend(own.map(|(key, value)| (key.to_owned(), Secret::new(value))));
    if service.name.starts_with(COMPUTE) {
        environment.insert("COMPUTE_HOSTS".into(), Secret::new(compute_hosts(topology).join(",")));
    }
    if service.amqp_uri_in_environment {
        environment.insert("AMQP_URI".into(), uri.clone());
    }
    environment
}

/// Every host that machines run on, as `region/instance`: who sends commands must know how many answers to expect.
fn compute_hosts(topology: &Topology) -> Vec<String> {
    let hosts = topology.regions.iter().flat_map(|region| {
        let hosts = region.services.iter().filter(|service| service.name == COMPUTE_HOST);
        hosts.flat_map(Service::instances).map(|instance| format!("{}/{instance}", region.name))
    });
    hosts.collect()
}

fn service_labels(project: &str, region: &RegionName, service: &str) -> BTreeMap<String, String> {
    let mut labels = labels(project, Some(region));
    labels.insert(SERVICE_LABEL.into(), service.into());
    labels
}

/// Adds the label by which a later run sees that a container was made from something else.
///
/// The fingerprint covers secrets; it is a hash of them together with 190 bits of password.
fn with_fingerprint(mut container: Container) -> Container {
    let environment: BTreeMap<&str, &str> =
        container.environment.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
    let files: BTreeMap<&str, &str> =
        container.files.iter().map(|file| (file.path.as_str(), file.content.expose())).collect();
    let ports: Vec<(u16, Option<u16>)> =
        container.ports.iter().map(|port| (port.container, port.host)).collect();
    let made_from = json!([
        container.image,
        container.hostname,
        container.user,
        container.command,
        environment,
        container.directories,
        files,
        [&container.volume.volume, &container.volume.path],
        [&container.network.network, &container.network.alias],
        container.wan.as_ref().map(|wan| [&wan.network, &wan.alias]),
        ports,
        container.memory,
        container.open_files,
        container.init,
        container.stop_timeout,
    ]);
    let hash = Sha256::digest(made_from.to_string());
    let fingerprint = URL_SAFE_NO_PAD.encode(&hash[..16]);
    container.labels.insert(CONFIG_LABEL.into(), fingerprint);
    container
}
