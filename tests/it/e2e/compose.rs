//! The export, run by a real docker-compose under a project name of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    broker::Broker,
    engine::{broker_image, docker},
    http::ask,
    until,
};

const REGIONS: [&str; 3] = ["europe", "asia", "america"];

/// Links of a region: from two upstreams, for one exchange and seven queues.
const LINKS: usize = 2 * (1 + 7);

pub fn docker_compose_stands_the_regions_up_and_an_event_crosses_them() {
    let exported = Exported::up();
    for region in REGIONS {
        until(&format!("the links of {region}"), || exported.is_federated(region).then_some(()));
    }
    let lamp = json!({"id": 1, "name": "lamp", "price": "100.00", "quantity": 5});
    let europe = exported.products("europe");
    let accepted = ask(Method::POST, &format!("{europe}/products"), None, Some(&lamp));
    assert_eq!(accepted.map(|(status, _)| status), Some(StatusCode::OK));
    let asia = exported.products("asia");
    until("the product is in asia", || {
        let (status, product) = ask(Method::GET, &format!("{asia}/products/1"), None, None)?;
        (status.is_success() && product == lamp).then_some(())
    });
    exported.assert_engine_knows_no_password();
}

/// What `fedctl export compose` wrote, as containers, networks and volumes; removed when dropped.
struct Exported {
    name: String,
    docker_compose: PathBuf,
    directory: tempfile::TempDir,
    /// Host ports by service and container port.
    ports: BTreeMap<(String, u16), u16>,
}

impl Exported {
    /// Exports, makes the image and the passwords, and brings everything up.
    fn up() -> Self {
        let mut exported = Self {
            name: format!("fedctl-test-{}", uuid::Uuid::now_v7().simple()),
            docker_compose: docker_compose(),
            directory: tempfile::tempdir().unwrap(),
            ports: BTreeMap::new(),
        };
        exported.export();
        exported.import_image();
        run(Command::new("sh").arg("secrets.sh").current_dir(exported.path()));
        run(exported.compose().args(["up", "-d"]));
        exported.ports = exported.published();
        exported
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn image(&self) -> String {
        format!("fedctl-service:{}", self.name)
    }

    fn export(&self) {
        let topology = concat!(env!("CARGO_MANIFEST_DIR"), "/regions.yaml");
        let export = ["--file", topology, "export", "compose", "--output"];
        run(Command::new(env!("CARGO_BIN_EXE_fedctl")).args(export).arg(self.path()));
        let labels = json!({"io.fedctl.test": "1"});
        let (mut services, mut volumes) = (json!({}), json!({}));
        for region in REGIONS {
            services[format!("{region}_broker")] = json!({"image": broker_image(), "labels": labels});
            for service in ["products", "indexer", "taxes"] {
                services[format!("{region}_{service}")] = json!({"image": self.image(), "labels": labels});
            }
            for volume in ["broker", "services"] {
                volumes[format!("{region}_{volume}")] = json!({"labels": labels});
            }
        }
        let changes = json!({"services": services, "volumes": volumes}).to_string();
        std::fs::write(self.path().join("test.yaml"), changes).unwrap();
    }

    fn import_image(&self) {
        let mut export = Command::new(env!("CARGO_BIN_EXE_fedctl"))
            .args(["export", "service-image"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let layer = export.stdout.take().unwrap();
        let label = ["import", "-c", "LABEL io.fedctl.test=1", "-"];
        run(Command::new("docker").args(label).arg(self.image()).stdin(layer));
        assert!(export.wait().unwrap().success());
    }

    fn compose(&self) -> Command {
        let mut command = Command::new(&self.docker_compose);
        command.current_dir(self.path());
        command.args(["-p", &self.name, "-f", "compose.yaml", "-f", "test.yaml"]);
        command
    }

    fn containers(&self, format: &str) -> String {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        docker(&["ps", "-a", "--filter", &filter, "--format", format])
    }

    /// Read from lines such as `asia_broker 127.0.0.1:32859->5672/tcp, 127.0.0.1:32858->15672/tcp`.
    fn published(&self) -> BTreeMap<(String, u16), u16> {
        let list = self.containers(r#"{{.Label "com.docker.compose.service"}} {{.Ports}}"#);
        let mut ports = BTreeMap::new();
        for line in list.lines() {
            let (service, list) = line.split_once(' ').unwrap();
            for port in list.split(", ") {
                let published = port.strip_prefix("127.0.0.1:").and_then(|port| port.strip_suffix("/tcp"));
                let (host, inside) = published.and_then(|port| port.split_once("->")).expect(line);
                ports.insert((service.to_owned(), inside.parse().unwrap()), host.parse().unwrap());
            }
        }
        ports
    }

    /// The address of a region's products service.
    fn products(&self, region: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[&(format!("{region}_products"), 8000)])
    }

    fn broker(&self, region: &str) -> Broker {
        let port = self.ports[&(format!("{region}_broker"), 15672)];
        let password = self.path().join(format!(".secrets/passwords/{region}/fedctl"));
        Broker::at(region, &format!("127.0.0.1:{port}"), &std::fs::read_to_string(password).unwrap())
    }

    /// Whether all of a region's links run, and every other region binds its events.
    fn is_federated(&self, region: &str) -> bool {
        let broker = self.broker(region);
        let Some(links) = broker.try_get("/federation-links") else { return false };
        let links = links.as_array().unwrap();
        let running = links.iter().filter(|link| link["status"] == "running").count();
        let Some(bindings) = broker.try_get("/exchanges/%2F/products.events/bindings/source") else {
            return false;
        };
        let asks = |other: &&str| {
            let queue = format!("federation: products.events -> {other} ");
            bindings.as_array().unwrap().iter().any(|binding| {
                binding["destination"].as_str().is_some_and(|name| name.starts_with(&queue))
                    && binding["routing_key"] == "product_added"
            })
        };
        (running, links.len()) == (LINKS, LINKS) && REGIONS.iter().filter(|other| **other != region).all(asks)
    }

    fn logs(&self) -> String {
        let output = self.compose().args(["logs", "--no-color", "--tail=40"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Neither the environment nor the command nor anything else that `docker inspect` shows.
    fn assert_engine_knows_no_password(&self) {
        let ids = self.containers("{{.ID}}");
        let shown = docker(&[&["inspect"], &ids.lines().collect::<Vec<_>>()[..]].concat());
        assert!(shown.contains("rabbit@europe"), "an inspection shows the environment");
        let passwords = self.path().join(".secrets/passwords");
        let paths = REGIONS.iter().flat_map(|region| std::fs::read_dir(passwords.join(region)).unwrap());
        let paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(paths.len(), 3 * (2 + 2), "two users and two links a region");
        for path in paths {
            let password = std::fs::read_to_string(&path).unwrap();
            assert!(!shown.contains(&password), "the password {} is shown", path.display());
        }
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn docker_compose() -> PathBuf {
    let missing = "docker-compose is missing: `apt-get install docker-compose`, or run the other tests \
                   with `cargo test --test it -- --skip docker_compose`";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join("docker-compose"));
    places.find(|place| place.is_file()).expect(missing)
}

impl Drop for Exported {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        let down = self.compose().args(["down", "-v"]).output().map(|output| output.status.success());
        let image = crate::support::engine::run(&["rmi", &self.image()]).status.success();
        if !std::thread::panicking() {
            assert!(down.unwrap() && image, "something of {} is left", self.name);
        }
    }
}
