//! An AMQP client for services on RabbitMQ that must not lose a message, nor process one for ever.
//!
//! A service lists what it declares and consumes ([`SessionConfig`]), and what it does with a message ([`Consume`]).
//! The [`Session`] does the rest, and restarts on any error, until it is stopped. `examples/word_count.rs` is a
//! complete service.
//!
//! | type | guarantee | limit |
//! | --- | --- | --- |
//! | [`Session`] | one connection is kept up, with all that the service declares and consumes; when it stops, messages in flight are finished | for at most 5 s; what is unfinished then is delivered again |
//! | [`Declarations`] | what a service needs exists before it consumes, whichever service starts first, and is restored if it is deleted: an exchange with its bindings within 2 s, during which messages wait | durable, and without arguments; a service that does not run binds its queues only when it starts, and a federation link when it restarts |
//! | [`Consume`] | a message is acknowledged after it is processed, retried a bounded number of times, and dead-lettered with its reason if it never succeeds | at least once: processing must be idempotent |
//! | [`Subscription`] | in batches and in the queue's order, or concurrently; what fails is retried without holding up the others | a retried message has lost its place in the order |
//! | [`Publisher`] | `Ok` means that a queue has the message: persistent, mandatory and confirmed | after [`PublishError::Unconfirmed`] a queue may have it or not; a direct reply has no queue; messages published while others are in flight wait for the confirms of those |
//! | [`PendingRequests`] | a reply reaches the request with its correlation identifier and no other; a late one is counted and dropped | pending requests are forgotten at a restart |
//! | [`Store`] | a message identifier and the effect of the message are committed together: exactly once in the store | identifiers are kept for seven days |
//! | [`DedupCache`] | recently processed messages are recognised, without a store | forgotten at a restart, and beyond 4096 |
//! | [`Log`] | one JSON line per event, with the correlation identifier | lines are written when the program is idle or 16 KiB wait |
//! | [`Metrics`] | the same events, counted, for Prometheus | since the start of the process |

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
pub use session::{Health, InvalidUri, Session, SessionConfig};
pub use store::{Store, StoreError, mark_processed, processed_outcome};
