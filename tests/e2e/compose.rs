//! The export, stood up by a real docker-compose under a name of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use fedctl_engine::endpoint::{Endpoint, Endpoints};
use fedctl_model::site::Address;
use serde_json::{Value, json};

use crate::support::image::broker_image;

const REGIONS: [&str; 3] = ["europe", "asia", "america"];

/// Links of a region: from two upstreams, for one exchange and seven queues.
const LINKS: usize = 2 * (1 + 7);

pub fn docker_compose_stands_the_regions_up_and_an_event_crosses_them() {
    tokio::runtime::Runtime::new().unwrap().block_on(an_event_crosses());
}

async fn an_event_crosses() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let project = Project::up();
    let deadline = Instant::now() + Duration::from_secs(90);
    for region in REGIONS {
        project.until(deadline, async || project.is_federated(region, &REGIONS).await).await;
    }
    let lamp = json!({"id": 1, "name": "lamp", "price": "100.00", "quantity": 5});
    let europe = project.products("europe");
    let accepted = europe.post("/products", &lamp).await.unwrap();
    assert!(accepted.is_success(), "{accepted:?}");
    let asia = project.products("asia");
    let seen = async || {
        let answer = asia.get("/products/1").await.map_err(|error| error.to_string())?;
        if answer.body.as_ref() == Some(&lamp) { Ok(()) } else { Err(format!("{answer:?}")) }
    };
    project.until(deadline, seen).await;
    project.assert_engine_knows_no_password();
}

/// The containers, networks and volumes; gone when dropped.
pub struct Project {
    name: String,
    docker_compose: PathBuf,
    directory: tempfile::TempDir,
    /// Host ports by service and container port.
    ports: BTreeMap<(String, u16), u16>,
    client: reqwest::Client,
}

impl Project {
    /// Exports, makes the image and the passwords, and brings everything up.
    pub fn up() -> Self {
        let mut project = Self {
            name: format!("fedctl-test-{}", uuid::Uuid::now_v7().simple()),
            docker_compose: docker_compose(),
            directory: tempfile::tempdir().unwrap(),
            ports: BTreeMap::new(),
            client: reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap(),
        };
        project.export();
        project.import_image();
        run(Command::new("sh").arg("secrets.sh").current_dir(project.path()));
        run(project.compose().args(["up", "-d"]));
        project.ports = project.published();
        project
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
        let output = run(Command::new("docker").args(["ps", "-a", "--filter", &filter, "--format", format]));
        String::from_utf8(output.stdout).unwrap()
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

    /// A region's products service.
    pub fn products(&self, region: &str) -> Endpoint {
        Endpoints::default().at(&Address::published(self.ports[&(format!("{region}_products"), 8000)]))
    }

    /// Whether all of a region's links run, and its events are asked for by every other region.
    pub async fn is_federated(&self, region: &str, regions: &[&str]) -> Result<(), String> {
        let links = self.ask(region, "federation-links").await?;
        let running = links.iter().filter(|link| link["status"] == "running").count();
        if (running, links.len()) != (LINKS, LINKS) {
            return Err(format!("{region}: {running} of {} links run, of {LINKS}", links.len()));
        }
        let bindings = self.ask(region, "exchanges/%2F/products.events/bindings/source").await?;
        let asks = |other: &&&str| {
            let queue = format!("federation: products.events -> {other} ");
            bindings.iter().any(|binding| {
                binding["destination"].as_str().is_some_and(|name| name.starts_with(&queue))
                    && binding["routing_key"] == "product_added"
            })
        };
        match regions.iter().filter(|other| **other != region).find(|other| !asks(other)) {
            Some(other) => Err(format!("{other} is not bound to the events of {region}")),
            None => Ok(()),
        }
    }

    async fn ask(&self, region: &str, path: &str) -> Result<Vec<Value>, String> {
        let port = self.ports[&(format!("{region}_broker"), 15672)];
        let password = self.path().join(format!(".secrets/passwords/{region}/fedctl"));
        let request = self
            .client
            .get(format!("http://127.0.0.1:{port}/api/{path}"))
            .basic_auth("fedctl", Some(std::fs::read_to_string(password).unwrap()));
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        answer.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())
    }

    /// Looks until it is so.
    #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
    pub async fn until(&self, deadline: Instant, look: impl AsyncFn() -> Result<(), String>) {
        while let Err(reason) = look().await {
            assert!(Instant::now() < deadline, "{reason}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn logs(&self) -> String {
        let output = self.compose().args(["logs", "--no-color", "--tail=40"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Neither the environment nor the command nor anything else that the engine tells of a container.
    pub fn assert_engine_knows_no_password(&self) {
        let ids = self.containers("{{.ID}}");
        let output = run(Command::new("docker").arg("inspect").args(ids.lines()));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("rabbit@europe"), "an inspection tells the environment");
        let passwords = self.path().join(".secrets/passwords");
        let paths = REGIONS.iter().flat_map(|region| std::fs::read_dir(passwords.join(region)).unwrap());
        let paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(paths.len(), 3 * (2 + 2), "two users and two links a region");
        for path in paths {
            let password = std::fs::read_to_string(&path).unwrap();
            assert!(!told.contains(&password), "the password {} is told", path.display());
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
                   with `cargo test --test e2e -- --skip docker_compose`";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join("docker-compose"));
    places.find(|place| place.is_file()).expect(missing)
}

impl Drop for Project {
    fn drop(&mut self) {
        let down = self.compose().args(["down", "-v"]).output().map(|output| output.status.success());
        let image = Command::new("docker").args(["rmi", &self.image()]).output();
        if !std::thread::panicking() {
            assert!(down.unwrap() && image.unwrap().status.success(), "something of {} is left", self.name);
        }
    }
}
