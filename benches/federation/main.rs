//! Prints how fast and how small fedctl is on this machine, beside what it is held against: `make bench`.
//!
//! Nothing here passes or fails. An aim that is missed is said to be missed, and docs/performance.md says why.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod baseline;
mod commands;
mod container;
mod events;
mod figure;
mod latency;
mod machine;
mod project;
mod region;
mod services;

use anyhow::Result;
use baseline::Baseline;
use container::Engine;
use project::Project;

/// How often, and how much.
struct Settings {
    /// How often the slow things are repeated.
    repetitions: usize,
    /// How many events make a load.
    events: usize,
    /// How many events are timed one by one.
    samples: usize,
}

impl Settings {
    fn from_env() -> Result<Self> {
        let number = |name: &str, default: usize| match std::env::var(name) {
            Ok(text) => text.parse().map_err(|error| anyhow::anyhow!("`{name}` is `{text}`: {error}")),
            Err(_) => Ok(default),
        };
        Ok(Self {
            repetitions: number("BENCH_REPETITIONS", 3)?.max(1),
            events: number("BENCH_EVENTS", 20_000)?.max(1),
            samples: number("BENCH_SAMPLES", 200)?.max(1),
        })
    }
}

fn main() -> Result<()> {
    let settings = Settings::from_env()?;
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new()?;
    let engine = runtime.block_on(Engine::connect())?;
    let project = Project::new()?;
    machine::print(engine.version(), &project)?;

    let baseline = Baseline::new(&runtime, &project)?;
    figure::title("standing up and looking");
    commands::up(&project, &baseline, settings.repetitions)?;
    drop(baseline);
    commands::second_up(&project)?;
    commands::status(&project, settings.repetitions)?;
    commands::demo(&project, settings.repetitions)?;
    commands::size(&project)?;

    runtime.block_on(services::compare(&project, &engine, &settings))
}
