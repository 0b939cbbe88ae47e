//! fedctl stands up, federates, watches and proves RabbitMQ across regions.

// core: values from values
pub mod secret;
pub mod topology;

// services: the programs inside the regions
pub mod service;

// faces: values for people and programs
pub mod output;
