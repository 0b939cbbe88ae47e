//! What fedctl reports as wrong: one form for a file, a link, a queue, a broker and a plan.

mod code;
mod page;

use std::{fmt, ops::Range};

use schemars::JsonSchema;
use serde::Serialize;

pub use code::Code;
pub use page::pages;

use crate::{status::LinkRef, topology::RegionName};

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works; the diagnostic names what it may cost.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// What kind of problem it is; `fedctl explain CODE` explains it.
    #[schemars(with = "String")]
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// Why, where more is known than the message.
    pub cause: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

/// Where something is wrong: in the topology's file, or with an object of the engine or a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Place {
    /// In the topology's file.
    File(Position),
    /// A region's broker.
    Broker {
        /// Its region.
        region: RegionName,
    },
    /// A federation link.
    Link(LinkRef),
    /// A queue.
    Queue {
        /// The region of its broker.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// A policy.
    Policy {
        /// The region of its broker.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// An upstream.
    Upstream {
        /// The region of the downstream broker, which holds its definition.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// An exchange.
    Exchange {
        /// The region of its broker.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// A set of upstreams.
    UpstreamSet {
        /// The region of the broker that holds it.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// A user.
    User {
        /// The region of its broker.
        region: RegionName,
        /// Its name.
        name: String,
    },
    /// A network of the engine.
    Network {
        /// Its name.
        name: String,
    },
    /// A volume of the engine.
    Volume {
        /// Its name.
        name: String,
    },
    /// A container of the engine.
    Container {
        /// Its name.
        name: String,
    },
    /// A project on the engine.
    Project {
        /// Its name.
        name: String,
    },
}

/// A place in the text of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Position {
    /// The bytes: within one line, from character to character.
    pub span: Range<usize>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

impl Place {
    /// The regions that it is in: of a link both ends, of the file and of what is the engine's none.
    #[must_use]
    pub fn regions(&self) -> Vec<&RegionName> {
        match self {
            Place::Link(link) => vec![&link.downstream, &link.upstream],
            Place::Broker { region }
            | Place::Queue { region, .. }
            | Place::Policy { region, .. }
            | Place::Upstream { region, .. }
            | Place::Exchange { region, .. }
            | Place::UpstreamSet { region, .. }
            | Place::User { region, .. } => vec![region],
            Place::File(_)
            | Place::Network { .. }
            | Place::Volume { .. }
            | Place::Container { .. }
            | Place::Project { .. } => Vec::new(),
        }
    }
}

impl Diagnostic {
    #[must_use]
    pub fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        let severity = code.severity();
        Self { code, severity, place, message: message.into(), cause: None, help: None }
    }

    #[must_use]
    pub fn cause(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(Position { line, column, .. }) => write!(f, "{line}:{column}"),
            Place::Broker { region } => write!(f, "broker `{region}`"),
            Place::Link(link) => write!(f, "link {link}"),
            Place::Queue { region, name } => write!(f, "queue `{name}` in `{region}`"),
            Place::Policy { region, name } => write!(f, "policy `{name}` in `{region}`"),
            Place::Upstream { region, name } => write!(f, "upstream `{name}` in `{region}`"),
            Place::Exchange { region, name } => write!(f, "exchange `{name}` in `{region}`"),
            Place::UpstreamSet { region, name } => write!(f, "upstream set `{name}` in `{region}`"),
            Place::User { region, name } => write!(f, "user `{name}` in `{region}`"),
            Place::Network { name } => write!(f, "network `{name}`"),
            Place::Volume { name } => write!(f, "volume `{name}`"),
            Place::Container { name } => write!(f, "container `{name}`"),
            Place::Project { name } => write!(f, "project `{name}`"),
        }
    }
}
