//! What people and programs read: every word and colour that fedctl prints.

pub mod findings;
