//! What the services log while a scenario is played.

use futures_util::{FutureExt, StreamExt, stream, stream::BoxStream};
use serde_json::{Map, Value};

use crate::{
    docker::{Engine, EngineError, LogLine},
    topology::RegionName,
};

/// A line that a service logged.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The service's region.
    pub region: RegionName,
    /// The service.
    pub service: String,
    /// When the engine received the line.
    pub at: jiff::Timestamp,
    /// Its fields.
    pub fields: Map<String, Value>,
}

/// The lines of many services, from now on.
pub struct Journal {
    lines: BoxStream<'static, Option<Entry>>,
    /// What has been read so far.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Follows the containers of these services: region, service and container. One that does not run says
    /// nothing, which a scenario then misses.
    pub fn follow(engine: &Engine, services: impl Iterator<Item = (RegionName, String, String)>) -> Self {
        let now = jiff::Timestamp::now();
        let since = i32::try_from(now.as_second()).unwrap_or(i32::MAX);
        let lines = services.map(|(region, service, container)| {
            let lines = engine.logs(&container, Some(since), None, true);
            let entry = move |line: Result<LogLine, EngineError>| {
                let entry = line.ok().and_then(|line| entry(&region, &service, &line));
                entry.filter(|entry| entry.at >= now)
            };
            lines.map(entry).boxed()
        });
        Self { lines: stream::select_all(lines).boxed(), entries: Vec::new() }
    }

    /// Reads what has come by now.
    pub fn read(&mut self) {
        while let Some(Some(entry)) = self.lines.next().now_or_never() {
            self.entries.extend(entry);
        }
    }
}

fn entry(region: &RegionName, service: &str, line: &LogLine) -> Option<Entry> {
    let at = line.at.parse().ok()?;
    let fields = serde_json::from_str(&line.text).ok()?;
    Some(Entry { region: region.clone(), service: service.to_owned(), at, fields })
}
