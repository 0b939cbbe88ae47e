//! What was processed recently, remembered in memory.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// More than a federation link's prefetch, which is the most messages that are redelivered when one breaks.
const CAPACITY: usize = 4096;

/// The latest message identifiers. For effects that are harmless when repeated, and noisy: a restart forgets them, so
/// what must never happen twice belongs in a [`Store`](crate::Store).
///
/// Of each identifier 128 bits of keyed hashes are kept: a collision is less likely than that the machine fails, and
/// thousands of long-lived small strings among short-lived ones would cost a kilobyte of heap each.
#[derive(Debug, Default)]
pub struct DedupCache {
    keys: [RandomState; 2],
    ids: Mutex<Ids>,
}

type Id = [u64; 2];

#[derive(Debug, Default)]
struct Ids {
    in_flight_or_complete: HashSet<Id>,
    /// The oldest first.
    complete: VecDeque<Id>,
}

impl DedupCache {
    /// Begins what this message asks for; `None` if that is complete, or in flight.
    #[must_use]
    pub fn begin(&self, message_id: &str) -> Option<InFlightGuard<'_>> {
        let id = self.keys.each_ref().map(|key| key.hash_one(message_id));
        self.lock().in_flight_or_complete.insert(id).then(|| InFlightGuard { cache: self, id: Some(id) })
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something in flight. Dropped before it is complete, it may be begun again.
#[must_use = "dropped, it has not begun"]
pub struct InFlightGuard<'a> {
    cache: &'a DedupCache,
    /// None once it is complete.
    id: Option<Id>,
}

impl InFlightGuard<'_> {
    /// Remembers it, in place of the oldest one if there are too many.
    pub fn complete(mut self) {
        let Ids { in_flight_or_complete, complete } = &mut *self.cache.lock();
        complete.extend(self.id.take());
        if complete.len() > CAPACITY {
            complete.pop_front().map(|oldest| in_flight_or_complete.remove(&oldest));
        }
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.cache.lock().in_flight_or_complete.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_remembered_as_a_broken_link_can_bring_again() {
        let cache = DedupCache::default();
        (0..=CAPACITY).for_each(|id| cache.begin(&id.to_string()).unwrap().complete());
        assert!(cache.begin("0").is_some(), "the oldest is forgotten");
        assert!(cache.begin("1").is_none() && cache.begin(&CAPACITY.to_string()).is_none());
    }

    #[test]
    fn what_is_in_flight_is_not_begun_again_unless_it_is_dropped() {
        let cache = DedupCache::default();
        let in_flight = cache.begin("a");
        assert!(in_flight.is_some() && cache.begin("a").is_none());
        drop(in_flight);
        cache.begin("a").unwrap().complete();
        assert!(cache.begin("a").is_none());
    }
}
