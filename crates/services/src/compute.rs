//! Commands to hosts: virtual machines on hosts in several regions, from an HTTP front in each.
//!
//! A command is published in the caller's region only. Queue federation takes it to where the host consumes:
//! every service declares the queues of all known hosts, so a command for a host far away, or down, waits.
//!
//! | module | what |
//! | --- | --- |
//! | [`contract`] | names and message bodies |
//! | [`front`] | HTTP in, commands out, answers collected until a deadline |
//! | [`asked`] | what the front remembers of the machines it asked for |
//! | [`host`] | one host: commands in, answers out |
//! | [`machines`] | what a host keeps |

pub mod asked;
pub mod contract;
pub mod front;
pub mod host;
pub mod machines;
