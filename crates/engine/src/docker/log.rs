//! What containers print.

use std::pin::Pin;

use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::{Stream, StreamExt};

use super::{Engine, EngineError, Operation, Result};

/// A line of a container's output.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When the engine received it, RFC 3339.
    pub at: String,
    /// The line.
    pub text: String,
}

impl Engine {
    /// A container's output, from `since` (seconds of Unix time) on, or only its last `tail` lines.
    #[must_use]
    pub fn logs(
        &self,
        name: &str,
        since: Option<i32>,
        tail: Option<usize>,
        follow: bool,
    ) -> Pin<Box<dyn Stream<Item = Result<LogLine>> + Send>> {
        let mut options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(follow);
        if let Some(since) = since {
            options = options.since(since);
        }
        if let Some(tail) = tail {
            options = options.tail(&tail.to_string());
        }
        let subject = name.to_owned();
        let lines = self.docker.logs(name, Some(options.build()));
        Box::pin(lines.map(move |line| {
            line.map(log_line).map_err(|source| EngineError::new(Operation::ReadLogs, &subject, source))
        }))
    }
}

fn log_line(output: LogOutput) -> LogLine {
    let line = output.into_bytes();
    let line = String::from_utf8_lossy(&line);
    let (at, text) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    LogLine { at: at.to_owned(), text: text.to_owned() }
}
