//! The engine, through a client that is not the code under test.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Runs `docker`, which must work.
pub fn docker(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "these tests need a Docker engine with the image of `BROKER_IMAGE` \
         (`cargo test -p fedctl-model` needs none): `docker {}`: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `docker`, whether or not it works.
pub fn run(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().unwrap_or_else(|error| {
        panic!(
            "these tests need a Docker engine and its `docker` command: {error}; \
             `cargo test -p fedctl-model` needs none"
        )
    })
}

/// The lines that `docker` prints, in order.
pub fn lines_of(arguments: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = docker(arguments).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
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
