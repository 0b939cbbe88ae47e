//! A proxy for the engine's socket: it records every request, and may answer some itself.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use super::engine::docker;

/// A status and an answer in place of the engine's, for a request such as `POST /v1.41/images/create?…`.
type Answer = Option<(u16, &'static str)>;
type Rule = dyn Fn(&str) -> Answer + Send + Sync;

pub struct Proxy {
    directory: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Passes everything on.
    pub fn recording() -> Self {
        Self::answering(|_| None)
    }

    /// Answers what `rule` has an answer for, and passes the rest on.
    pub fn answering(rule: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, rule): (_, Arc<Rule>) = (Arc::clone(&requests), Arc::new(rule));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, rule) = (Arc::clone(&seen), Arc::clone(&rule));
                thread::spawn(move || serve(client, &seen, &*rule));
            }
        });
        Self { directory, requests }
    }

    /// What `--host` takes.
    pub fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("engine.sock").display())
    }

    /// The requests that may change something.
    pub fn mutating(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD "))
            .cloned()
            .collect()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn engine_socket() -> PathBuf {
    let host = docker(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
    host.trim().strip_prefix("unix://").expect("these tests need an engine at a Unix socket").into()
}

/// Passes one connection's requests on, one after the other; it is not an error when either side hangs up.
fn serve(client: UnixStream, seen: &Mutex<Vec<String>>, rule: &Rule) -> Option<()> {
    let mut engine = UnixStream::connect(engine_socket()).expect("the engine's socket");
    let (mut answers, mut to_client) = (engine.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || {
        std::io::copy(&mut answers, &mut to_client).ok();
        to_client.shutdown(std::net::Shutdown::Both).ok();
    });
    let mut from_client = BufReader::new(client);
    loop {
        let head = head(&mut from_client)?;
        let request = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
        seen.lock().unwrap().push(request.clone());
        let Some((status, body)) = rule(&request) else {
            engine.write_all(head.as_bytes()).ok()?;
            pass_body(&head, &mut from_client, &mut engine)?;
            continue;
        };
        pass_body(&head, &mut from_client, &mut std::io::sink())?;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Faked\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        from_client.get_mut().write_all((head + body).as_bytes()).ok()?;
    }
}

fn head(from: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn pass_body(head: &str, from: &mut impl BufRead, to: &mut impl Write) -> Option<()> {
    let head = head.to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("transfer-encoding:") == Some("chunked") {
        loop {
            let mut size = String::new();
            from.read_line(&mut size).ok()?;
            to.write_all(size.as_bytes()).ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            std::io::copy(&mut from.take(size + 2), to).ok()?;
            if size == 0 {
                return Some(());
            }
        }
    }
    let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut from.take(length), to).ok().map(drop)
}
