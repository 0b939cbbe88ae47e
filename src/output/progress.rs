//! Progress, while drivers work.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use super::Output;
use crate::cli::Progress;
use fedctl_model::{
    counted::counted,
    event::{Event, Events},
};

/// Events to lines on standard error.
#[must_use]
pub fn events(progress: Progress, output: Output) -> Events {
    match progress {
        Progress::Quiet => Events::to(|_| {}),
        Progress::Json => Events::to(move |event| output.message(&json_line(&event))),
        Progress::Auto if Output::animates() => moving(),
        Progress::Tty => moving(),
        Progress::Auto | Progress::Plain => plain(output),
    }
}

fn moving() -> Events {
    let lines = Mutex::new(Moving::default());
    Events::to(move |event| {
        if let Ok(mut lines) = lines.lock() {
            lines.show(&event);
        }
    })
}

fn plain(output: Output) -> Events {
    let plain = Mutex::new(Plain { output, started: Instant::now(), links: 0 });
    Events::to(move |event| {
        if let Ok(mut plain) = plain.lock() {
            plain.show(&event);
        }
    })
}

/// One line for every subject that is done, with the time since the beginning.
struct Plain {
    output: Output,
    started: Instant,
    links: usize,
}

impl Plain {
    fn show(&mut self, event: &Event) {
        match event {
            Event::StepDone { subject, result, last: true, .. } => {
                self.line("done", &format!("{subject}: {result}"));
            }
            Event::StepFailed { subject, error } => {
                self.line("failed", &format!("{subject}: {}", first_line(error)));
            }
            Event::Links { running, expected, .. } if *running != self.links => {
                self.links = *running;
                self.line("links", &format!("{running} of {expected} running"));
            }
            Event::LinksRunning { expected, .. } => {
                self.line("done", &format!("all {} running", counted(*expected, "link")));
            }
            Event::Note { text } => self.line("note", text),
            Event::Planned { .. }
            | Event::StepStarted { .. }
            | Event::Progress { .. }
            | Event::StepDone { .. }
            | Event::Links { .. } => {}
        }
    }

    fn line(&self, word: &str, text: &str) {
        self.output.message(&format!("{:>6.1} s  {word:<6}  {text}\n", self.started.elapsed().as_secs_f64()));
    }
}

/// One moving line for every subject that is being worked on; finished ones stay.
#[derive(Default)]
struct Moving {
    lines: MultiProgress,
    bars: HashMap<String, ProgressBar>,
}

impl Moving {
    fn show(&mut self, event: &Event) {
        match event {
            Event::StepStarted { subject, action } => self.bar(subject).set_message(action.clone()),
            Event::Progress { subject, text } => self.bar(subject).set_message(text.clone()),
            Event::StepDone { subject, result, last: true, .. } => self.finish(subject, result),
            Event::StepFailed { subject, error } => self.fail(subject, error),
            Event::Links { running, expected, first } => {
                let first = first.as_deref().unwrap_or_default();
                self.bar("links").set_message(format!("{running} of {expected} running  {first}"));
            }
            Event::LinksRunning { expected, .. } => self.finish("links", &format!("all {expected} running")),
            Event::Note { text } => {
                self.lines.println(text).ok();
            }
            Event::Planned { .. } | Event::StepDone { .. } => {}
        }
    }

    fn bar(&mut self, subject: &str) -> &ProgressBar {
        let lines = &self.lines;
        self.bars.entry(subject.to_owned()).or_insert_with(|| {
            let bar = lines.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner:.cyan} {prefix:<44} {elapsed:>4}  {msg:.dim}"));
            bar.set_prefix(subject.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        })
    }

    fn finish(&mut self, subject: &str, result: &str) {
        let bar = self.bar(subject);
        bar.set_style(style(&format!("{} {{prefix:<44}} {{elapsed:>4}}  {{msg:.dim}}", "✓".green())));
        bar.finish_with_message(result.to_owned());
    }

    fn fail(&mut self, subject: &str, error: &str) {
        let bar = self.bar(subject);
        bar.set_style(style(&format!("{} {{prefix:<44}} {{elapsed:>4}}  {{msg}}", "✗".red())));
        bar.abandon_with_message(first_line(error).to_owned());
    }
}

/// The whole of an error is printed when everything has ended.
fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn json_line(event: &Event) -> String {
    serde_json::to_string(event).map(|line| line + "\n").unwrap_or_default()
}
