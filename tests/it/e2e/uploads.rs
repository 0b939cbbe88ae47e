//! Files for containers that share a volume.

use fedctl::catalogue::catalogue;
use fedctl_engine::docker::Engine;
use fedctl_model::{
    desired::{self, Passwords},
    names::BROKER,
    secret::Secret,
    topology,
};
use futures_util::future::try_join_all;

use crate::support::{Project, engine::broker_image};

/// Containers of a region bring the directory that they share. There are many of it here, since an engine is rarely so
/// unlucky as to look for one right before another upload makes it.
pub fn many_uploads_into_one_volume_do_not_disturb_each_other(project: &Project) {
    project.fedctl(&["pull"]).exits(0);
    let text = project.topology(&["europe"]).replace("{name: taxes}", "{name: taxes, replicas: 12}");
    let (topology, _) = topology::parse(&text, &catalogue()).unwrap();
    let secret = |id| (id, Secret::new("0123456789"));
    let passwords: Passwords = desired::passwords(&topology).into_iter().map(secret).collect();
    let mut desired = desired::desired(&topology, &catalogue(), &passwords, &broker_image());
    desired.containers.retain(|container| container.service != BROKER);
    for container in &mut desired.containers {
        container.directories.extend((0..500).map(|number| format!("shared-{number}")));
    }

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let uploaded = runtime.block_on(async {
        let engine = Engine::at(None)?;
        try_join_all(desired.networks.iter().map(|network| engine.create_network(network))).await?;
        try_join_all(desired.volumes.iter().map(|volume| engine.create_volume(volume))).await?;
        try_join_all(desired.containers.iter().map(|container| engine.create_container(container))).await?;
        try_join_all(desired.containers.iter().map(|container| engine.upload(container))).await
    });
    assert_eq!(uploaded.map(|done| done.len()).map_err(|error| error.to_string()), Ok(14));
    project.fedctl(&["down", "--volumes", "--confirm", &project.name]).exits(0);
}
