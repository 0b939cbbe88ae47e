//! Storing what an event says, unless that is stored already.

use fedctl_contract::log::event;

/// What a store did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert {
    /// The store is now as the event says.
    Applied,
    /// The message was applied before.
    Duplicate,
    /// A newer event is stored.
    Stale,
}

impl Upsert {
    /// The log event for it, where `applied` is that of a change.
    #[must_use]
    pub fn event(self, applied: &'static str) -> &'static str {
        match self {
            Self::Applied => applied,
            Self::Duplicate => event::DUPLICATE_SKIPPED,
            Self::Stale => event::STALE_SKIPPED,
        }
    }
}
