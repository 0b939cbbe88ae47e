//! What a service on a broker needs, whatever it does: copy this folder to write one of your own.
//!
//! | module | guarantee | limit |
//! | --- | --- | --- |
//! | [`session`] | one connection, kept up, with what it declares and consumes | |
//! | [`consume`] | a message is acknowledged after its work is done, tried again a bounded number of times, and parked with its reason where it never will be | work may be done twice: it must be repeatable |
//! | [`publisher`] | `Ok` means that a queue has the message: mandatory, persistent, confirmed | after [`publisher::PublishError::Unconfirmed`] it may be there or not; a direct reply has no queue; what comes while others are under way waits for their confirms |
//! | [`wiring`] | what a service needs is declared each time it connects, in any order of starts | declared without arguments, all of it durable |
//! | [`store`] | a message identifier and its effect are committed together: exactly once in the store | identifiers are kept for seven days |
//! | [`recent`] | answers given lately are known, without a store | forgotten at a restart, and beyond 4096 |
//! | [`requests`] | an answer goes to the request of its correlation identifier and to no other; a late one is counted and dropped | what waited is forgotten at a restart |
//! | [`log`] | one JSON line per fact, with the correlation identifier | written when the program has nothing else to do: see [`log::flush`] |
//! | [`metrics`] | the same facts, counted, and how many requests wait | since the start of the process |

pub mod backoff;
pub mod consume;
pub mod log;
pub mod message;
pub mod metrics;
pub mod publisher;
pub mod recent;
pub mod requests;
pub mod session;
pub mod store;
pub mod wiring;
