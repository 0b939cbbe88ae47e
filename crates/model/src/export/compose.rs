//! Files with which Docker Compose stands up a topology, and a script that makes their passwords.
//!
//! All of it is what [`desired`](mod@crate::desired) says, lowered with the *names* of passwords in their
//! places, `@europe/fedctl@`. The script puts random ones there, on the machine where they are used.

mod script;
mod yaml;

use super::Files;
use crate::{
    desired::{
        self, COOKIE_FILE, Container, DEFINITIONS, Desired, File, PasswordId, Passwords, SERVICE_IMAGE,
    },
    secret::Secret,
    topology::Topology,
};

/// Where the script keeps the passwords and every file that holds one.
const SECRETS: &str = ".secrets";

/// The files, by path.
#[must_use]
pub fn compose(topology: &Topology) -> Files {
    let ids = desired::passwords(topology);
    let names = ids.iter().map(|id| (id.clone(), Secret::new(placeholder(id)))).collect();
    let desired = desired::desired(topology, &names, &format!("{SERVICE_IMAGE}:local"));
    let containers: Vec<Parts> =
        desired.containers.iter().map(|container| Parts::new(container, &desired, &names)).collect();
    let mut files: Files = containers.iter().flat_map(|parts| parts.written.clone()).collect();
    files.insert("compose.yaml".into(), yaml::compose(&desired, &containers));
    files.insert("secrets.sh".into(), script::secrets(&ids, &containers));
    files
}

/// A password's name, where the password goes.
fn placeholder(id: &PasswordId) -> String {
    format!("@{}/{}@", id.region, id.user)
}

/// A container, and what becomes of its files and its environment.
struct Parts<'a> {
    container: &'a Container,
    /// What is written beside `compose.yaml`: path and text.
    written: Vec<(String, String)>,
    /// What the script makes.
    filled: Vec<Filled>,
    /// Files mounted into the container: the path beside `compose.yaml`, and the path inside.
    mounts: Vec<(String, String)>,
    /// Variables without a password.
    environment: Vec<String>,
    /// The file of variables with one.
    env_file: Option<String>,
}

/// A file below [`SECRETS`] with passwords in it.
struct Filled {
    path: String,
    source: Source,
}

/// The text with the names of passwords.
enum Source {
    Template(String),
    Text(String),
}

impl<'a> Parts<'a> {
    fn new(container: &'a Container, desired: &Desired, names: &Passwords) -> Self {
        let mut parts = Self {
            container,
            written: Vec::new(),
            filled: Vec::new(),
            mounts: Vec::new(),
            environment: Vec::new(),
            env_file: None,
        };
        let is_secret = |text: &str| names.values().any(|name| text.contains(name.expose()));
        for file in &container.files {
            parts.file(file, desired, is_secret(file.content.expose()));
        }
        let (secret, plain): (Vec<String>, Vec<String>) = container
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={}", value.expose()))
            .partition(|variable| is_secret(variable));
        parts.environment = plain;
        if !secret.is_empty() {
            parts.env_file = Some(parts.fill("environment", Source::Text(secret.join("\n"))));
        }
        parts
    }

    fn file(&mut self, file: &File, desired: &Desired, is_secret: bool) {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let source = if file.path == COOKIE_FILE {
            // nobody but its broker needs it, and the broker makes its own
            return;
        } else if file.path == DEFINITIONS {
            let broker = desired.brokers.iter().find(|broker| broker.region == self.container.region);
            let text = broker.map(|broker| broker.definitions().expose().to_owned()).unwrap_or_default();
            let template = self.write("definitions.template.json", text);
            self.fill(name, Source::Template(template))
        } else if is_secret {
            self.fill(name, Source::Text(file.content.expose().to_owned()))
        } else {
            self.write(name, file.content.expose().to_owned())
        };
        self.mounts.push((source, format!("{}/{}", self.container.volume.path, file.path)));
    }

    fn write(&mut self, name: &str, text: String) -> String {
        let path = self.path(name);
        self.written.push((path.clone(), text));
        path
    }

    fn fill(&mut self, name: &str, source: Source) -> String {
        let path = self.path(name);
        self.filled.push(Filled { path: path.clone(), source });
        format!("{SECRETS}/{path}")
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.container.region, self.container.service)
    }
}
