//! A topology whose regions are virtual hosts of the shared broker.

use std::{
    fmt::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    services::broker::Broker as Shared,
    support::{broker::Broker, ran::Ran, until},
};

/// What the shared broker's administrator is called, and its password.
pub const ADMINISTRATOR: (&str, &str) = ("test", "hush-hush");
/// The variable that the password is given in.
const VARIABLE: &str = "TEST_PASSWORD";

/// Regions that no other test uses.
pub struct Federation {
    pub name: String,
    pub shared: Arc<Shared>,
    directory: TempDir,
    regions: Vec<String>,
}

impl Federation {
    /// With these regions, and what follows `federation:` in the file.
    pub fn new(regions: &[&str], federation: &str) -> Self {
        Self::with(regions, federation, &format!("user: {}, password: '${{{VARIABLE}}}'", ADMINISTRATOR.0))
    }

    /// The same, with other settings of the regions' `broker`. They reach each other within it.
    pub fn with(regions: &[&str], federation: &str, settings: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("e{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir().unwrap();
        let all = regions.iter().copied().map(str::to_owned).collect();
        let federation = Self { name, shared: Shared::shared(), directory, regions: all }
            .written(regions, federation, settings);
        rustls::crypto::ring::default_provider().install_default().ok();
        federation
    }

    fn written(self, regions: &[&str], federation: &str, settings: &str) -> Self {
        let [amqp, management] = self.shared.addresses();
        let cluster = self.shared.cluster_name();
        let mut text = format!("name: {}\nmaster: {}\nregions:\n", self.name, self.at(regions[0]));
        for region in regions {
            writeln!(
                text,
                "- name: {}\n  broker: {{management: 'http://{management}', amqp: 'amqp://{amqp}', advertise: \
                 'amqp://', cluster-name: {cluster}, vhost: {}, {settings}}}",
                self.at(region),
                self.vhost(region)
            )
            .unwrap();
        }
        writeln!(text, "federation: {{{federation}}}").unwrap();
        self.write(&text);
        self
    }

    /// The whole name of a region. A broker tells links of a changed upstream by its name alone, in all virtual hosts, so
    /// that no two tests may have upstreams of the same name.
    pub fn at(&self, region: &str) -> String {
        format!("{region}-{}", self.name)
    }

    /// The virtual host that a region is.
    pub fn vhost(&self, region: &str) -> String {
        format!("{}.{region}", self.name)
    }

    pub fn write(&self, topology: &str) {
        self.file("regions.yaml", topology);
    }

    /// The topology's text.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("regions.yaml")).unwrap()
    }

    /// The path of a file beside the topology.
    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The passwords that fedctl made, as text.
    pub fn passwords(&self) -> String {
        let text = std::fs::read_to_string(self.path(".fedctl/passwords.json")).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        all.as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .to_string()
    }

    /// Writes a file beside the topology.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// The regions, as they were given.
    pub fn names(&self) -> Vec<String> {
        self.regions.clone()
    }

    /// Creates the regions' virtual hosts, as somebody else would.
    pub fn declare_vhosts(&self) {
        for region in &self.regions {
            self.shared.put(&[(format!("vhosts/{}", self.vhost(region)), json!({}))]);
        }
    }

    /// Replaces a part of the topology, wherever it is.
    pub fn edit(&self, old: &str, new: &str) {
        let text = self.text();
        assert!(text.contains(old), "`{old}` is not in:\n{text}");
        self.write(&text.replace(old, new));
    }

    /// fedctl on this topology, without any engine, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedctl"));
        command.arg("--file").arg(self.directory.path().join("regions.yaml")).args(arguments);
        command
            .env(VARIABLE, ADMINISTRATOR.1)
            .env("LINKS", "hush")
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command.stdin(Stdio::null()).env_remove("FEDCTL_FILE");
        command
    }

    /// Runs fedctl on this topology to its end.
    pub fn fedctl(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Applies the topology, which must work.
    pub fn up(&self) -> Ran {
        self.fedctl(&["up", "--timeout", "30s"]).exits(0)
    }

    /// A region's virtual host.
    pub fn region(&self, region: &str) -> Broker {
        let [_, management] = self.shared.addresses();
        Broker::of(region, &management, ADMINISTRATOR).in_vhost(&self.vhost(region))
    }

    /// Declares a fanout exchange in every one of these regions, and a queue that gets what reaches it.
    pub fn declare(&self, exchange: &str, regions: &[&str]) {
        for region in regions {
            let broker = self.region(region);
            broker.put(&broker.path("exchanges", exchange), &json!({"type": "fanout", "durable": true}));
            broker.tap(exchange, exchange);
        }
    }

    /// The links in this state.
    pub fn links(&self, state: &str) -> Vec<Value> {
        let ran = self.fedctl(&["status", "-o", "json"]);
        let links = ran.json()["links"].as_array().unwrap().clone();
        links.into_iter().filter(|link| link["state"] == state).collect()
    }

    /// Waits until so many links run, and everything else is as it should be.
    pub fn runs(&self, links: usize) {
        until("every link runs", || {
            (self.links("running").len() == links && self.fedctl(&["status"]).code == Some(0)).then_some(())
        });
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        let all = Broker::of("shared", &self.shared.addresses()[1], ADMINISTRATOR);
        let own = format!("{}.", self.name);
        // links first: those that try to connect to a virtual host that is gone end those of others
        for vhost in self.regions.iter().map(|region| self.vhost(region)) {
            let policies = all.try_get(&format!("/policies/{vhost}")).unwrap_or_default();
            for policy in policies.as_array().into_iter().flatten().filter_map(|found| found["name"].as_str())
            {
                all.try_delete(&format!("/policies/{vhost}/{policy}"));
            }
        }
        for vhost in self.regions.iter().map(|region| self.vhost(region)) {
            all.try_delete(&format!("/vhosts/{vhost}"));
        }
        let users = format!("link-{}-", self.name);
        // while somebody else deletes one, the broker may fail to list them
        let listed = |path: &str| until(path, || all.try_get(path)?.as_array().cloned());
        let named = |found: &Value| found["name"].as_str().unwrap_or_default().to_owned();
        for user in listed("/users").iter().map(named).filter(|user| user.starts_with(&users)) {
            all.try_delete(&format!("/users/{user}"));
        }
        let records = listed("/global-parameters");
        let records = records.iter().map(named);
        for record in records.filter(|record| record.starts_with(&format!("fedctl.{own}"))) {
            all.try_delete(&format!("/global-parameters/{record}"));
        }
    }
}
