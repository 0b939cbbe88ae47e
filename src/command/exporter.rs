//! `fedctl exporter`.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use fedctl_contract::http::{HEALTHZ, METRICS};
use fedctl_model::{
    outcome::Outcome,
    status::{Limits, Status},
};
use fedctl_services::serve;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{failure::Failure, look::Looks, project::Project, stop::Stop};
use crate::{
    cli::{self, Global},
    output::{Output, prom},
};

/// How long a look may take. Brokers have less, so only an engine that hangs takes as long; Prometheus gives up after 10 s.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How many scrapes may wait for a look at once; more wait until they are taken note of.
const WAITING: usize = 64;

/// Who waits for a look.
type Scrape = oneshot::Sender<Bytes>;

pub async fn run(global: Global, asked: cli::Exporter, output: Output) -> Result<Outcome, Failure> {
    let stop = Stop::listen()?;
    let mut exporter = Exporter::begin(global, output)?;
    let listener =
        TcpListener::bind(asked.listen).await.map_err(|error| cannot_listen(asked.listen, error))?;
    output.message(&listening(listener.local_addr()?));
    let (scrapes, waiting) = mpsc::channel(WAITING);
    tokio::select! {
        served = serve(listener, router(scrapes), stop.token.clone()) => {
            served.map_err(|error| Failure::new(Outcome::Failed, error))?;
        }
        () = answer(waiting, async || exporter.scrape().await) => {}
    }
    Ok(stop.outcome())
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> Failure {
    let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
    let outcome = if forbidden { Outcome::NotPermitted } else { Outcome::Failed };
    let error = anyhow::Error::new(error).context(format!("cannot listen on `{address}`"));
    Failure::new(outcome, error).hint("choose another address or port with `--listen`")
}

fn listening(address: SocketAddr) -> String {
    let open = if address.ip().is_loopback() {
        ""
    } else {
        "; this is not a loopback address, and there is no password: whoever reaches it can read the metrics"
    };
    format!("listening on {address}, for GET {METRICS} and GET {HEALTHZ}{open}\n")
}

fn router(scrapes: mpsc::Sender<Scrape>) -> Router {
    Router::new()
        .route(METRICS, get(move || metrics(scrapes.clone())))
        .route(HEALTHZ, get(async || "ok\n"))
        .fallback(async || (StatusCode::NOT_FOUND, format!("GET {METRICS}, GET {HEALTHZ}\n")))
}

async fn metrics(scrapes: mpsc::Sender<Scrape>) -> Response {
    let (scrape, answer) = oneshot::channel();
    // it fails only while the program ends
    scrapes.send(scrape).await.ok();
    match answer.await {
        Ok(text) => ([(CONTENT_TYPE, prom::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Looks once for all who wait by the time that a look ends.
async fn answer(mut waiting: mpsc::Receiver<Scrape>, mut look: impl AsyncFnMut() -> String) {
    while let Some(first) = waiting.recv().await {
        let text = Bytes::from(look().await);
        let mut next = Some(first);
        while let Some(scrape) = next {
            // whoever no longer waits is not told
            scrape.send(text.clone()).ok();
            next = waiting.try_recv().ok();
        }
    }
}

/// What looks for whoever scrapes.
struct Exporter {
    global: Global,
    output: Output,
    /// When the topology's file was last written, as far as it was read.
    read: Option<SystemTime>,
    /// Or why nothing can be looked at, such as a topology that is not valid.
    looks: Result<Looks, String>,
    /// Why the last look failed, if it did.
    failed: Option<String>,
}

impl Exporter {
    fn begin(global: Global, output: Output) -> Result<Self, Failure> {
        let read = written(&global);
        let looks = Ok(looks(&global, output)?);
        Ok(Self { global, output, read, looks, failed: None })
    }

    async fn scrape(&mut self) -> String {
        let started = Instant::now();
        let found = timeout(LOOK_TIMEOUT, self.look()).await;
        let found =
            found.unwrap_or_else(|_| Err(format!("the engine does not answer within {LOOK_TIMEOUT:?}")));
        let (status, failed) = match found {
            Ok(status) => (Some(status), None),
            Err(reason) => (None, Some(reason)),
        };
        if failed != self.failed {
            self.output.message(&match &failed {
                Some(reason) => format!("no metrics of regions and links: {reason}\n"),
                None => "metrics of regions and links again\n".into(),
            });
            self.failed = failed;
        }
        prom::render(status, started.elapsed())
    }

    /// Looks now, at what the topology says by now.
    async fn look(&mut self) -> Result<Status, String> {
        let written = written(&self.global);
        if written != self.read {
            self.read = written;
            self.looks = looks(&self.global, self.output).map_err(|failure| failure.cause());
        }
        let looks = self.looks.as_mut().map_err(|reason| reason.clone())?;
        looks.look().await.map(|(status, _)| status).map_err(|failure| failure.cause())
    }
}

fn looks(global: &Global, output: Output) -> Result<Looks, Failure> {
    Looks::at(Project::load(global, output, false)?, global, Limits::default())
}

fn written(global: &Global) -> Option<SystemTime> {
    std::fs::metadata(&global.file).and_then(|found| found.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn scrapes_that_wait_for_a_look_share_it_and_a_later_one_gets_its_own() {
        let (scrapes, waiting) = mpsc::channel(8);
        let ask = || {
            let (scrape, answer) = oneshot::channel();
            scrapes.try_send(scrape).unwrap();
            answer
        };
        let (one, another) = (ask(), ask());
        let (during, is_answered) = oneshot::channel();
        let mut during = Some(during);
        let mut looks = 0;
        let look = async || {
            looks += 1;
            if let Some(during) = during.take() {
                during.send(ask()).ok();
            }
            format!("look {looks}")
        };
        let scraping = async {
            let shared = [one.await, another.await, is_answered.await.unwrap().await];
            assert_eq!(shared.map(Result::unwrap), ["look 1"; 3]);
            assert_eq!(ask().await.unwrap(), "look 2");
        };
        tokio::select! {
            () = scraping => {}
            () = answer(waiting, look) => {}
        }
    }

    #[test]
    fn an_address_that_others_reach_is_said_to_be_one() {
        let shown = |address: &str| listening(address.parse().unwrap());
        let own = "listening on 127.0.0.1:9419, for GET /metrics and GET /healthz\n";
        assert_eq!(shown("127.0.0.1:9419"), own);
        assert!(!shown("[::1]:9419").contains("password"));
        assert!(shown("0.0.0.0:9419").contains("there is no password: whoever reaches it"));
    }
}
