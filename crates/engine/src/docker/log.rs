//! What containers print.

use std::pin::Pin;

use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::{Stream, StreamExt, TryStreamExt};

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

    /// Whether a container has logged a line with this text since it was last started.
    pub async fn has_logged(&self, name: &str, text: &str) -> Result<bool> {
        let since = self.started_at(name).await?;
        let mut lines = self.logs(name, since, None, false);
        while let Some(line) = lines.try_next().await? {
            if line.text.contains(text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When a container was last started, by the engine's clock, in seconds of Unix time.
    async fn started_at(&self, name: &str) -> Result<Option<i32>> {
        let found = self.docker.inspect_container(name, None).await;
        let found = found.map_err(|source| EngineError::new(Operation::Inspect, name, source))?;
        let started = found.state.and_then(|state| state.started_at?.parse::<jiff::Timestamp>().ok());
        Ok(started.and_then(|started| i32::try_from(started.as_second()).ok()))
    }
}

fn log_line(output: LogOutput) -> LogLine {
    let line = output.into_bytes();
    let line = String::from_utf8_lossy(&line);
    let (at, text) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    LogLine { at: at.to_owned(), text: text.to_owned() }
}
