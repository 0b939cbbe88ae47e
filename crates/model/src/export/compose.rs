//! Files with which Docker Compose runs a topology, and a script that makes their passwords.
//!
//! All of it is [`desired`](mod@crate::desired) with placeholders such as `@europe/fedctl@` for passwords. The
//! script replaces them by random ones on the machine where they are used, so no file that is kept holds one.

mod script;
mod yaml;

use super::Files;
use crate::{
    desired::{self, COOKIE_FILE, Container, DEFINITIONS, Desired, File, PasswordId, Passwords},
    names::SERVICE_IMAGE,
    secret::Secret,
    topology::{Catalogue, Topology},
};

/// The directory of the passwords and of every file that holds one.
const SECRETS: &str = ".secrets";

#[must_use]
pub fn compose(topology: &Topology, catalogue: &Catalogue) -> Files {
    let ids = desired::passwords(topology);
    let placeholders = ids.iter().map(|id| (id.clone(), Secret::new(placeholder(id)))).collect();
    let desired = desired::desired(topology, catalogue, &placeholders, &format!("{SERVICE_IMAGE}:local"));
    let containers: Vec<ServiceExport> = desired
        .containers
        .iter()
        .map(|container| ServiceExport::new(container, &desired, &placeholders))
        .collect();
    let mut files: Files = containers.iter().flat_map(|export| export.files.clone()).collect();
    files.insert("compose.yaml".into(), yaml::compose(&desired, &containers));
    files.insert("secrets.sh".into(), script::secrets(&ids, &containers));
    files
}

fn placeholder(id: &PasswordId) -> String {
    format!("@{}/{}@", id.region, id.user)
}

/// A container, with its files and its environment divided into those with a password and those without.
struct ServiceExport<'a> {
    container: &'a Container,
    /// Exported files: the path next to `compose.yaml`, and the text.
    files: Vec<(String, String)>,
    /// Files that the script makes.
    secrets: Vec<SecretFile>,
    /// Files mounted into the container: the path next to `compose.yaml`, and the path inside.
    mounts: Vec<(String, String)>,
    /// Variables without a password, as `KEY=value`.
    environment: Vec<String>,
    /// The file of variables with one.
    env_file: Option<String>,
}

/// A file below [`SECRETS`] with passwords in it.
struct SecretFile {
    path: String,
    source: Source,
}

/// Where the text with its placeholders is.
enum Source {
    /// In an exported file.
    Template(String),
    /// In the script itself.
    Text(String),
}

impl<'a> ServiceExport<'a> {
    fn new(container: &'a Container, desired: &Desired, placeholders: &Passwords) -> Self {
        let mut export = Self {
            container,
            files: Vec::new(),
            secrets: Vec::new(),
            mounts: Vec::new(),
            environment: Vec::new(),
            env_file: None,
        };
        let is_secret =
            |text: &str| placeholders.values().any(|placeholder| text.contains(placeholder.expose()));
        for file in &container.files {
            export.mount(file, desired, is_secret(file.content.expose()));
        }
        let (secret, plain): (Vec<String>, Vec<String>) = container
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={}", value.expose()))
            .partition(|variable| is_secret(variable));
        export.environment = plain;
        if !secret.is_empty() {
            export.env_file = Some(export.add_secret("environment", Source::Text(secret.join("\n"))));
        }
        export
    }

    fn mount(&mut self, file: &File, desired: &Desired, is_secret: bool) {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let source = if file.path == COOKIE_FILE {
            // the broker makes its own
            return;
        } else if file.path == DEFINITIONS {
            let broker = desired.brokers.iter().find(|broker| broker.region == self.container.region);
            let text = broker.map(|broker| broker.definitions().expose().to_owned()).unwrap_or_default();
            let template = self.add_file("definitions.template.json", text);
            self.add_secret(name, Source::Template(template))
        } else if is_secret {
            self.add_secret(name, Source::Text(file.content.expose().to_owned()))
        } else {
            self.add_file(name, file.content.expose().to_owned())
        };
        self.mounts.push((source, format!("{}/{}", self.container.volume.path, file.path)));
    }

    fn add_file(&mut self, name: &str, text: String) -> String {
        let path = self.path(name);
        self.files.push((path.clone(), text));
        path
    }

    fn add_secret(&mut self, name: &str, source: Source) -> String {
        let path = self.path(name);
        self.secrets.push(SecretFile { path: path.clone(), source });
        format!("{SECRETS}/{path}")
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.container.region, self.container.instance)
    }
}
