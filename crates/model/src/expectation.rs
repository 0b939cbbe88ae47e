//! The topology's own tests while they run: where their messages are looked for, what arrived, and what that means.

mod course;
mod report;
mod tally;

pub use course::{Course, Crossing, Found, Inbox, Wanted};
pub use report::{Arrival, Failure, TestReport, TestState, TestsReport, schema};
pub use tally::{Evidence, Tally};

/// The header by which a message of a test is known. Its value is that of a probe's message.
pub const HEADER: &str = "x-fedctl-test";
