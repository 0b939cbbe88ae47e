//! Where messages go that no consumer can process.

/// How the names of dead-letter queues begin.
pub const PREFIX: &str = "dead-letters.";

/// The dead-letter queue of a service, which all its instances in a region share.
#[must_use]
pub fn queue(service: &str) -> String {
    format!("{PREFIX}{service}")
}
