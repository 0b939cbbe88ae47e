//! What drivers report while they work.

use std::{sync::Arc, time::Duration};

/// Something that happened.
#[derive(Debug, Clone)]
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
    /// A step that takes a while says how far it is, or what it waits for.
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
        took: Duration,
        /// Whether it was the subject's last.
        last: bool,
    },
    /// A step failed.
    StepFailed {
        /// What it worked on.
        subject: String,
        /// Why.
        error: String,
    },
    /// The links that are awaited: how many run, and what the first other one says.
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
        took: Duration,
    },
    /// Something a reader may want to know.
    Note(String),
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

    /// Sends how far a subject is, or what it waits for.
    pub fn progress(&self, subject: &str, text: impl Into<String>) {
        self.send(Event::Progress { subject: subject.to_owned(), text: text.into() });
    }
}
