//! Queues, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::{
    counted::counted,
    queues::{QueueStatus, Queues},
};

/// The queues that hold messages or have no consumer, and all of them with `wide`; then what is wrong.
#[must_use]
pub fn render(queues: &Queues, wide: bool) -> String {
    let is_shown = |queue: &&QueueStatus| {
        wide || queue.ready + queue.unacknowledged > 0 || (queue.consumers == Some(0) && !queue.dead_letters)
    };
    let mut table = Builder::new();
    table.push_record(["REGION", "QUEUE", "READY", "UNACKED", "CONSUMERS", "GROWTH"]);
    let shown: Vec<&QueueStatus> = queues.queues.iter().filter(is_shown).collect();
    for queue in &shown {
        table.push_record([
            queue.region.to_string(),
            queue.name.clone(),
            queue.ready.to_string(),
            queue.unacknowledged.to_string(),
            queue.consumers.map_or_else(|| "-".into(), |consumers| consumers.to_string()),
            queue.growth.map_or_else(|| "-".into(), |growth| format!("{growth:+.1}/s")),
        ]);
    }
    let mut text = String::new();
    if !shown.is_empty() {
        writeln!(text, "{}", table.build().with(Style::blank())).ok();
    }
    let hidden = queues.queues.len() - shown.len();
    if hidden > 0 {
        writeln!(text, "{} not shown (-o wide shows all)", counted(hidden, "empty queue")).ok();
    }
    for found in &queues.diagnostics {
        let help = found.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        writeln!(text, "{} {found}{help} ({})", "!".yellow(), found.code).ok();
    }
    text
}
