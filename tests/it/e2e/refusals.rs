//! What `up` cannot or will not do, and its errors.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, time::Duration};

use crate::support::{
    Project,
    engine::{docker, exists},
    proxy::Proxy,
    ran::Ran,
};

pub fn objects_of_others_are_left_alone(project: &Project) {
    let (network, container) = (project.wan(), project.container("europe", "products"));
    let volume = project.container("europe", "broker");
    docker(&["network", "create", &network]);
    docker(&["volume", "create", &volume]);
    docker(&["create", "--name", &container, &crate::support::engine::broker_image()]);
    let found = [("network", &network), ("volume", &volume), ("container", &container)];
    let ran = project.fedctl(&["up"]).exits(1).says("changes are blocked; nothing was applied");
    found.iter().fold(ran, |ran, (kind, name)| {
        ran.says(&format!("{kind} `{name}`: exists and does not belong to project `{}`", project.name))
    });
    project.fedctl(&["down", "--volumes", "--confirm", &project.name]).exits(0);
    for (kind, name) in found {
        assert!(exists(kind, name), "{kind} {name}");
        docker(&[kind, "rm", name]);
    }
    for kind in ["container", "network", "volume"] {
        assert_eq!(project.objects(kind), Vec::<String>::new());
    }
}

pub fn an_unwritable_directory_is_reported(project: &Project) {
    let directory = project.directory.path();
    let permit = |mode| {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(mode)).unwrap();
    };
    permit(0o555);
    let mut up = project.command(&["up"]);
    if std::fs::File::create(directory.join("probe")).is_ok() {
        // root may write everywhere; the user `nobody` may not
        up.uid(65534).gid(65534);
    }
    let ran = Ran::of(up);
    permit(0o755);
    ran.exits(77).says(".fedctl").says("make the topology's directory writable");
}

pub fn an_image_that_does_not_exist_is_named(project: &Project) {
    let image = crate::support::engine::broker_image();
    project.fedctl(&["down"]).exits(0);
    project.edit(&image, "localhost:1/nosuch/image:1");
    let ran = project.fedctl(&["up"]).exits(1).within(Duration::from_secs(60));
    ran.says("localhost:1/nosuch/image:1").says("was not found locally and could not be pulled");
    project.edit("localhost:1/nosuch/image:1", &image);
}

pub fn an_engine_whose_disk_is_full_is_reported(project: &Project) {
    let full = r#"{"message":"write /var/lib/docker/tmp/layer: no space left on device"}"#;
    let proxy = Proxy::answering(move |request| request.contains("/images/create?").then_some((500, full)));
    let ran = project.fedctl(&["up", "--host", &proxy.host()]).exits(3);
    ran.says("cannot import `fedctl-service:").says("no space left on device").says("docker system df");
}

pub fn a_port_in_use_is_reported_with_its_container(project: &Project) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    project.edit("  - name: europe\n", &format!("  - name: europe\n    ports: {{amqp: {port}}}\n"));
    project.fedctl(&["down"]).exits(0);
    let ran = project.fedctl(&["up"]).exits(1);
    ran.says(&format!("cannot start `{}`", project.container("europe", "broker")))
        .says(&port.to_string())
        .says("free the port, or choose another in the topology");

    drop(taken);
    project.up().says("no links: they need two regions");
    assert_eq!(
        docker(&["port", &project.container("europe", "broker"), "5672/tcp"]).trim(),
        format!("127.0.0.1:{port}")
    );
}

pub fn one_region_alone_passes_the_demo(project: &Project) {
    project.fedctl(&["demo"]).exits(0).says("3 of 3 scenarios passed");
    project.fedctl(&["status"]).exits(0).says("no links: they need two regions");
}
