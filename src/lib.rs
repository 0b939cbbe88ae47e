//! fedctl stands up, federates, watches and proves RabbitMQ across regions.

// core: values from values
pub mod desired;
pub mod event;
pub mod export;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod proof;
pub mod queues;
pub mod secret;
pub mod status;
pub mod topology;
pub mod trace;

// adapters: one foreign system each
pub mod docker;
pub mod endpoint;
pub mod executable;
pub mod rabbitmq;
pub mod recipe;
pub mod workdir;

// drivers: the order of effects
pub mod apply;
pub mod collect;
pub mod image;
pub mod scenario;
pub mod up;
pub mod wait;

// services: the programs inside the regions
pub mod service;

// faces: values for people and programs
pub mod cli;
pub mod command;
pub mod output;
