//! How far links may fall behind.

use super::{
    LinkState, LinkStatus, Status,
    codes::{BACKLOG, LAG},
};
use crate::{
    counted::counted,
    diagnostic::{Diagnostic, Place},
};

/// How far every link may fall behind before a status counts as degraded. What is unknown exceeds nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages that may wait for a link.
    pub backlog: Option<u64>,
    /// Seconds for which messages may wait without becoming fewer.
    pub lag: Option<u64>,
}

impl Limits {
    /// Adds to the warnings of a status the links that exceed a limit, those that do most first.
    pub fn apply(&self, status: &mut Status) {
        let mut links: Vec<&LinkStatus> = status.links.iter().collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.waiting));
        let backlogs = links.iter().filter_map(|link| self.backlog(link));
        let mut found: Vec<Diagnostic> = backlogs.collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.lag_seconds));
        found.extend(links.iter().filter_map(|link| self.lag(link)));
        status.warnings.extend(found);
    }

    fn backlog(&self, link: &LinkStatus) -> Option<Diagnostic> {
        let (limit, waiting) = (self.backlog?, link.waiting?);
        let message = format!("{} queued for it, more than {limit}", counted(waiting, "message"));
        (waiting > limit).then(|| Diagnostic::new(BACKLOG, Place::Link(link.link.clone()), message))
    }

    /// A paused link falls behind on purpose; what waits for it may still become too much.
    fn lag(&self, link: &LinkStatus) -> Option<Diagnostic> {
        if link.state() == LinkState::Paused {
            return None;
        }
        let (limit, waiting, lag) = (self.lag?, link.waiting?, link.lag_seconds?);
        let waiting = counted(waiting, "message");
        let message = format!("{waiting} queued for it, and for {lag} s no fewer, longer than {limit} s");
        (lag > limit).then(|| Diagnostic::new(LAG, Place::Link(link.link.clone()), message))
    }
}

impl Status {
    /// The links that exceed a limit, once limits were applied.
    pub fn over_limits(&self) -> impl Iterator<Item = &Diagnostic> {
        self.warnings.iter().filter(|found| [BACKLOG, LAG].contains(&found.code))
    }
}
