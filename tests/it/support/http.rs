//! An HTTP client that is not the code under test, for cases that are not asynchronous.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::OnceLock,
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A broker that answers at all does so within this: it may wait for a connection that is dead.
const LIMIT: Duration = Duration::from_secs(60);

/// The answer's status, and its body where that is JSON; none where there was no answer.
pub fn ask(
    method: Method,
    url: &str,
    user: Option<(&str, &str)>,
    body: Option<&Value>,
) -> Option<(StatusCode, Value)> {
    ask_within(LIMIT, method, url, user, body)
}

/// The same where the broker may be frozen.
pub fn ask_within(
    limit: Duration,
    method: Method,
    url: &str,
    user: Option<(&str, &str)>,
    body: Option<&Value>,
) -> Option<(StatusCode, Value)> {
    static RUNTIME: OnceLock<(Runtime, Client)> = OnceLock::new();
    let (runtime, client) = RUNTIME.get_or_init(|| {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().tls_certs_only([]).no_proxy().pool_max_idle_per_host(0).build();
        (Runtime::new().unwrap(), client.unwrap())
    });
    let mut request = client.request(method, url).timeout(limit);
    if let Some((name, password)) = user {
        request = request.basic_auth(name, Some(password));
    }
    let request = body.into_iter().fold(request, RequestBuilder::json);
    runtime.block_on(async {
        let response = request.send().await.ok()?;
        let status = response.status();
        let bytes = response.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    })
}

/// The status line, the other headers and the body of what is at an address such as `127.0.0.1:9419`.
pub fn get(address: &str, path: &str) -> [String; 3] {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    [status, headers, body].map(str::to_owned)
}
