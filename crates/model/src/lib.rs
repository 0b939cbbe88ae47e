//! The desired state, the observed state, and the plan: values made from values, without waiting, reading or
//! printing.

pub mod check;
pub mod counted;
pub mod definition;
pub mod desired;
pub mod diagnostic;
pub mod doctor;
pub mod event;
pub mod expectation;
pub mod export;
pub mod federation;
pub mod import;
pub mod init;
pub mod names;
pub mod observed;
pub mod outcome;
pub mod password;
pub mod pattern;
pub mod plan;
pub mod probe;
pub mod queues;
pub mod secret;
pub mod site;
pub mod status;
pub mod topology;
pub mod trace;
