//! What drivers report while they work.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A plan of so many steps is about to be carried out.
    Planned {
        /// How many.
        steps: usize,
    },
    /// A step began.
    StepStarted {
        /// What it works on.
        subject: String,
        /// What it does.
        action: String,
    },
    /// The progress of a step that takes a while, or what it waits for.
    Progress {
        /// What it works on.
        subject: String,
        /// How far it is.
        text: String,
    },
    /// A step is done.
    StepDone {
        /// What it worked on.
        subject: String,
        /// What is so now.
        result: String,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
        /// Whether it was the subject's last.
        #[serde(skip)]
        last: bool,
    },
    /// A step failed.
    StepFailed {
        /// What it worked on.
        subject: String,
        /// Why.
        error: String,
    },
    /// The links that are awaited: how many run, and why the first other one does not.
    Links {
        /// How many run.
        running: usize,
        /// How many are expected.
        expected: usize,
        /// The first that does not run, and why.
        first: Option<String>,
    },
    /// All expected links run.
    LinksRunning {
        /// How many.
        expected: usize,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
    },
    /// Something a reader may want to know.
    Note {
        /// What.
        text: String,
    },
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Where drivers send what happens.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends every event to `listener`.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Sends one.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }

    /// Sends what a reader may want to know.
    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note { text: text.into() });
    }

    /// Sends how far a subject is, or what it waits for.
    pub fn progress(&self, subject: &str, text: impl Into<String>) {
        self.send(Event::Progress { subject: subject.to_owned(), text: text.into() });
    }
}
