//! The program from outside: first the cases that disturb no other, side by side, then whole projects, each in order.
//!
//! Every case has a name of its own: `cargo test --test it -- --list` names them all, `-- e2e::put_back` runs those of
//! one file. `services`, `external` and `e2e` need a Docker engine with the image of its brokers; `cargo test --test it --
//! --skip services --skip external --skip e2e` runs the rest, and `cargo test -p fedctl-model` what the model decides.
//!
//! Rust's own harness knows neither order nor tear-down. Whole projects need both: their brokers take half a minute to
//! boot, so the cases of a project follow each other on it, and it is taken down after the last, passed or not.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic at the first surprise"
)]

mod begin;
mod checks;
mod cli;
mod e2e;
mod expectations;
mod export;
mod external;
mod findings;
mod harness;
mod hostile;
mod monitoring;
mod probes;
mod services;
mod shipped;
mod stage;
mod support;
mod tables;
mod walls;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion};

/// Most of these cases wait for a broker, not for a core.
const SIDE_BY_SIDE: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(SIDE_BY_SIDE);
    let independent = [
        begin::cases(),
        checks::cases(),
        cli::cases(),
        expectations::cases(),
        export::cases(),
        external::cases(),
        findings::cases(),
        hostile::cases(),
        monitoring::cases(),
        probes::cases(),
        services::cases(),
        shipped::cases(),
        tables::cases(),
        walls::cases(),
    ];
    let independent = libtest_mimic::run(&arguments, independent.into_iter().flatten().collect());
    let projects = harness::side_by_side(&arguments, e2e::projects());
    [independent]
        .into_iter()
        .chain(projects)
        .find(Conclusion::has_failed)
        .map_or(ExitCode::SUCCESS, |failed| failed.exit_code())
}
