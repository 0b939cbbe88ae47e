//! A failure in words.

use owo_colors::OwoColorize;

/// The chain of an error's causes, then what to do about it.
#[must_use]
pub fn render(error: &anyhow::Error, hint: Option<&str>) -> String {
    let error = format!("{} {}\n", "error:".red().bold(), sentence(error));
    match hint {
        Some(hint) => format!("{error}\n{} {hint}\n", "hint:".cyan().bold()),
        None => error,
    }
}

/// The causes in one line, without those that the one before already says.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}
