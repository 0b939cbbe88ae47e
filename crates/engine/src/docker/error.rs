//! What can go wrong at an engine.

use std::fmt;

use bollard::errors::Error;

/// What the engine was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reach the engine, or attach a container to a network.
    Connect,
    /// List objects.
    List,
    /// Look at one.
    Inspect,
    /// Pull an image.
    Pull,
    /// Import an image.
    Import,
    /// Create something.
    Create,
    /// Write files into a container.
    Upload,
    /// Start a container.
    Start,
    /// Unpause a container.
    Unpause,
    /// Stop a container.
    Stop,
    /// Remove something.
    Remove,
    /// Read a container's output.
    ReadLogs,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Connect => "connect to",
            Operation::List => "list",
            Operation::Inspect => "inspect",
            Operation::Pull => "pull",
            Operation::Import => "import",
            Operation::Create => "create",
            Operation::Upload => "write the files of",
            Operation::Start => "start",
            Operation::Unpause => "unpause",
            Operation::Stop => "stop",
            Operation::Remove => "remove",
            Operation::ReadLogs => "read the log of",
        })
    }
}

/// An operation of the engine that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{subject}`: {message}")]
pub struct EngineError {
    operation: Operation,
    subject: String,
    message: String,
    status: Option<u16>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Other,
    Unreachable,
    Forbidden,
    TooOld,
}

impl EngineError {
    pub(super) fn new(operation: Operation, subject: &str, source: Error) -> Self {
        let mut kind = match &source {
            Error::HyperLegacyError { .. } | Error::RequestTimeoutError | Error::SocketNotFoundError(_) => {
                Kind::Unreachable
            }
            _ => Kind::Other,
        };
        let mut status = None;
        let message = if let Error::DockerResponseServerError { status_code, message } = source {
            status = Some(status_code);
            message.trim().to_owned()
        } else {
            let text = chain(&source);
            if text.contains("ermission denied") {
                kind = Kind::Forbidden;
            }
            text
        };
        Self { operation, subject: subject.to_owned(), message, status, kind }
    }

    pub(super) fn too_old(host: &str, version: &str) -> Self {
        let message = format!("it speaks API {version}, and fedctl needs 1.41 (Docker 20.10) or newer");
        Self {
            operation: Operation::Connect,
            subject: host.into(),
            message,
            status: None,
            kind: Kind::TooOld,
        }
    }

    pub(super) fn no_such_user(container: &str, user: &str) -> Self {
        let message = format!("its image has no user `{user}`");
        let (operation, kind) = (Operation::Upload, Kind::Other);
        Self { operation, subject: container.into(), message, status: None, kind }
    }

    /// Whether the subject does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the subject is just being removed.
    #[must_use]
    pub fn is_removal_in_progress(&self) -> bool {
        self.status == Some(409) && self.message.contains("already in progress")
    }

    /// Whether the subject cannot be removed since it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == Some(409) && self.message.contains("running")
    }

    /// Whether no engine answered.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.kind == Kind::Unreachable
    }

    /// Whether the engine's socket refused this user.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.kind == Kind::Forbidden
    }

    /// The mend, where there is an obvious one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let says = |text| self.message.contains(text);
        match self.kind {
            Kind::Unreachable => {
                Some("start the engine (systemctl start docker), or point DOCKER_HOST at one")
            }
            Kind::Forbidden => Some(
                "join the group of the socket (sudo usermod -aG docker $USER, then log in again), or use sudo",
            ),
            Kind::TooOld => Some("upgrade the engine to Docker 20.10 or newer"),
            Kind::Other if says("port is already allocated") || says("address already in use") => {
                Some("free the port, or choose another in the topology; without one the engine chooses")
            }
            Kind::Other if says("no space left on device") => {
                Some("free space where the engine keeps its data (docker system df, docker system prune)")
            }
            Kind::Other if says("rlimit") => Some("lower `broker.open-files` in the topology"),
            Kind::Other if says("non-overlapping IPv4 address pool") => {
                Some("remove networks that nobody uses: docker network prune")
            }
            Kind::Other => None,
        }
    }
}

/// An error with its causes, since some of bollard's say nothing themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
