//! Scenarios: what is sent in one region must arrive in others, once, and nowhere else.
//!
//! A scenario is a file with a [`Scenario`] in it, and a line in [`ALL`].

mod checkout;
mod compute;
mod environment;
mod events;
mod log_tail;
mod master;
mod poison;
mod profile;
pub mod proof;
mod reply;
mod request;
mod rpc;
mod run;
mod shop;

use std::fmt;

use futures_util::future::LocalBoxFuture;

pub use environment::{Environment, EnvironmentError, is_up};
use fedctl_contract::program::Program;
use poison::PoisonTarget;
use run::Run;

/// Those that the shipped topology has the services for.
pub const MAIN: [&Scenario; 3] = [&events::SCENARIO, &master::SCENARIO, &reply::SCENARIO];

/// All of them.
pub const ALL: [&Scenario; 7] = [
    &events::SCENARIO,
    &master::SCENARIO,
    &reply::SCENARIO,
    &profile::SCENARIO,
    &rpc::SCENARIO,
    &compute::SCENARIO,
    &checkout::SCENARIO,
];

/// Something to prove across regions.
pub struct Scenario {
    pub name: &'static str,
    /// What it proves, in a sentence.
    pub claim: &'static str,
    /// The service that it starts at.
    starts_at: Program,
    run: for<'r> fn(&'r mut Run<'_>) -> LocalBoxFuture<'r, ()>,
    poison: PoisonTarget,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scenario").field(&self.name).finish()
    }
}
