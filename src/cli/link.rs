//! The flags of `fedctl link`.

use std::time::Duration;

use clap::{Args, Subcommand};

/// `fedctl link`.
#[derive(Debug, Subcommand)]
pub enum Link {
    /// Restart the links, and wait until they run
    #[command(
        before_help = "Examples:\n  fedctl link restart europe asia                 every link by which asia gets messages of europe\n  fedctl link restart europe asia --timeout 10s   and wait no longer for them"
    )]
    Restart(Pair),
    /// Stop the links; messages wait on the upstream, and `up` leaves them paused
    #[command(
        before_help = "Examples:\n  fedctl link pause europe asia     asia gets nothing more of europe\n  fedctl link pause asia europe     and nothing the other way; `fedctl link resume` ends it"
    )]
    Pause(Pair),
    /// Start paused links again, and wait until they run
    #[command(
        before_help = "Examples:\n  fedctl link resume europe asia                 asia gets what has waited in europe, and what comes\n  fedctl link resume europe asia --timeout 10s   and wait no longer for the links"
    )]
    Resume(Pair),
}

/// Between which regions.
#[derive(Debug, Args)]
pub struct Pair {
    /// Where messages come from
    pub upstream: String,
    /// Where they go
    pub downstream: String,
    /// How long to wait for the links
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}
