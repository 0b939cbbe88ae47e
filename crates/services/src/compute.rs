//! Commands to hosts: virtual machines on hosts in several regions, from an HTTP API in each.
//!
//! A command is published in the caller's region only. Queue federation takes it to where the host consumes:
//! every service declares the queues of all known hosts, so a command for a host far away, or down, waits.
//!
//! | module | what |
//! | --- | --- |
//! | [`command`] | commands and answers as they travel |
//! | [`api`] | HTTP in, commands out, answers collected until a deadline |
//! | [`requested`] | what the API remembers of the machines it asked for |
//! | [`host`] | one host: commands in, answers out |
//! | [`machines`] | what a host keeps |

pub mod api;
pub mod command;
pub mod host;
pub mod machines;
pub mod requested;
