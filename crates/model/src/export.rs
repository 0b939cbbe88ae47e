//! A topology in the form of other tools.

pub mod compose;

use std::collections::BTreeMap;

/// Texts by their paths below the directory that they are written to.
pub type Files = BTreeMap<String, String>;
