//! The containers of a topology.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Attachment, Container, File, Mount, Passwords, Readiness, SERVICE_EXECUTABLE, broker, labels, password,
};
use crate::{
    names::{
        APPLICATION, BROKER, CONFIG_LABEL, COOKIE, INSTANCE_LABEL, SERVICE_LABEL, container, lan,
        services_volume, wan,
    },
    observed::Plugin,
    secret::Secret,
    site::{ADMINISTRATOR, AMQP_PORT, MANAGEMENT_PORT, VHOST, amqp_uri, origin_on_network},
    topology::{Catalogue, Port, Region, RegionName, Service, Topology},
};

const BROKER_DATA: &str = "/var/lib/rabbitmq";
/// The directory that the built-in services of a region share, in the services' volume.
const STORE: &str = "store";
/// The file in a broker's volume with what it imports at every start.
pub const DEFINITIONS: &str = "fedctl/definitions.json";
/// The file in a broker's volume with its Erlang cookie, which it generates itself if there is none.
pub const COOKIE_FILE: &str = ".erlang.cookie";
/// The file, in a service's own directory of the services' volume, that holds its AMQP URI.
const AMQP_URI: &str = "amqp-uri";
/// The user and group of the built-in services.
pub const SERVICE_ID: u64 = 10001;
const SERVICE_MEMORY: u64 = 64;
const OTHER_IMAGE_MEMORY: u64 = 256;

pub(super) fn containers(
    topology: &Topology,
    catalogue: &Catalogue,
    passwords: &Passwords,
    service_image: &str,
) -> Vec<Container> {
    let container = |region: &Region, service: &Service, instance: &str| {
        let placed = Placed { topology, catalogue, region, service, instance };
        placed.container(password(passwords, &region.name, APPLICATION), service_image)
    };
    let services = |region: &Region| -> Vec<Container> {
        let instances = region
            .services
            .iter()
            .flat_map(|service| service.instances().map(move |instance| (service, instance)));
        instances.map(|(service, instance)| container(region, service, &instance)).collect()
    };
    let started = topology.regions.iter().filter(|region| region.broker.is_none());
    started
        .flat_map(|region| {
            [broker_container(topology, region, passwords)].into_iter().chain(services(region))
        })
        .map(with_fingerprint)
        .collect()
}

/// The directory that the built-in services of a region share and write to.
#[must_use]
pub fn service_store(catalogue: &Catalogue) -> String {
    format!("{}/{STORE}", catalogue.directory)
}

fn broker_container(topology: &Topology, region: &Region, passwords: &Passwords) -> Container {
    let project = &topology.name;
    let environment = [
        ("RABBITMQ_NODENAME", format!("rabbit@{}", region.name)),
        ("RABBITMQ_CONFIG_FILE", format!("{BROKER_DATA}/fedctl/rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS", Plugin::ALL.map(Plugin::name).join(",")),
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
        instance: BROKER.into(),
        readiness: None,
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
        labels: service_labels(project, &region.name, BROKER, BROKER),
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

/// The readiness checks of a topology's services, by container.
pub fn readiness_checks(topology: &Topology) -> impl Iterator<Item = (String, Readiness)> {
    topology.regions.iter().flat_map(|region| {
        region.services.iter().flat_map(|service| {
            let instances = service.instances();
            instances.filter_map(|instance| {
                Some((container(&topology.name, &region.name, &instance), readiness(service)?))
            })
        })
    })
}

fn readiness(service: &Service) -> Option<Readiness> {
    service.readiness_check().map(|(path, port)| Readiness { path: path.to_owned(), port })
}

/// An instance of a service, in its place.
struct Placed<'a> {
    topology: &'a Topology,
    catalogue: &'a Catalogue,
    region: &'a Region,
    service: &'a Service,
    instance: &'a str,
}

impl Placed<'_> {
    fn container(&self, password: &Secret, service_image: &str) -> Container {
        let Self { topology: Topology { name: project, .. }, catalogue, region, service, instance } = *self;
        let built_in = service.image.is_none();
        let uri = amqp_uri(APPLICATION, password, &origin_on_network(BROKER), VHOST, "");
        let command = if built_in && service.command.is_empty() {
            [SERVICE_EXECUTABLE, "service", &service.name].map(str::to_owned).into()
        } else {
            service.command.clone()
        };
        let shared = built_in.then(|| STORE.into());
        Container {
            name: container(project, &region.name, instance),
            region: region.name.clone(),
            service: service.name.clone(),
            instance: instance.to_owned(),
            readiness: readiness(service),
            image: service.image.clone().unwrap_or_else(|| service_image.to_owned()),
            hostname: instance.to_owned(),
            user: service.user.clone().unwrap_or_else(|| format!("{SERVICE_ID}:{SERVICE_ID}")),
            command,
            environment: self.environment(&uri),
            directories: [Some(instance.to_owned()), shared].into_iter().flatten().collect(),
            files: vec![File { path: format!("{instance}/{AMQP_URI}"), content: uri }],
            volume: Mount {
                volume: services_volume(project, &region.name),
                path: catalogue.directory.to_owned(),
            },
            network: Attachment { network: lan(project, &region.name), alias: instance.to_owned() },
            wan: None,
            ports: service.ports.clone(),
            memory: service.memory.unwrap_or(if built_in { SERVICE_MEMORY } else { OTHER_IMAGE_MEMORY }),
            open_files: None,
            init: !built_in,
            stop_timeout: 15,
            labels: service_labels(project, &region.name, &service.name, instance),
        }
    }

    fn environment(&self, uri: &Secret) -> BTreeMap<String, Secret> {
        let Self { topology, catalogue, region, service, instance } = *self;
        let regions: Vec<&str> = topology.regions.iter().map(|region| region.name.as_str()).collect();
        let names = catalogue.variables;
        let given = [
            (names.region, region.name.to_string()),
            (names.regions, regions.join(",")),
            (names.master_region, topology.master.to_string()),
            (names.uri_file, format!("{}/{instance}/{AMQP_URI}", catalogue.directory)),
            (names.instance, instance.to_owned()),
            (names.store, service_store(catalogue)),
        ];
        let own = service.environment.iter().map(|(key, value)| (key.clone(), topology.expand(value)));
        let given = given.map(|(key, value)| (key.to_owned(), value));
        let all = own.chain(given).map(|(key, value)| (key, Secret::new(value)));
        let uri = service.amqp_uri_in_environment.then(|| (names.uri.to_owned(), uri.clone()));
        all.chain(uri).collect()
    }
}

fn service_labels(
    project: &str,
    region: &RegionName,
    service: &str,
    instance: &str,
) -> BTreeMap<String, String> {
    let mut labels = labels(project, Some(region));
    labels.insert(SERVICE_LABEL.into(), service.into());
    labels.insert(INSTANCE_LABEL.into(), instance.into());
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
        container.labels,
    ]);
    let hash = Sha256::digest(made_from.to_string());
    let fingerprint = URL_SAFE_NO_PAD.encode(&hash[..16]);
    container.labels.insert(CONFIG_LABEL.into(), fingerprint);
    container
}
