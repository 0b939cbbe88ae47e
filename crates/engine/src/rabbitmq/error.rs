//! A request to a broker that failed, and why.

use std::sync::Arc;

use reqwest::{Method, StatusCode};

use fedctl_model::topology::RegionName;

/// A request to a broker that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {method} {path} on broker `{region}`")]
pub struct BrokerError {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) region: RegionName,
    #[source]
    pub(super) cause: Cause,
}

/// Why a request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Cause {
    #[error("timed out")]
    TimedOut(#[source] Arc<reqwest::Error>),
    #[error("unreachable")]
    Unreachable(#[source] Arc<reqwest::Error>),
    #[error("{reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("unexpected response")]
    Malformed(#[source] Arc<serde_json::Error>),
    #[error("the answer is too long")]
    TooLong,
    #[error("unroutable: no queue is bound for the message")]
    Unroutable,
}

impl BrokerError {
    /// Whether the broker did not answer at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.cause, Cause::TimedOut(_) | Cause::Unreachable(_))
    }

    /// Whether the broker has no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    pub(super) fn is_bad_request(&self) -> bool {
        self.status() == Some(StatusCode::BAD_REQUEST)
    }

    /// Whether the management API has no such resource: with a virtual host called `/` in its path, an unknown one is a
    /// bad request.
    pub(super) fn is_unknown_resource(&self) -> bool {
        self.is_not_found() || self.is_bad_request()
    }

    /// Whether the broker failed to answer with an internal error.
    pub(super) fn is_internal(&self) -> bool {
        self.status() == Some(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the broker took too long to answer.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::TimedOut(_))
    }

    /// Whether the broker rejected fedctl's password.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(StatusCode::UNAUTHORIZED)
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self.cause {
            Cause::Refused { status, .. } => Some(status),
            Cause::TimedOut(_)
            | Cause::Unreachable(_)
            | Cause::Malformed(_)
            | Cause::TooLong
            | Cause::Unroutable => None,
        }
    }
}
