//! Real Nameko services in one region, fedctl's own in the others: they interoperate in every scenario.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/image.rs"]
mod image;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::panicking;

use image::broker_image;
use serde_json::Value;

const PROJECT: &str = "fedctltestnameko";
const SERVICES: [&str; 3] = ["products", "indexer", "taxes"];
const TOPOLOGY: &str = include_str!("python/nameko.yaml");

/// Two rounds in one test, because they share the engine and the regions: first Nameko's region is one of
/// those that send orders, then it is the one that works them off.
#[test]
fn nameko_services_stand_in_for_ours_in_any_region() {
    let world = World::new(&python_image());
    for master in ["europe", "asia"] {
        world.up(master);
        world.prove(master);
    }
}

/// The image of the Python services, made where it is missing.
fn python_image() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/image.sh");
    let output = Command::new(script).output().unwrap();
    assert!(
        output.status.success(),
        "this test needs a Docker engine and mmdebstrap (`cargo test --lib` needs neither): {}",
        text(&output)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The regions, taken down with all that is theirs when dropped.
struct World {
    directory: tempfile::TempDir,
    image: String,
}

impl World {
    fn new(image: &str) -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap(), image: image.to_owned() };
        world.write("europe");
        // What an earlier run could not take down has other passwords than this one will have.
        succeeded(&world.down());
        world
    }

    fn topology(&self) -> PathBuf {
        self.directory.path().join("regions.yaml")
    }

    fn write(&self, master: &str) {
        let text = TOPOLOGY.replace("BROKER_IMAGE", &broker_image()).replace("PYTHON_IMAGE", &self.image);
        let text = text.replace("master: europe", &format!("master: {master}"));
        std::fs::write(self.topology(), text).unwrap();
    }

    fn fedctl(&self, arguments: &[&str]) -> Output {
        let mut fedctl = Command::new(env!("CARGO_BIN_EXE_fedctl"));
        fedctl.arg("--file").arg(self.topology()).args(["--progress", "plain"]).args(arguments);
        fedctl.output().unwrap()
    }

    /// Brings the regions up with this master.
    fn up(&self, master: &str) {
        self.write(master);
        succeeded(&self.fedctl(&["up"]));
    }

    /// Plays the scenarios: each must pass, and Nameko must have had its part in each.
    fn prove(&self, master: &str) {
        let demo = self.fedctl(&["demo", "-o", "json", "--timeout", "30s"]);
        let proofs: Value =
            serde_json::from_slice(&demo.stdout).unwrap_or_else(|_| panic!("{}", text(&demo)));
        assert!(demo.status.success(), "with master `{master}`: {proofs:#}");
        assert_eq!(proofs["passed"], true, "{proofs:#}");
        let names = proofs["scenarios"].as_array().unwrap().iter().map(|proof| &proof["scenario"]);
        assert_eq!(names.collect::<Vec<_>>(), ["events", "master", "reply"]);
        let worked_off = log("products").matches(r#""event": "order_processed""#).count();
        assert_eq!(worked_off, if master == "asia" { 3 } else { 0 }, "orders, with master `{master}`");
        assert!(!SERVICES.map(log).concat().contains(r#""event": "parked""#));
    }

    fn down(&self) -> Output {
        self.fedctl(&["down", "--volumes", "--confirm", PROJECT])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if panicking() {
            let status = self.fedctl(&["status", "-o", "wide"]);
            let logs = self.fedctl(&["logs", "--tail", "100"]);
            let _ = writeln!(std::io::stderr(), "{}\n{}", text(&status), text(&logs));
        }
        let down = self.down();
        if !panicking() {
            succeeded(&down);
        }
    }
}

fn log(service: &str) -> String {
    text(&Command::new("docker").args(["logs", &format!("{PROJECT}_asia_{service}")]).output().unwrap())
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", text(output));
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
