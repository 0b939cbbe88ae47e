//! The engine, through a client that is not the code under test, and the image that tests make brokers from.

use std::process::{Command, Output};

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

const NEEDED: &str = "This test needs a Docker engine, its `docker` command and the image of the brokers \
    (`cargo run -- pull`). `cargo test --workspace --lib`, `cargo test -p fedctl-model` and \
    `cargo test --test it -- --skip services` need none of them.";
