//! Services running inside the test, with their logs caught.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fedctl_contract::program::Program;
use fedctl_messaging::Log;
use fedctl_services::{Settings, run_logged};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    within(PATIENCE, what, ask).await
}

/// Polls until there is an answer, for this long.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
pub async fn within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A region of two, `europe` (the master) and `asia`, with a store of its own.
pub struct Region {
    pub name: &'static str,
    uri: String,
    pub store: tempfile::TempDir,
    /// Further environment variables of services started from now on.
    pub options: BTreeMap<String, String>,
}

impl Region {
    pub fn new(name: &'static str, uri: &str) -> Self {
        let store = tempfile::tempdir().unwrap();
        Self { name, uri: uri.to_owned(), store, options: BTreeMap::new() }
    }

    /// Starts a service and waits until it is healthy.
    pub async fn start(&self, program: Program) -> Running {
        let running = self.launch(program).await;
        running.healthy().await;
        running
    }

    /// Starts a service and waits until it listens.
    pub async fn launch(&self, program: Program) -> Running {
        self.launch_as(program, program.name(), &[]).await
    }

    /// The settings of one of several replicas in this region.
    pub fn settings(&self, instance: &str, options: &[(&str, &str)]) -> Settings {
        let option = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Settings {
            region: self.name.to_owned(),
            regions: vec!["europe".to_owned(), "asia".to_owned()],
            master_region: "europe".to_owned(),
            amqp_uri: (*self.uri).into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            store: self.store.path().to_owned(),
            instance: instance.to_owned(),
            options: self.options.clone().into_iter().chain(options.iter().map(option)).collect(),
        }
    }

    /// Starts one of several replicas, with options, and waits until it listens.
    pub async fn launch_as(&self, program: Program, instance: &str, options: &[(&str, &str)]) -> Running {
        let settings = self.settings(instance, options);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log = Log::with_sink(self.name, program.name(), move |line| {
            assert!(!line.contains("hush-hush"), "a password is logged: {line}");
            sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(run_logged(program, settings, log, stop.clone()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = Running { lines, stop, task, address: String::new(), client: Client::new() };
        let started = running.line("started", |_| true).await;
        Running { address: started["listen"].as_str().unwrap().to_owned(), ..running }
    }
}

pub struct Running {
    lines: Arc<Mutex<Vec<Value>>>,
    stop: CancellationToken,
    pub task: JoinHandle<anyhow::Result<()>>,
    pub address: String,
    client: Client,
}

impl Running {
    pub async fn healthy(&self) {
        until("healthy", async || (self.get("/healthz").await.status() == 200).then_some(())).await;
    }

    pub async fn unhealthy(&self) {
        until("unhealthy", async || (self.get("/healthz").await.status() == 503).then_some(())).await;
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.client.post(format!("http://{}{path}", self.address)).body(body).send().await.unwrap()
    }

    /// Posts and gives the correlation identifier of the accepted request.
    pub async fn accepted(&self, path: &str, body: &Value) -> String {
        let answer = self.post(path, body.to_string()).await;
        let status = answer.status();
        let correlation = answer.headers().get("x-correlation-id").map(|id| id.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        assert_eq!((status.as_u16(), text.as_str()), (200, ""), "POST {path} {body}");
        correlation.unwrap()
    }

    /// Waits until the product reads like this.
    pub async fn reads(&self, product: &Value) {
        let path = format!("/products/{}", product["id"]);
        until(&format!("GET {path} gives {product}"), async || {
            let answer = self.get(&path).await;
            let same = answer.status() == 200 && answer.json::<Value>().await.unwrap() == *product;
            same.then_some(())
        })
        .await;
    }

    /// The lines with this event so far.
    pub fn lines(&self, event: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line["event"] == event).cloned().collect()
    }

    /// Waits until it has written as many lines with this event, and asserts that there are no more: what it did may
    /// be seen elsewhere before it says so.
    pub async fn wrote(&self, event: &str, count: usize) -> Vec<Value> {
        let written = || Some(self.lines(event)).filter(|lines| lines.len() >= count);
        let lines = until(&format!("{count} lines `{event}`"), async || written()).await;
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    /// Waits for a line with this event.
    pub async fn line(&self, event: &str, like: impl Fn(&Value) -> bool) -> Value {
        until(&format!("a line `{event}`"), async || self.lines(event).into_iter().find(|line| like(line)))
            .await
    }

    /// Stops it cleanly.
    pub async fn stop(self) -> Vec<Value> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap().unwrap();
        self.lines.lock().unwrap().clone()
    }
}
