//! Regions on the real engine, some of whose services are programs of this directory.

use std::process::Command;
use std::thread::panicking;

use serde_json::Value;

use crate::support::engine::broker_image;
use crate::support::{Project, engine};

/// What a service logs about a message that it could not process, and about one that it was cut off from.
const UNWANTED: [&str; 2] = ["dead_lettered", "interrupted"];

/// A project some of whose services are Python's.
pub struct Stage<'a> {
    project: &'a Project,
    topology: String,
}

impl<'a> Stage<'a> {
    /// Regions as `topology` has them, once its placeholders are replaced; nothing is up yet.
    pub fn new(project: &'a Project, topology: &str) -> Self {
        let image = python_image();
        let topology = topology
            .replace("PROJECT", &project.name)
            .replace("BROKER_IMAGE", &broker_image())
            .replace("PYTHON_IMAGE", &image);
        Self { project, topology }
    }

    /// Brings the regions up, with a change to the topology.
    pub fn up(&self, change: impl FnOnce(&str) -> String) {
        self.project.write(&change(&self.topology));
        self.project.up();
    }

    /// Runs scenarios, which must pass.
    pub fn prove(&self, scenarios: &[&str]) {
        let arguments = [&["demo"], scenarios, &["-o", "json", "--timeout", "30s"]].concat();
        let proofs = self.project.fedctl(&arguments).exits(0).json();
        assert_eq!(proofs["passed"], true, "{proofs:#}");
        let played = proofs["scenarios"].as_array().unwrap().iter().map(|proof| &proof["scenario"]);
        assert_eq!(played.collect::<Vec<_>>(), scenarios, "{proofs:#}");
    }

    /// How often a Python program of a region logged each of these events. It must not have logged that
    /// anything went wrong.
    pub fn logged<const N: usize>(&self, region: &str, service: &str, events: [&str; N]) -> [usize; N] {
        let name = self.project.container(region, service);
        let image = engine::inspect(&name)["Config"]["Image"].clone();
        assert!(image.as_str().unwrap().starts_with("fedctl-test-python:"), "{name} is made from {image}");
        let lines = lines(&name);
        assert_eq!(UNWANTED.map(|event| times(&lines, event)), [0; 2], "{name} logged {lines:#?}");
        events.map(|event| times(&lines, event))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("{}", self.project.fedctl(&["logs", "--tail", "100"]));
        }
    }
}

/// What a container has logged, as far as it is JSON.
fn lines(container: &str) -> Vec<Value> {
    let log = engine::docker(&["logs", container]);
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn times(lines: &[Value], event: &str) -> usize {
    lines.iter().filter(|line| line["event"] == event).count()
}

/// The image of the programs, made where it is missing.
fn python_image() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/image.sh");
    let output = Command::new(script).output().unwrap();
    assert!(
        output.status.success(),
        "this test needs a Docker engine and mmdebstrap (`cargo test -p fedctl-model` needs neither): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
