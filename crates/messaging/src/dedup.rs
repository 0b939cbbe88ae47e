//! What was done lately, remembered in memory.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Identifiers remembered: more than a link's prefetch, which is how many come again at most when one breaks.
const REMEMBERED: usize = 4096;

/// The latest identifiers of messages. For effects that are harmless when repeated, and noisy: a restart forgets
/// them, so what must never happen twice belongs into a [`super::store::Store`].
///
/// Of an identifier 128 bits of keyed hashes are kept: that two are taken for one is less likely than that the
/// machine fails, and thousands of small texts that stay, between all that goes, would cost a kilobyte each.
#[derive(Debug, Default)]
pub struct DedupCache {
    keys: [RandomState; 2],
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashSet<[u64; 2]>,
    /// What is done, the oldest first.
    done: VecDeque<[u64; 2]>,
}

impl DedupCache {
    /// Begins what this identifier asks for; `None` where that is done, or under way.
    #[must_use]
    pub fn begin(&self, id: &str) -> Option<InFlightGuard<'_>> {
        let id = self.keys.each_ref().map(|key| key.hash_one(id));
        self.lock().all.insert(id).then(|| InFlightGuard { recent: self, id: Some(id) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something under way. Dropped before it is done, it may be begun again.
#[must_use = "dropped, it has not begun"]
pub struct InFlightGuard<'a> {
    recent: &'a DedupCache,
    /// None when it is done.
    id: Option<[u64; 2]>,
}

impl InFlightGuard<'_> {
    /// It is done, and remembered; the oldest is forgotten where there are too many.
    pub fn complete(mut self) {
        let Known { all, done } = &mut *self.recent.lock();
        done.extend(self.id.take());
        if done.len() > REMEMBERED {
            done.pop_front().map(|oldest| all.remove(&oldest));
        }
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.recent.lock().all.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_remembered_as_a_broken_link_can_bring_again() {
        let recent = DedupCache::default();
        (0..=REMEMBERED).for_each(|id| recent.begin(&id.to_string()).unwrap().complete());
        assert!(recent.begin("0").is_some(), "the oldest is forgotten");
        assert!(recent.begin("1").is_none() && recent.begin(&REMEMBERED.to_string()).is_none());
    }

    #[test]
    fn what_is_under_way_is_not_begun_again_unless_it_comes_to_nothing() {
        let recent = DedupCache::default();
        let begun = recent.begin("a");
        assert!(begun.is_some() && recent.begin("a").is_none());
        drop(begun);
        recent.begin("a").unwrap().complete();
        assert!(recent.begin("a").is_none());
    }
}
