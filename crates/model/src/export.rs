//! A topology in the formats of other tools.

pub mod compose;

use std::collections::BTreeMap;

/// Texts by path, relative to the directory of the export.
pub type Files = BTreeMap<String, String>;
