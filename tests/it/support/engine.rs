//! The engine, through a client that is not the code under test, and the image that tests make brokers from.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

/// `BROKER_IMAGE`, or the one that a topology has by default.
pub fn broker_image() -> String {
    std::env::var("BROKER_IMAGE").unwrap_or_else(|_| "rabbitmq:4-management".into())
}

/// Runs `docker`, which must succeed.
pub fn docker(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "`docker {}`: {}\n{NEEDED}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `docker`, whether or not it succeeds.
pub fn run(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output();
    output.unwrap_or_else(|error| panic!("`docker`: {error}\n{NEEDED}"))
}

/// The lines that `docker` prints, in order.
pub fn lines_of(arguments: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = docker(arguments).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Makes an image that differs from another one in an instruction of a Dockerfile.
pub fn derive_image(from: &str, instruction: &str, name: &str) {
    let container = docker(&["create", from]);
    docker(&["commit", "--change", instruction, container.trim(), name]);
    docker(&["rm", container.trim()]);
}

/// Everything the engine knows about an object.
pub fn inspect(name: &str) -> Value {
    let found: Value = serde_json::from_str(&docker(&["inspect", name])).unwrap();
    found[0].clone()
}

/// Whether there is such an object.
pub fn exists(kind: &str, name: &str) -> bool {
    run(&[kind, "inspect", name]).status.success()
}

/// Stops a container and gives its exit code and how long that took.
pub fn stop(name: &str) -> (i64, Duration) {
    let started = Instant::now();
    docker(&["stop", name]);
    (inspect(name)["State"]["ExitCode"].as_i64().unwrap(), started.elapsed())
}

const NEEDED: &str = "This test needs a Docker engine, its `docker` command and the image of the brokers \
    (`cargo run -- pull`). `cargo test --workspace --lib`, `cargo test -p fedctl-model` and \
    `cargo test --test it -- --skip services --skip external --skip e2e` need none of them.";
