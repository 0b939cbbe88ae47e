//! What all built-in services serve over HTTP. The paths of a system are in its own module.

/// The port that they listen on, in their containers.
pub const PORT: u16 = 8000;
/// 200 once the consumers are attached, 503 with the reason before.
pub const HEALTHZ: &str = "/healthz";
/// Counters, for Prometheus.
pub const METRICS: &str = "/metrics";
/// The response header with the correlation identifier of what a request published.
pub const CORRELATION_ID: &str = "x-correlation-id";
