//! A failure, for people.

use fedctl_engine::chain::chain;
use owo_colors::OwoColorize;

/// The error with its causes, then what to do about it.
#[must_use]
pub fn render(error: &anyhow::Error, hint: Option<&str>) -> String {
    let error = format!("{} {}\n", "error:".red().bold(), chain(error.as_ref()));
    match hint {
        Some(hint) => format!("{error}\n{} {hint}\n", "hint:".cyan().bold()),
        None => error,
    }
}
