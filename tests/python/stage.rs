//! Regions on the real engine, some of whose services are programs of this directory.

use std::process::Command;
use std::thread::panicking;

use serde_json::Value;

use crate::support::image::broker_image;
use crate::support::{OnlyOne, Project, engine};

/// What a program logs of a message that it could not work off, and of one that it was cut off from.
const UNWANTED: [&str; 2] = ["parked", "interrupted"];

/// The regions, taken down with all that is theirs when dropped.
pub struct Stage {
    project: Project,
    topology: String,
    _engine: OnlyOne,
}

impl Stage {
    /// Regions as `topology` has them, once its placeholders are replaced; nothing is up yet.
    pub fn new(topology: &str) -> Self {
        let engine = OnlyOne::wait();
        let image = python_image();
        let project = Project::new(&["europe"]);
        let topology = topology
            .replace("PROJECT", &project.name)
            .replace("BROKER_IMAGE", &broker_image())
            .replace("PYTHON_IMAGE", &image);
        Self { project, topology, _engine: engine }
    }

    /// Brings the regions up, with a change to the topology.
    pub fn up(&self, change: impl FnOnce(&str) -> String) {
        self.project.write(&change(&self.topology));
        self.project.up();
    }

    /// Restarts the brokers of these regions: who was connected must connect again.
    #[allow(dead_code, reason = "not every test of this stage does so")]
    pub fn restart_brokers(&self, regions: &[&str]) {
        for region in regions {
            engine::docker(&["restart", &self.project.container(region, "broker")]);
        }
    }

    /// Plays scenarios, which must pass.
    pub fn prove(&self, scenarios: &[&str]) {
        let arguments = [&["demo"], scenarios, &["-o", "json", "--timeout", "30s"]].concat();
        let proofs = self.project.fedctl(&arguments).exits(0).json();
        assert_eq!(proofs["passed"], true, "{proofs:#}");
        let played = proofs["scenarios"].as_array().unwrap().iter().map(|proof| &proof["scenario"]);
        assert_eq!(played.collect::<Vec<_>>(), scenarios, "{proofs:#}");
    }

    /// How often a Python program of a region logged each of these events. It must not have logged that
    /// anything went wrong.
    pub fn said<const N: usize>(&self, region: &str, service: &str, events: [&str; N]) -> [usize; N] {
        let name = self.project.container(region, service);
        let image = engine::inspect(&name)["Config"]["Image"].clone();
        assert!(image.as_str().unwrap().starts_with("fedctl-test-python:"), "{name} is made from {image}");
        let log = engine::docker(&["logs", &name]);
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let times = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
        assert_eq!(UNWANTED.map(times), [0; 2], "{name} logged:\n{log}");
        events.map(times)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("{}", self.project.fedctl(&["logs", "--tail", "100"]));
        }
    }
}

/// The image of the programs, made where it is missing.
fn python_image() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/image.sh");
    let output = Command::new(script).output().unwrap();
    assert!(
        output.status.success(),
        "this test needs a Docker engine and mmdebstrap (`cargo test --lib` needs neither): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
