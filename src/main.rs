//! Parse, run, print the failure, exit.

use std::process::ExitCode;

use clap::Parser;
use fedctl::{cli::Cli, command};
use fedctl_model::outcome::Outcome;

fn main() -> ExitCode {
    // the one TLS provider of every client
    rustls::crypto::ring::default_provider().install_default().ok();
    command::complete();
    let outcome = match Cli::try_parse() {
        Ok(cli) => command::run(cli),
        Err(asked) => {
            // help and the version come as errors too, for standard output
            asked.print().ok();
            if asked.use_stderr() { Outcome::Usage } else { Outcome::Done }
        }
    };
    ExitCode::from(outcome.code())
}
