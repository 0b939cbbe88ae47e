//! The effects: the Docker engine, the management API, and the order in which they are used.

pub mod apply;
pub mod chain;
pub mod docker;
pub mod endpoint;
pub mod executable;
pub mod image;
pub mod inspect;
mod links;
pub mod rabbitmq;
pub mod recipe;
pub mod up;
pub mod wait;
pub mod workdir;
