//! The built-in services, which run inside the regions' containers: HTTP in, AMQP out.
//!
//! They know their environment and nothing else: no Docker, no management API, no topology file.

pub mod checkout;
pub mod compute;
mod decimal;
mod fields;
mod http;
mod process;
pub mod profile;
pub mod rpc;
mod settings;
pub mod shop;
mod upsert;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use fedctl_contract::program::Program;
use fedctl_messaging::{Log, Metrics, Publisher};
pub use http::serve;
use process::Process;
pub use settings::Settings;

/// Runs a program until `stop`, logging to standard output.
///
/// A broker that is down or not yet started is not an error: the service waits for it, unhealthy. After `stop` it
/// takes nothing new, finishes what is in flight within 5 s, and leaves the rest to the broker unacknowledged.
///
/// # Errors
/// When it cannot start (address in use, store not writable, URI not valid) or its listener breaks.
pub async fn run(program: Program, settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let log = Log::stdout(&settings.region, program.name());
    run_logged(program, settings, log, stop).await
}

/// As [`run`], with a log of the caller's choice.
pub async fn run_logged(
    program: Program,
    settings: Settings,
    log: Log,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listening on {}", settings.listen))?;
    let metrics = Metrics::new("fedctl_service");
    let publisher = Publisher::new(log.clone(), metrics.clone());
    let process = Process { program, settings, listener, publisher, metrics, log, stop };
    match program {
        Program::Products => shop::products::run(process).await,
        Program::Indexer => shop::indexer::run(process).await,
        Program::Taxes => shop::taxes::run(process).await,
        Program::Profile => profile::run(process).await,
        Program::Rpc => rpc::run(process).await,
        Program::RpcWorker => rpc::worker::run(process).await,
        Program::Checkout
        | Program::Inventory
        | Program::Payment
        | Program::Notification
        | Program::Email
        | Program::Sms
        | Program::Push
        | Program::Analytics
        | Program::Fraud => checkout::run(process).await,
        Program::Compute => compute::api::run(process).await,
        Program::ComputeHost => compute::host::run(process).await,
    }
}
