//! The flags of `fedctl test`.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// `fedctl test`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl test                             every test of regions.yaml; exit code 5 if one fails\n  fedctl test order -o junit >junit.xml   those with `order` in their name, for a build server"
)]
pub struct Test {
    /// Only tests with one of these in their name [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How long all of them may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: TestFormat,
}

/// The output format of a report on tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// A line for each test, and what is wrong.
    Table,
    /// JSON, in a stable, versioned format.
    Json,
    /// The same report as YAML.
    Yaml,
    /// XML for build servers.
    Junit,
}
