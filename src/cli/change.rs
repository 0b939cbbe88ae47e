//! The flags of `fedctl up`, `plan` and `apply`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::TextFormat;

/// `fedctl up`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl up                  every region\n  fedctl up europe asia      only these, and the links between them"
)]
pub struct Up {
    /// Only these regions
    #[arg(value_name = "REGION")]
    pub regions: Vec<String>,
    /// How long to wait for brokers, services and links
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// End with a probe, as `fedctl probe` does it, and with its exit code
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub choices: Choices,
}

/// What `up` does only if it is told to.
#[derive(Debug, Clone, Copy, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Choices {
    /// Take over a project that belongs to another topology file
    #[arg(long)]
    pub take_over: bool,
    /// Take over policies, upstreams and users that brokers have already and that no topology owns
    #[arg(long)]
    pub adopt: bool,
    /// Keep messages of links that the topology no longer has, and add no more to their queues
    #[arg(long, conflicts_with = "discard")]
    pub keep: bool,
    /// Discard messages of links that the topology no longer has, or whose queues it declares otherwise
    #[arg(long)]
    pub discard: bool,
}

/// `fedctl plan`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl plan                         what would change, and why\n  fedctl plan --detailed-exitcode     exit with 2 if there are changes"
)]
pub struct Plan {
    /// Only these regions
    #[arg(value_name = "REGION")]
    pub regions: Vec<String>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
    /// Exit with 2 if there are changes to make
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Also write the plan to a file, for `fedctl apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub choices: Choices,
}

/// `fedctl apply`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl apply                                            show the plan, ask, and do it\n  fedctl apply agreed.plan --yes                         do what `fedctl plan --out agreed.plan` showed, or nothing"
)]
pub struct Apply {
    /// A plan that `fedctl plan --out` wrote; it is refused if another one is due by now
    #[arg(value_name = "FILE", conflicts_with_all = ["region", "take_over", "adopt", "keep", "discard"])]
    pub plan: Option<PathBuf>,
    /// Only this region; may be given several times
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for brokers, services and links
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// End with a probe, as `fedctl probe` does it, and with its exit code
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub choices: Choices,
}
