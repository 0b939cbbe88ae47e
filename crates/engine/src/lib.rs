//! The effects: the Docker engine, the management API, AMQP, and the order in which they are used.

pub mod amqp;
pub mod apply;
pub mod chain;
pub mod credentials;
pub mod docker;
pub mod endpoint;
pub mod executable;
pub mod expectation;
pub mod image;
pub mod inspect;
mod links;
pub mod probe;
pub mod rabbitmq;
pub mod recipe;
pub mod tls;
pub mod up;
pub mod wait;
pub mod workdir;
