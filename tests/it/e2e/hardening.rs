//! What a container may not do, and what must not be visible.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{
    Project,
    engine::{broker_image, docker, inspect, run},
};

pub fn every_container_is_hardened(project: &Project) {
    for name in project.objects("container") {
        let found = inspect(&name);
        let (config, host) = (&found["Config"], &found["HostConfig"]);
        let user = config["User"].as_str().unwrap();
        assert!(!["", "root", "0", "0:0"].contains(&user), "{name} runs as `{user}`");
        assert_eq!(host["CapDrop"], json!(["ALL"]), "{name}");
        assert_eq!(host["CapAdd"], Value::Null, "{name}");
        assert_eq!(host["Privileged"], false, "{name}");
        assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]), "{name}");
        assert_eq!(host["ReadonlyRootfs"], true, "{name}");
        assert!(host["Memory"].as_i64().unwrap() > 0, "{name}");
        assert_eq!(host["MemorySwap"], host["Memory"], "{name}");
        assert!(host["PidsLimit"].as_i64().unwrap() > 0, "{name}");
        assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{name}");
        let (_, hostname) = name.rsplit_once('_').unwrap();
        let broker = hostname == "broker";
        if broker {
            assert_eq!(host["Ulimits"][0]["Name"], "nofile", "{name}");
        }
        assert_ne!(found["Id"].as_str().unwrap()[..12], *config["Hostname"].as_str().unwrap(), "{name}");
        for bindings in found["NetworkSettings"]["Ports"].as_object().unwrap().values() {
            for binding in bindings.as_array().into_iter().flatten() {
                assert_eq!(binding["HostIp"], "127.0.0.1", "{name}");
            }
        }
        let networks = found["NetworkSettings"]["Networks"].as_object().unwrap();
        assert_eq!(networks.contains_key(&project.wan()), broker, "{name}: {networks:?}");
    }
}

pub fn only_the_owner_can_read_the_passwords(project: &Project) {
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&project.workdir()), 0o700);
    for file in ["passwords.json", "lock"] {
        assert_eq!(mode(&project.workdir().join(file)), 0o600, "{file}");
    }
}

pub fn a_broker_knows_no_guest(project: &Project) {
    for region in ["europe", "asia", "america"] {
        let broker = project.broker(region);
        assert!(!broker.names("/users").contains("guest"), "{region}");
        assert_eq!(broker.status_for("guest", "guest", "/whoami"), 401, "{region}");
    }
}

pub fn a_service_reaches_its_own_regions_broker_and_no_other(project: &Project) {
    let (own, other) = (project.container("europe", "broker"), project.container("asia", "broker"));
    let addresses = |name: &str| -> Vec<String> {
        let networks = &inspect(name)["NetworkSettings"]["Networks"];
        let addresses = networks.as_object().unwrap().values();
        addresses.map(|network| network["IPAddress"].as_str().unwrap().to_owned()).collect()
    };
    let lan = format!("{}_europe_lan", project.name);
    let reaches = |hosts: &[String]| {
        let tries = hosts
            .iter()
            .map(|host| format!("(timeout 2 bash -c '</dev/tcp/{host}/5672' 2>/dev/null && echo {host}) & "));
        let script = format!("{} wait", tries.collect::<String>());
        let image = broker_image();
        docker(&["run", "--rm", "--network", &lan, "--entrypoint", "bash", &image, "-c", &script])
    };
    assert_eq!(reaches(&["broker".into()]).trim(), "broker");
    let mut foreign = addresses(&other);
    assert_eq!(foreign.len(), 2);
    foreign.extend(["asia", "america"].map(str::to_owned));
    let wan = &inspect(&own)["NetworkSettings"]["Networks"][&project.wan()]["IPAddress"];
    foreign.push(wan.as_str().unwrap().to_owned());
    foreign.push("1.1.1.1".into());
    assert_eq!(reaches(&foreign), "");
}

pub fn no_password_is_shown_anywhere(project: &Project) {
    let passwords = project.passwords();
    let regions = passwords.as_object().unwrap().values();
    let passwords: Vec<&str> = regions
        .flat_map(|users| users.as_object().unwrap().values().map(|password| password.as_str().unwrap()))
        .collect();
    assert_eq!(passwords.len(), 15, "three and two links' in each region");
    for name in project.objects("container") {
        let found = inspect(&name).to_string();
        assert!(!passwords.iter().any(|password| found.contains(password)), "{name} shows a password");
        let log = run(&["logs", &name]);
        let log = String::from_utf8_lossy(&[log.stdout, log.stderr].concat()).into_owned();
        assert!(!passwords.iter().any(|password| log.contains(password)), "{name} logs a password");
    }
    project.edit("reconnect-delay: 1", "reconnect-delay: 2");
    for command in [
        &["plan"][..],
        &["up", "--progress", "json"],
        &["up"],
        &["status"],
        &["status", "-o", "wide"],
        &["status", "-o", "json"],
        &["demo", "-o", "json"],
        &["demo"],
        &["logs"],
    ] {
        let ran = project.fedctl(command).exits(0);
        passwords.iter().fold(ran, |ran, password| ran.conceals(password));
    }
}
