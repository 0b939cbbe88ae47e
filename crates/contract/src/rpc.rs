//! Remote procedure calls between languages and regions.

use crate::program::Program;

/// The queue of requests, from which every worker in every region consumes; federated.
pub const REQUESTS: &str = "python-service-queue";
/// The path of calls.
pub const PATH: &str = "/rpc";
/// The command that analyzes a text or numbers.
pub const ANALYZE: &str = "analyze";
/// The command that names the worker.
pub const PING: &str = "ping";
/// The command that takes as long as the request asks.
pub const SLOW: &str = "slow";
/// The command that fails.
pub const FAIL: &str = "fail";
/// The status of a call that succeeded.
pub const SUCCESS: &str = "success";
/// The error of a call whose command no worker knows.
pub const UNKNOWN_PATTERN: &str = "unknown_pattern";
/// The error of a call that no worker can read.
pub const INVALID_REQUEST: &str = "invalid_request";
/// The error of a call whose command failed.
pub const INTERNAL_SERVER_ERROR: &str = "internal_server_error";
/// The error of a call that was not answered in time.
pub const TIMEOUT: &str = "timeout";
/// The error of a call whose reply cannot be read.
pub const INVALID_REPLY: &str = "invalid_reply";

/// The queue of replies to the calls of one instance of `rpc` in `region`; federated. It stays the same: one per call, or
/// the broker's direct reply-to, would be unknown in the worker's region. Each instance has one of its own, because
/// replies to another would never reach their callers.
#[must_use]
pub fn replies(region: &str, instance: &str) -> String {
    if instance == Program::Rpc.name() {
        format!("rpc-replies.{region}")
    } else {
        format!("rpc-replies.{region}.{instance}")
    }
}
