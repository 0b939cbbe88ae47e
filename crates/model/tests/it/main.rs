//! What the model decides: values in, values out, in seconds and without an engine.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod catalogue;
mod check;
mod expectation;
mod export;
mod history;
mod plan;
mod probe;
mod status;
mod topology;
mod walls;
