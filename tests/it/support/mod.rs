//! A project of its own on the real engine, driven through the built binary.

pub mod broker;
pub mod engine;
pub mod http;
pub mod proxy;
pub mod ran;

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::engine::broker_image;
use broker::Broker;
use engine::{docker, lines_of};
use ran::{Ran, Running};

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Polls until there is something.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Held by the one test that may use the engine: brokers that boot at the same time would make each other time out.
pub struct OnlyOne(#[expect(dead_code, reason = "it is held, not used")] File);

impl OnlyOne {
    pub fn wait() -> Self {
        let lock = File::create(std::env::temp_dir().join("fedctl-engine-tests.lock")).unwrap();
        lock.lock().unwrap();
        Self(lock)
    }
}

/// A project in a directory of its own; dropped, it leaves nothing on the engine.
pub struct Project {
    pub name: String,
    pub directory: TempDir,
    executable: PathBuf,
}

impl Project {
    /// A project with these regions, each with every service, in full mesh.
    pub fn new(regions: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{count}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let project = Self { name, directory, executable: env!("CARGO_BIN_EXE_fedctl").into() };
        project.write(&project.topology(regions));
        project
    }

    /// A project whose fedctl is a copy of its own, other in a byte, so that no service image holds it yet.
    pub fn with_own_executable(regions: &[&str]) -> Self {
        let mut project = Self::new(regions);
        let executable = project.directory.path().join("fedctl");
        std::fs::copy(&project.executable, &executable).unwrap();
        let mut file = File::options().append(true).open(&executable).unwrap();
        file.write_all(project.name.as_bytes()).unwrap();
        project.executable = executable;
        project
    }

    /// The image that the project's services were made from.
    pub fn service_image(&self) -> String {
        engine::inspect(&self.container("europe", "products"))["Config"]["Image"].as_str().unwrap().into()
    }

    /// The text of a topology with these regions; the first is the master.
    pub fn topology(&self, regions: &[&str]) -> String {
        let regions_text = regions.iter().fold(String::new(), |text, region| {
            format!(
                "{text}  - name: {region}\n    services: [{{name: products}}, {{name: indexer}}, {{name: taxes}}]\n"
            )
        });
        format!(
            "name: {}\nmaster: {}\nbroker:\n  image: {}\nregions:\n{regions_text}federation:\n  shape: full-mesh\n  \
             upstream:\n    reconnect-delay: 1\n  policies:\n    \
             - {{name: events, pattern: '\\.events$', apply-to: exchanges}}\n    \
             - {{name: fed, pattern: '^fed\\.', apply-to: queues}}\n",
            self.name,
            regions[0],
            broker_image()
        )
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("regions.yaml")
    }

    pub fn write(&self, topology: &str) {
        std::fs::write(self.file(), topology).unwrap();
    }

    /// Replaces a part of the topology.
    pub fn edit(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(old), "`{old}` is not in:\n{text}");
        self.write(&text.replacen(old, new, 1));
    }

    /// The directory with the passwords.
    pub fn workdir(&self) -> PathBuf {
        self.directory.path().join(".fedctl")
    }

    /// Every password, by region and user.
    pub fn passwords(&self) -> Value {
        let text = std::fs::read_to_string(self.workdir().join("passwords.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// fedctl on this project, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(&self.file(), arguments)
    }

    /// The same on another topology file.
    pub fn command_on(&self, file: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("--file").arg(file).args(arguments);
        command.stdin(Stdio::null()).env_remove("FEDCTL_FILE");
        command
    }

    /// Runs fedctl on this project to its end.
    pub fn fedctl(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Starts `fedctl up --progress json`.
    pub fn begin_up(&self) -> Running {
        Running::of(self.command(&["up", "--progress", "json"]))
    }

    /// Brings the project up, which must work.
    pub fn up(&self) -> Ran {
        self.fedctl(&["up", "--timeout", "90s"]).exits(0)
    }

    /// The output of `fedctl status -o json`, whatever its exit code.
    pub fn status(&self) -> Value {
        let ran = self.fedctl(&["status", "-o", "json"]);
        assert!(matches!(ran.code, Some(0 | 4)), "{ran}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
    }

    /// The links in this state.
    pub fn links(&self, state: &str) -> Vec<Value> {
        let status = self.status();
        let links = status["links"].as_array().unwrap();
        links.iter().filter(|link| link["state"] == state).cloned().collect()
    }

    /// The name of a container.
    pub fn container(&self, region: &str, service: &str) -> String {
        format!("{}_{region}_{service}", self.name)
    }

    /// The network between the regions.
    pub fn wan(&self) -> String {
        format!("{}_wan", self.name)
    }

    /// A region's broker, through its management API.
    pub fn broker(&self, region: &str) -> Broker {
        let port = docker(&["port", &self.container(region, "broker"), "15672/tcp"]);
        let passwords = self.passwords();
        let password = passwords[region]["fedctl"].as_str().unwrap();
        Broker::at(region, port.trim(), password)
    }

    /// What carries the project's label: `container`, `network` or `volume`, by name.
    pub fn objects(&self, kind: &str) -> Vec<String> {
        let label = format!("label=io.fedctl.project={}", self.name);
        match kind {
            "container" => lines_of(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]),
            kind => lines_of(&[kind, "ls", "--filter", &label, "--format", "{{.Name}}"]),
        }
    }

    /// The services' containers and the brokers' that run.
    pub fn running(&self) -> Vec<String> {
        let label = format!("label=io.fedctl.project={}", self.name);
        lines_of(&["ps", "--filter", &label, "--filter", "status=running", "--format", "{{.Names}}"])
    }

    /// Prints the state of everything, and the last lines of the brokers' logs.
    pub fn print_state(&self) {
        eprintln!("{}", self.fedctl(&["status", "-o", "wide"]));
        for name in self.objects("container").iter().filter(|name| name.ends_with("_broker")) {
            let log = engine::run(&["logs", "--tail", "8", name]);
            eprintln!("--- {name}\n{}", String::from_utf8_lossy(&log.stdout));
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let images = self
            .objects("container")
            .into_iter()
            .map(|name| engine::inspect(&name)["Config"]["Image"].clone());
        let images: BTreeSet<String> = images.map(|image| image.as_str().unwrap().to_owned()).collect();
        self.fedctl(&["down", "--volumes", "--confirm", &self.name]);
        if self.executable.starts_with(self.directory.path()) {
            for image in images.iter().filter(|image| image.starts_with("fedctl-service:")) {
                engine::run(&["rmi", image]);
            }
        }
        let own = [
            "images",
            "--filter",
            &format!("reference={}", self.name),
            "--format",
            "{{.Repository}}:{{.Tag}}",
        ];
        for image in lines_of(&own) {
            engine::run(&["rmi", &image]);
        }
        for (kind, remove) in [
            ("container", &["rm", "--force", "--volumes"][..]),
            ("network", &["network", "rm"]),
            ("volume", &["volume", "rm", "--force"]),
        ] {
            for name in self.objects(kind) {
                eprintln!("{kind} {name} was left: {:?}", engine::run(&[remove, &[&name]].concat()));
            }
        }
    }
}
