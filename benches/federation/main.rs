//! Prints how fast and how small fedctl is on this machine, compared with its baselines: `make bench`.
//!
//! Nothing here passes or fails. A missed target is reported, and docs/performance.md explains why.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod baseline;
mod calls;
mod changes;
mod commands;
mod container;
mod events;
mod figure;
mod floor;
mod latency;
mod machine;
mod management;
mod project;
mod region;
mod scale;
mod services;
mod systems;
mod trouble;

use anyhow::{Result, bail};
use baseline::Baseline;
use container::Engine;
use project::Project;

/// How often, how much, and what.
struct Settings {
    /// How often the slow things are repeated.
    repetitions: usize,
    /// How many events make a load.
    events: usize,
    /// How many calls, commands, orders or updates make a load.
    calls: usize,
    /// How many workers an `rpc-worker` is.
    workers: usize,
    /// How many events are timed one by one.
    samples: usize,
    /// The one part to run; all of them by default.
    only: Option<String>,
}

const PARTS: [&str; 5] = ["commands", "services", "systems", "scale", "changes"];

impl Settings {
    fn from_env() -> Result<Self> {
        let number = |name: &str, default: usize| match std::env::var(name) {
            Ok(text) => text.parse().map_err(|error| anyhow::anyhow!("`{name}` is `{text}`: {error}")),
            Err(_) => Ok(default),
        };
        let only = std::env::var("BENCH_ONLY").ok().filter(|part| !part.is_empty());
        if let Some(part) = only.as_deref().filter(|part| !PARTS.contains(part)) {
            bail!("`BENCH_ONLY` is `{part}`, which is none of {}", PARTS.join(", "));
        }
        Ok(Self {
            repetitions: number("BENCH_REPETITIONS", 3)?.max(1),
            events: number("BENCH_EVENTS", 20_000)?.max(1),
            calls: number("BENCH_CALLS", 2000)?.max(1),
            workers: number("BENCH_WORKERS", systems::OUTSTANDING)?.max(1),
            samples: number("BENCH_SAMPLES", 200)?.max(1),
            only,
        })
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn main() -> Result<()> {
    let settings = Settings::from_env()?;
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new()?;
    let engine = runtime.block_on(Engine::connect())?;
    let project = Project::new()?;
    machine::print(engine.version(), &project)?;

    if settings.wants("commands") {
        let baseline = Baseline::new(&runtime, &project)?;
        figure::title("standing up and looking");
        commands::up(&project, &baseline, settings.repetitions)?;
        drop(baseline);
        commands::second_up(&project)?;
        let floor = runtime.block_on(floor::Floor::find(&project, &engine))?;
        commands::status(&project, &floor, settings.repetitions)?;
        commands::demo(&project, settings.repetitions)?;
        commands::size(&project)?;
    }
    if settings.wants("services") {
        // nothing to do, unless it is the only part
        project.time(&["up"])?;
        runtime.block_on(services::compare(&project, &engine, &settings))?;
    }
    if settings.wants("systems") {
        runtime.block_on(systems::compare(&project, &engine, &settings))?;
    }
    if settings.wants("scale") {
        runtime.block_on(scale::measure(&project, &engine, settings.repetitions))?;
    }
    if settings.wants("changes") {
        runtime.block_on(changes::measure(&project, &engine))?;
    }
    Ok(())
}
