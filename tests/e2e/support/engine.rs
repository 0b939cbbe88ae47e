//! What the engine reports about a project's objects.

use std::time::{Duration, Instant};

use serde_json::Value;

pub use crate::engine::{docker, run};

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
