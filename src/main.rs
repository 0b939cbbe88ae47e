//! Parse, run, print the failure, exit.

use std::process::ExitCode;

use clap::Parser;
use fedctl::{cli::Cli, command};

fn main() -> ExitCode {
    // the one TLS provider of every client
    rustls::crypto::ring::default_provider().install_default().ok();
    let cli = Cli::parse();
    ExitCode::from(command::run(cli).code())
}
