//! What the services log while a scenario runs.

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tokio::{sync::mpsc, task::JoinHandle};

use fedctl_engine::docker::{Clock, Engine, EngineError, LogLine};
use fedctl_model::topology::RegionName;

/// A line that a service logged.
#[derive(Debug, Clone)]
pub struct Entry {
    pub region: RegionName,
    pub service: String,
    /// When the engine received the line, by this machine's clock.
    pub at: jiff::Timestamp,
    pub fields: Map<String, Value>,
}

/// The lines of many services, from now on. They are collected all the time, whether or not they are read:
/// a first read after the deadline must find what came before it.
pub struct LogTail {
    lines: mpsc::UnboundedReceiver<Entry>,
    writer: JoinHandle<()>,
    /// What has been read so far.
    pub entries: Vec<Entry>,
}

impl LogTail {
    /// Follows the containers of these services: region, service and container. One that does not run logs
    /// nothing, which a scenario then misses.
    pub fn follow(
        engine: &Engine,
        clock: Clock,
        services: impl Iterator<Item = (RegionName, String, String)>,
    ) -> Self {
        let start = clock.there(jiff::Timestamp::now());
        let since = i32::try_from(start.as_second()).unwrap_or(i32::MAX);
        let lines = services.map(|(region, service, container)| {
            let lines = engine.logs(&container, Some(since), None, true);
            let entry = move |line: Result<LogLine, EngineError>| {
                let line = line.ok()?;
                let at: jiff::Timestamp = line.at.parse().ok()?;
                let fields = serde_json::from_str(&line.text).ok().filter(|_| at >= start)?;
                Some(Entry { region: region.clone(), service: service.clone(), at: clock.here(at), fields })
            };
            lines.map(entry).boxed()
        });
        let mut written = stream::select_all(lines);
        let (sender, lines) = mpsc::unbounded_channel();
        let writer = tokio::spawn(async move {
            while let Some(entry) = written.next().await {
                if entry.is_some_and(|entry| sender.send(entry).is_err()) {
                    break;
                }
            }
        });
        Self { lines, writer, entries: Vec::new() }
    }

    /// Reads what has come by now.
    pub fn read(&mut self) {
        while let Ok(entry) = self.lines.try_recv() {
            self.entries.push(entry);
        }
    }
}

impl Drop for LogTail {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
