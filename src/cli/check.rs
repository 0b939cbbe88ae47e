//! The flags of `fedctl check` and `fedctl explain`.

use std::path::PathBuf;

use clap::Args;

use super::Format;

/// `fedctl check`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl check                 the file and every broker; exit code 4 if anything is found\n  fedctl check --offline       the file alone, without an engine\n  fedctl check asia -o json    only what concerns asia, for scripts"
)]
pub struct Check {
    /// Only what concerns these regions
    #[arg(value_name = "REGION")]
    pub regions: Vec<String>,
    /// Only the file: ask no engine and no broker
    #[arg(long, conflicts_with = "regions")]
    pub offline: bool,
    /// Output format; `wide` explains every code
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// `fedctl explain`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl explain FED0107                  what it means and what to do\n  fedctl explain --pages docs/checks      write a page for every code"
)]
pub struct Explain {
    /// The code of a diagnostic
    #[arg(value_name = "CODE", required_unless_present = "pages")]
    pub code: Option<String>,
    /// Write a page for every code, and a list of them, to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "code")]
    pub pages: Option<PathBuf>,
}
