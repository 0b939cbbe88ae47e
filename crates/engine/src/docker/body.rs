//! The bodies of requests to the engine.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkCreateRequest, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum, VolumeCreateRequest,
};

use fedctl_model::{
    desired::{Container, LOG_LIMITS, NETWORK_OPTION, Network, PIDS_LIMIT, TMPFS, Volume},
    site::LOOPBACK,
    topology::Port,
};

pub(super) fn network(network: &Network) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: Some("bridge".into()),
        options: Some(HashMap::from([owned(NETWORK_OPTION)])),
        labels: Some(network.labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}

pub(super) fn volume(volume: &Volume) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(volume.name.clone()),
        labels: Some(volume.labels.clone().into_iter().collect()),
        ..VolumeCreateRequest::default()
    }
}

pub(super) fn container(container: &Container) -> ContainerCreateBody {
    let endpoint = EndpointSettings {
        aliases: Some(vec![container.network.alias.clone()]),
        ..EndpointSettings::default()
    };
    let environment = container.environment.iter().map(|(key, value)| format!("{key}={}", value.expose()));
    ContainerCreateBody {
        image: Some(container.image.clone()),
        hostname: Some(container.hostname.clone()),
        user: Some(container.user.clone()),
        cmd: (!container.command.is_empty()).then(|| container.command.clone()),
        env: Some(environment.collect()),
        exposed_ports: Some(container.ports.iter().copied().map(port_key).collect()),
        labels: Some(container.labels.clone().into_iter().collect()),
        stop_timeout: Some(i64::from(container.stop_timeout)),
        host_config: Some(host_config(container)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(container.network.network.clone(), endpoint)])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(container: &Container) -> HostConfig {
    let memory = i64::try_from(container.memory << 20).unwrap_or(i64::MAX);
    HostConfig {
        port_bindings: Some(
            container.ports.iter().map(|&port| (port_key(port), Some(vec![binding(port)]))).collect(),
        ),
        mounts: Some(vec![Mount {
            source: Some(container.volume.volume.clone()),
            target: Some(container.volume.path.clone()),
            typ: Some(MountType::VOLUME),
            ..Mount::default()
        }]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([owned(TMPFS)])),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        memory: Some(memory),
        // equal limits: a broker that swaps looks alive and is not
        memory_swap: Some(memory),
        pids_limit: Some(i64::from(PIDS_LIMIT)),
        ulimits: container.open_files.map(|limit| {
            let limit = Some(i64::from(limit));
            vec![ResourcesUlimits { name: Some("nofile".into()), soft: limit, hard: limit }]
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(LOG_LIMITS.map(owned).into()),
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        init: Some(container.init),
        ..HostConfig::default()
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn port_key(port: Port) -> String {
    format!("{}/tcp", port.container)
}

fn binding(port: Port) -> PortBinding {
    PortBinding {
        host_ip: Some(LOOPBACK.into()),
        host_port: Some(port.host.map_or_else(String::new, |port| port.to_string())),
    }
}
