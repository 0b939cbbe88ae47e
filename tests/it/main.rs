//! The program and its services from outside, in one binary under Rust's own harness.
//!
//! Whole projects are tested in `tests/e2e`: its cases follow each other on one project, which is taken down
//! after the last, and Rust's own harness knows neither order nor tear-down.
//!
//! `services` needs a Docker engine with the image of its brokers; `cargo test --test it -- --skip services` runs the
//! rest, and `cargo test -p fedctl-model` what the model decides.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic at the first surprise")]

mod cli;
#[path = "../engine/mod.rs"]
mod engine;
mod export;
mod findings;
mod services;
mod shipped;
mod tables;
mod walls;
