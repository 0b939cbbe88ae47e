//! What was done lately, remembered in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Identifiers remembered: more than a link's prefetch, which is how many come again at most when one breaks.
const REMEMBERED: usize = 4096;

/// The latest identifiers of messages. For effects that are harmless when repeated, and noisy: a restart forgets
/// them, so what must never happen twice belongs into a [`super::store::Store`].
#[derive(Debug, Default)]
pub struct Recent(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Recent {
    /// Begins what this identifier asks for; `None` where that is done, or under way.
    #[must_use]
    pub fn begin(&self, id: &str) -> Option<Begun<'_>> {
        self.lock().0.insert(id.to_owned()).then(|| Begun { recent: self, id: Some(id.to_owned()) })
    }

    fn lock(&self) -> MutexGuard<'_, (HashSet<String>, VecDeque<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something under way. Dropped before it is done, it may be begun again.
#[must_use = "dropped, it has not begun"]
pub struct Begun<'a> {
    recent: &'a Recent,
    /// None when it is done.
    id: Option<String>,
}

impl Begun<'_> {
    /// It is done, and remembered; the oldest is forgotten where there are too many.
    pub fn done(mut self) {
        let (known, order) = &mut *self.recent.lock();
        order.extend(self.id.take());
        if order.len() > REMEMBERED {
            order.pop_front().map(|oldest| known.remove(&oldest));
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.recent.lock().0.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_remembered_as_a_broken_link_can_bring_again() {
        let recent = Recent::default();
        (0..=REMEMBERED).for_each(|id| recent.begin(&id.to_string()).unwrap().done());
        assert!(recent.begin("0").is_some(), "the oldest is forgotten");
        assert!(recent.begin("1").is_none() && recent.begin(&REMEMBERED.to_string()).is_none());
    }

    #[test]
    fn what_is_under_way_is_not_begun_again_unless_it_comes_to_nothing() {
        let recent = Recent::default();
        let begun = recent.begin("a");
        assert!(begun.is_some() && recent.begin("a").is_none());
        drop(begun);
        recent.begin("a").unwrap().done();
        assert!(recent.begin("a").is_none());
    }
}
