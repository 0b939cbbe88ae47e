//! The command line of fedctl: what can be asked for, and what people and programs see of it.

pub mod catalogue;
pub mod cli;
pub mod command;
pub mod output;
