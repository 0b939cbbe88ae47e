//! What was done lately, remembered in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Identifiers remembered: more than a link's prefetch, which is how many come again at most when one breaks.
const REMEMBERED: usize = 4096;

/// The latest identifiers of messages. For effects that are harmless when repeated, and noisy: a restart forgets
/// them, so what must never happen twice belongs into a [`super::store::Store`].
#[derive(Debug, Default)]
pub struct Recent(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Recent {
    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.contains(id)
    }

    /// Adds one, and forgets the oldest where there are too many.
    pub fn insert(&self, id: &str) {
        let (known, order) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(id.to_owned()) {
            order.push_back(id.to_owned());
        }
        if order.len() > REMEMBERED {
            order.pop_front().map(|oldest| known.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_remembered_as_a_broken_link_can_bring_again() {
        let recent = Recent::default();
        (0..=REMEMBERED).for_each(|id| recent.insert(&id.to_string()));
        assert!(!recent.contains("0"), "the oldest is forgotten");
        assert!(recent.contains("1") && recent.contains(&REMEMBERED.to_string()));
    }
}
