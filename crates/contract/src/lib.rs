//! The names that services and scenarios share, each spelled once.
//!
//! [`environment`], [`http`], [`log`] and [`dead_letters`] are common to all services, [`program`] declares the
//! built-in services, and each of the five systems has a module of its own.

pub mod checkout;
pub mod compute;
pub mod dead_letters;
pub mod environment;
pub mod http;
pub mod log;
pub mod profile;
pub mod program;
pub mod rpc;
pub mod shop;
