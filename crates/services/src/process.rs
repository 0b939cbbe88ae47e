//! One service at work: a session with its broker, and HTTP.

use std::sync::Arc;

use axum::Router;
use fedctl_contract::dead_letters;
use fedctl_contract::log::{event, field};
use fedctl_contract::program::Program;
use fedctl_messaging::{
    Consume, Declarations, Log, Metrics, Publisher, Session, SessionConfig, Subscription,
};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http;
use crate::settings::Settings;

/// Seconds between heartbeats: a worker that is busy for long must not lose its connection for it.
fn heartbeat(program: Program) -> u16 {
    if matches!(program, Program::Rpc | Program::RpcWorker) { 30 } else { 10 }
}

/// A program that is about to run: what each is made of.
pub(crate) struct Process {
    pub program: Program,
    pub settings: Settings,
    pub listener: TcpListener,
    pub publisher: Publisher,
    pub metrics: Metrics,
    pub log: Log,
    pub stop: CancellationToken,
}

impl Process {
    /// Consumes and serves until it is to stop.
    pub async fn run(
        self,
        declarations: Declarations,
        subscriptions: Vec<Subscription>,
        consumer: impl Consume,
        router: Router,
    ) -> anyhow::Result<()> {
        let dead_letter_queue = dead_letters::queue(self.program.name());
        let (name, heartbeat) = (format!("fedctl {}", self.program), heartbeat(self.program));
        let config = SessionConfig { name, declarations, subscriptions, dead_letter_queue, heartbeat };
        let session =
            Session::new(self.settings.amqp_uri.expose_secret(), config, self.publisher, self.log.clone())?;
        let router = router.merge(http::health(session.health(), self.metrics));
        let listen = self.listener.local_addr()?.to_string();
        self.log.info(event::STARTED).with(field::LISTEN, listen).write();
        // The listener's failure must also end the session; the caller's token is not ours to cancel.
        let stop = self.stop.child_token();
        let serving = async {
            let served = http::serve(self.listener, router, stop.clone()).await;
            stop.cancel();
            served
        };
        let ((), served) = tokio::join!(session.run(Arc::new(consumer), stop.clone()), serving);
        self.log.info(event::STOPPED).write();
        served
    }
}
