//! The errors of an engine.

use std::{borrow::Cow, fmt, io, sync::Arc};

use bollard::errors::Error;

use super::address::{AddressError, EngineAddress};
use crate::chain::causes;

/// What the engine was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Attach a container to a network.
    Connect,
    List,
    Inspect,
    Pull,
    Import,
    Create,
    /// Write files into a container.
    Upload,
    Start,
    Unpause,
    Stop,
    Remove,
    ReadLogs,
    /// Run a command in a container.
    Execute,
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
            Operation::Execute => "run a command in",
        })
    }
}

/// An operation of the engine that failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It is not known where the engine is.
    #[error(transparent)]
    Address(AddressError),
    #[error("cannot connect to {address}")]
    NotConnected {
        address: Box<EngineAddress>,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the engine at {0} is on another machine: it publishes ports on its own loopback address, where they cannot \
         be reached from here"
    )]
    Elsewhere(Arc<EngineAddress>),
    /// The engine answered with an error.
    #[error("cannot {operation} `{subject}`: {message}")]
    Refused {
        operation: Operation,
        subject: String,
        /// The HTTP status.
        status: u16,
        message: String,
    },
    #[error("cannot {operation} `{subject}`")]
    Unreachable {
        operation: Operation,
        subject: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request could not be made, or its answer not be read.
    #[error("cannot {operation} `{subject}`")]
    Failed {
        operation: Operation,
        subject: String,
        #[source]
        source: Box<Error>,
    },
    #[error("the engine at `{host}` has API version {version}; fedctl needs 1.41 (Docker 20.10) or newer")]
    TooOld { host: String, version: String },
    #[error("`{command}` in `{container}` failed with exit code {}: {printed}", code.map_or("unknown".into(), |code| code.to_string()))]
    Command {
        container: String,
        command: String,
        /// Its exit code, if the engine knows it.
        code: Option<i64>,
        /// What it wrote to its outputs.
        printed: String,
    },
    #[error("cannot write the files of `{container}`: its image has no user `{user}`")]
    NoSuchUser { container: String, user: String },
}

/// What callers distinguish, or give a hint for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The engine's address is wrong.
    Address,
    Unreachable,
    /// The engine's published ports cannot be reached.
    Elsewhere,
    /// The engine's socket is not open to this user.
    Forbidden,
    TooOld,
    NotFound,
    /// The subject is being removed already.
    RemovalInProgress,
    /// The subject cannot be removed while it runs.
    Running,
    PortTaken,
    DiskFull,
    /// The limit of open files is above the engine's own.
    OpenFilesLimit,
    /// No address range is left for a network.
    NoAddressPool,
    Other,
}

impl EngineError {
    /// The error of a first request, which names the engine if there was no answer.
    pub(super) fn connecting(self, address: &EngineAddress) -> Self {
        let address = Box::new(address.clone());
        match self {
            Self::Unreachable { source, .. } => Self::NotConnected { address, source },
            Self::Failed { source, .. } if !matches!(*source, Error::JsonDataError { .. }) => {
                Self::NotConnected { address, source }
            }
            error @ (Self::Address(_)
            | Self::NotConnected { .. }
            | Self::Elsewhere(_)
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::TooOld { .. }
            | Self::NoSuchUser { .. }
            | Self::Command { .. }) => error,
        }
    }

    pub(super) fn new(operation: Operation, subject: &str, source: Error) -> Self {
        let subject = subject.to_owned();
        #[expect(clippy::wildcard_enum_match_arm, reason = "bollard's list is open")]
        match source {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Refused { operation, subject, status: status_code, message: message.trim().to_owned() }
            }
            // in the middle of a pull or an import, whose status was sent at its start
            Error::DockerStreamError { error } => {
                Self::Refused { operation, subject, status: 200, message: error.trim().to_owned() }
            }
            // without bollard's wrapper, which repeats its cause
            Error::HyperLegacyError { err } => Self::Unreachable { operation, subject, source: err.into() },
            Error::RequestTimeoutError | Error::SocketNotFoundError(_) => {
                Self::Unreachable { operation, subject, source: source.into() }
            }
            source => Self::Failed { operation, subject, source: Box::new(source) },
        }
    }

    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Address(_) => Problem::Address,
            Self::Elsewhere(_) => Problem::Elsewhere,
            Self::Refused { status: 404, .. } => Problem::NotFound,
            Self::Refused { status, message, .. } => classify(*status, message),
            Self::Unreachable { source, .. } | Self::NotConnected { source, .. }
                if is_permission_denied(&**source) =>
            {
                Problem::Forbidden
            }
            Self::Unreachable { .. } | Self::NotConnected { .. } => Problem::Unreachable,
            Self::TooOld { .. } => Problem::TooOld,
            Self::Failed { .. } | Self::NoSuchUser { .. } | Self::Command { .. } => Problem::Other,
        }
    }

    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.problem() == Problem::NotFound
    }

    /// What to do about it, if that is obvious.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        if let Self::Address(error) = self {
            return error.hint().map(Cow::Owned);
        }
        if let Self::NotConnected { address, .. } = self
            && let Some(socket) = &address.rootless
        {
            let socket = socket.display();
            return Some(Cow::Owned(format!(
                "a rootless engine's socket is there: set DOCKER_HOST=unix://{socket}, or `docker context use rootless`"
            )));
        }
        self.problem().hint().map(Cow::Borrowed)
    }
}

impl Problem {
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Unreachable => {
                Some("start the engine (systemctl start docker), or point DOCKER_HOST at one")
            }
            Self::Elsewhere => Some(
                "run fedctl on the engine's machine, or forward its socket and each port that the topology sets: \
                 `ssh -L ./d.sock:/var/run/docker.sock -L PORT:localhost:PORT HOST`, then DOCKER_HOST=unix://$PWD/d.sock",
            ),
            Self::Forbidden => Some(
                "add yourself to the socket's group (sudo usermod -aG docker $USER, then log in again), or use sudo",
            ),
            Self::TooOld => Some("upgrade the engine to Docker 20.10 or newer"),
            Self::PortTaken => {
                Some("free the port, or choose another in the topology; without one the engine chooses")
            }
            Self::DiskFull => Some("free space on the engine's disk (docker system df, docker system prune)"),
            Self::OpenFilesLimit => Some("lower `broker.open-files` in the topology"),
            Self::NoAddressPool => Some("remove unused networks: docker network prune"),
            Self::Address | Self::NotFound | Self::RemovalInProgress | Self::Running | Self::Other => None,
        }
    }
}

/// Errors that the engine distinguishes only by their text; that of Docker 20.10 to 29.
fn classify(status: u16, message: &str) -> Problem {
    let contains = |text| message.contains(text);
    match status {
        409 if contains("already in progress") => Problem::RemovalInProgress,
        409 if contains("running") => Problem::Running,
        _ if contains("port is already allocated") || contains("address already in use") => {
            Problem::PortTaken
        }
        _ if contains("no space left on device") => Problem::DiskFull,
        _ if contains("rlimit") => Problem::OpenFilesLimit,
        _ if contains("non-overlapping IPv4 address pool") => Problem::NoAddressPool,
        _ => Problem::Other,
    }
}

fn is_permission_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::{
        super::address::{Origin, Transport},
        *,
    };

    fn problem(source: Error) -> Problem {
        EngineError::new(Operation::Remove, "shop", source).problem()
    }

    fn answer(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.into() }
    }

    #[test]
    fn a_socket_that_is_closed_to_this_user_is_forbidden_and_a_missing_one_unreachable() {
        let denied = EngineError::Unreachable {
            operation: Operation::List,
            subject: "containers".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied).into(),
        };
        assert_eq!(denied.problem(), Problem::Forbidden);
        assert_eq!(problem(Error::SocketNotFoundError("/nowhere".into())), Problem::Unreachable);
    }

    #[test]
    fn a_rootless_engines_socket_is_named_where_the_systems_gives_no_answer() {
        let address = |rootless: Option<&str>| EngineAddress {
            url: "unix:///var/run/docker.sock".into(),
            transport: Transport::Unix("/var/run/docker.sock".into()),
            origin: Origin::Default,
            rootless: rootless.map(Into::into),
        };
        let hint = |rootless| {
            let missing = Error::SocketNotFoundError("/var/run/docker.sock".into());
            let error =
                EngineError::new(Operation::List, "containers", missing).connecting(&address(rootless));
            assert_eq!(error.to_string(), "cannot connect to `unix:///var/run/docker.sock` (the default)");
            error.hint().unwrap()
        };
        assert!(
            hint(Some("/run/user/1000/docker.sock"))
                .contains("DOCKER_HOST=unix:///run/user/1000/docker.sock")
        );
        assert!(hint(None).starts_with("start the engine"));
    }

    #[test]
    fn what_an_engine_refuses_is_classified_by_status_and_then_by_words() {
        assert_eq!(problem(answer(404, "no such container: running")), Problem::NotFound);
        let running =
            "You cannot remove a running container 4c01. Stop the container before attempting removal";
        assert_eq!(problem(answer(409, running)), Problem::Running);
        let removal = "removal of container 4c01 is already in progress";
        assert_eq!(problem(answer(409, removal)), Problem::RemovalInProgress);
        let taken = "driver failed programming external connectivity: Bind for 127.0.0.1:5672 failed: port is already allocated";
        assert_eq!(problem(answer(500, taken)), Problem::PortTaken);
        assert_eq!(problem(answer(500, "write layer: no space left on device")), Problem::DiskFull);
        assert_eq!(problem(answer(500, "something else")), Problem::Other);
    }
}
