//! What people and scripts see: every word and colour.
#![expect(clippy::disallowed_methods, reason = "the owner of standard output and standard error")]

pub mod check;
pub mod doctor;
pub mod failure;
pub mod findings;
pub mod junit;
pub mod nagios;
pub mod plan;
pub mod probe;
pub mod progress;
pub mod prom;
pub mod proof;
pub mod queues;
pub mod screen;
pub mod status;
pub mod tests;
pub mod trace;

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, adapter::strip_str};
use owo_colors::OwoColorize;
use serde::Serialize;
use terminal_size::terminal_size_of;

use crate::cli::Color;
use screen::{Size, frame};

/// How the two streams are written to.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    color: Color,
}

impl Output {
    /// With this choice of colour.
    #[must_use]
    pub fn new(color: Color) -> Self {
        Self { color }
    }

    /// Writes data to standard output. A reader that went away is not an error.
    ///
    /// # Errors
    ///
    /// If writing fails otherwise, for example because the disk is full.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.choice());
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    ///
    /// If writing fails.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Whether standard output is a terminal.
    #[must_use]
    pub fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Writes to standard error. A failure is ignored: there is nowhere left to report it.
    pub fn message(&self, text: &str) {
        AutoStream::new(io::stderr().lock(), self.choice()).write_all(text.as_bytes()).ok();
    }

    /// Whether standard error shows colour.
    #[must_use]
    pub fn color_on_stderr(&self) -> bool {
        AutoStream::new(io::stderr(), self.choice()).current_choice() != anstream::ColorChoice::Never
    }

    /// Whether standard error is a terminal that can move its cursor.
    #[must_use]
    pub fn animates() -> bool {
        io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether a question can be answered: standard input is a terminal.
    #[must_use]
    pub fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks on standard error and reads a line of standard input.
    ///
    /// # Errors
    ///
    /// If standard input cannot be read.
    pub fn ask(&self, question: &str) -> io::Result<String> {
        self.message(question);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Whether standard output is a terminal on which a report can be drawn over the last one.
    #[must_use]
    pub fn redraws() -> bool {
        Self::is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Draws a report over the last one, with `tail` below it whatever has to be left out of `body`. `first` makes room for
    /// it.
    ///
    /// # Errors
    ///
    /// If writing fails.
    pub fn redraw(&self, body: &str, tail: &str, first: bool) -> io::Result<()> {
        let stdout = io::stdout();
        let size = terminal_size_of(&stdout);
        let size = size.map(|(width, height)| Size { rows: height.0.into(), columns: width.0.into() });
        let colors = AutoStream::new(io::stdout(), self.choice()).current_choice();
        let colors = colors != anstream::ColorChoice::Never;
        let plain = |text: &str| if colors { text.to_owned() } else { strip_str(text).to_string() };
        let clear = if first { "\u{1b}[2J" } else { "" };
        // in one write, and not through a stream that would take the cursor's moves out with the colours
        self.bytes(format!("{clear}{}", frame(&plain(body), &plain(tail), size)).as_bytes())
    }

    fn choice(self) -> anstream::ColorChoice {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

/// A report as JSON.
///
/// # Errors
///
/// If it cannot be written as JSON.
pub fn json(report: &impl Serialize) -> io::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(report)?))
}

/// A report as YAML, of the same form.
///
/// # Errors
///
/// If it cannot be written as YAML.
pub fn yaml(report: &impl Serialize) -> io::Result<String> {
    // by way of JSON's values: the form is JSON's, and only how it is written differs
    serde_yaml::to_string(&serde_json::to_value(report)?).map_err(io::Error::other)
}

/// A line of a container's output, behind the container's name.
#[must_use]
pub fn log_line(container: &str, width: usize, text: &str) -> String {
    format!("{:<width$}  {text}\n", container.dimmed())
}
