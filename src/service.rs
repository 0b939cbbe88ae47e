//! The programs that run inside the regions' containers: HTTP in, AMQP out.
//!
//! They know their environment and nothing else: no Docker, no management API, no topology file.

pub mod backoff;
pub mod contract;
pub mod log;
pub mod message;
pub mod publisher;
pub mod session;
pub mod store;
