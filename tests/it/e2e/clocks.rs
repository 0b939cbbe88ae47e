//! A machine whose clock is not the engine's.

use std::process::Command;

use crate::support::{Project, ran::Ran};

/// fedctl with a clock that is ahead of the engine's by as much as `shift` says: `+300s`.
fn shifted(project: &Project, shift: &str, arguments: &[&str]) -> Ran {
    let fedctl = project.command(arguments);
    let mut command = Command::new("faketime");
    command.args(["-f", shift]).arg(fedctl.get_program()).args(fedctl.get_args());
    // waiting is not what is tested
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env_remove("FEDCTL_FILE");
    Ran::of(command)
}

pub fn a_clock_that_is_not_the_engines_changes_no_proof(project: &Project) {
    for shift in ["+300s", "-300s"] {
        let proofs = shifted(project, shift, &["demo", "-o", "json"]).exits(0).json();
        let scenarios = proofs["scenarios"].as_array().unwrap();
        let observed = scenarios.iter().flat_map(|proof| proof["story"].as_array().unwrap());
        let after: Vec<f64> = observed.filter_map(|observed| observed["after_ms"].as_f64()).collect();
        assert!(after.len() > 10 && after.iter().all(|after| (0.0..10_000.0).contains(after)), "{proofs:#}");
    }
}
