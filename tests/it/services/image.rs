//! The image that every test's brokers are made from.

/// `BROKER_IMAGE`, or the one that a topology has by default.
pub fn broker_image() -> String {
    std::env::var("BROKER_IMAGE").unwrap_or_else(|_| "rabbitmq:4-management".into())
}
