//! The flags of `fedctl exporter`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

/// Where the exporter listens by default: reachable from this machine alone.
const EXPORTER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9419);

/// `fedctl exporter`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl exporter                           until interrupted; GET /metrics and GET /healthz\n  fedctl exporter --listen 10.0.0.5:9419    also for a Prometheus elsewhere: there is no password"
)]
pub struct Exporter {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = EXPORTER)]
    pub listen: SocketAddr,
}
