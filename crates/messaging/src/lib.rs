//! An AMQP client for services on RabbitMQ.
//!
//! | module | guarantee | limit |
//! | --- | --- | --- |
//! | [`Session`] | one connection, kept up, with what it declares and consumes | |
//! | [`Consume`] | a message is acknowledged after its work is done, tried again a bounded number of times, and dead-lettered with its reason where it never succeeds | work may be done twice: it must be repeatable |
//! | [`Publisher`] | `Ok` means that a queue has the message: mandatory, persistent, confirmed | after [`PublishError::Unconfirmed`] it may be there or not; a direct reply has no queue; what comes while others are under way waits for their confirms |
//! | [`Declarations`] | what a service needs is declared each time it connects, in any order of starts | declared without arguments, all of it durable |
//! | [`Store`] | a message identifier and its effect are committed together: exactly once in the store | identifiers are kept for seven days |
//! | [`DedupCache`] | answers given lately are known, without a store | forgotten at a restart, and beyond 4096 |
//! | [`PendingRequests`] | an answer goes to the request of its correlation identifier and to no other; a late one is counted and dropped | what waited is forgotten at a restart |
//! | [`Log`] | one JSON line per fact, with the correlation identifier | written when the program is idle or 16 KiB wait |
//! | [`Metrics`] | the same facts, counted, and how many requests wait | since the start of the process |

mod backoff;
mod consumer;
mod declarations;
mod dedup;
mod log;
mod message;
mod metrics;
mod publisher;
mod requests;
mod session;
mod store;

pub use consumer::{Consume, ConsumeError, Subscription};
pub use declarations::{Binding, Declarations, Exchange, ExchangeKind};
pub use dedup::{DedupCache, InFlightGuard};
pub use log::{Fields, Line, Log};
pub use message::{Message, Outgoing, fresh_id};
pub use metrics::Metrics;
pub use publisher::{PublishError, Publisher};
pub use requests::{PendingRequests, Replies};
pub use session::{Health, Session, SessionConfig};
pub use store::{Store, StoreError, mark_processed, processed_outcome};
