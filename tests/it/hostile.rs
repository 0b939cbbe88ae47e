//! A management API that answers what no broker does: a clear error, in time, and nothing is changed.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{harness::cases, support::ran::Ran};

pub fn cases() -> Vec<Trial> {
    cases![
        internal_errors_everywhere,
        a_user_that_is_rejected_midway,
        json_that_ends_too_early,
        a_body_that_never_ends,
        bytes_that_come_too_slowly,
        a_redirect_to_somewhere_else_is_not_followed,
        answers_of_other_types,
        a_page_of_a_proxy,
        a_proxy_that_fails_once_is_asked_again,
    ]
}

/// How long a report may take whatever its brokers do.
const REPORT: Duration = Duration::from_secs(4);

/// A server, and a topology with two regions that are it.
struct Hostile {
    directory: TempDir,
    changes: Arc<AtomicUsize>,
}

/// What is sent for a request, the first of which has the number 0.
type Answers = fn(usize, &str, &mut TcpStream) -> std::io::Result<()>;

impl Hostile {
    fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (changes, number) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&changes);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (changes, number) = (Arc::clone(&counted), Arc::clone(&number));
                thread::spawn(move || serve(stream, answers, &number, &changes).ok());
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let broker = |name: &str| {
            format!(
                "- name: {name}\n  broker: {{management: 'http://127.0.0.1:{port}', amqp: 'amqp://127.0.0.1:1', vhost: {name}, \
                 password-file: password}}\n"
            )
        };
        let regions = [broker("europe"), broker("asia")].concat();
        let topology = format!("name: hostile-{port}\nmaster: europe\nregions:\n{regions}");
        std::fs::write(directory.path().join("regions.yaml"), topology).unwrap();
        std::fs::write(directory.path().join("password"), "hush-hush\n").unwrap();
        Self { directory, changes }
    }

    fn fedctl(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedctl"));
        command.arg("--file").arg(self.directory.path().join("regions.yaml")).args(arguments);
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").stdin(Stdio::null());
        Ran::of(command)
    }

    /// Every report says this of both regions in time, `up` says it too, and nothing was changed.
    fn is_said(&self, reason: &str) {
        let status = self.fedctl(&["status"]).exits(4).within(REPORT);
        status.says(reason).conceals("hush-hush");
        self.fedctl(&["queues"]).within(REPORT).conceals("hush-hush");
        let up = self.fedctl(&["up", "--timeout", "5s"]).within(Duration::from_secs(20));
        assert!(matches!(up.code, Some(1 | 3 | 75)), "{up}");
        up.says(reason).conceals("hush-hush");
        assert_eq!(self.changes.load(Ordering::SeqCst), 0, "something was changed");
    }
}

fn serve(
    mut stream: TcpStream,
    answers: Answers,
    number: &AtomicUsize,
    changes: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        if !request.starts_with("GET ") {
            changes.fetch_add(1, Ordering::SeqCst);
        }
        answers(number.fetch_add(1, Ordering::SeqCst), &request, &mut stream)?;
    }
}

fn answer(stream: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What says that fedctl's user may do everything; whatever follows is another matter.
fn knows_the_user(request: &str, stream: &mut TcpStream) -> Option<std::io::Result<()>> {
    let is_asked = request.starts_with("GET /api/whoami ");
    is_asked.then(|| answer(stream, "200 OK", r#"{"name": "fedctl", "tags": ["administrator"]}"#))
}

fn internal_errors_everywhere() {
    let broker = Hostile::new(|_, _, stream| answer(stream, "500 Internal Server Error", "{}"));
    broker.is_said("500 Internal Server Error");
}

fn a_user_that_is_rejected_midway() {
    let broker = Hostile::new(|_, request, stream| {
        knows_the_user(request, stream)
            .unwrap_or_else(|| answer(stream, "401 Unauthorized", r#"{"error": "not_authorised"}"#))
    });
    broker.is_said("rejects user `fedctl`");
}

fn json_that_ends_too_early() {
    let broker = Hostile::new(|_, request, stream| {
        knows_the_user(request, stream).unwrap_or_else(|| answer(stream, "200 OK", r#"[{"name": "x.ev"#))
    });
    broker.is_said("unexpected response");
}

/// With 300 KiB a millisecond it would be 300 MB a second.
fn a_body_that_never_ends() {
    let broker = Hostile::new(|_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let chunk = "x".repeat(0x4000);
        loop {
            write!(stream, "4000\r\n{chunk}\r\n")?;
        }
    });
    let status = broker.fedctl(&["status"]).exits(4).within(REPORT);
    assert!(
        ["timed out", "the answer is too long"].iter().any(|reason| status.stdout.contains(reason)),
        "{status}"
    );
    let up = broker.fedctl(&["up", "--timeout", "1s"]).within(Duration::from_secs(30));
    assert!(matches!(up.code, Some(1 | 3 | 75)), "{up}");
    assert_eq!(broker.changes.load(Ordering::SeqCst), 0);
}

/// Each byte follows when the client has not gone within a while.
fn bytes_that_come_too_slowly() {
    let broker = Hostile::new(|_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        while stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            stream.write_all(b" ")?;
        }
        Ok(())
    });
    broker.fedctl(&["status"]).exits(4).within(REPORT).says("timed out");
    assert_eq!(broker.changes.load(Ordering::SeqCst), 0);
}

/// Nobody else is to get the password.
fn a_redirect_to_somewhere_else_is_not_followed() {
    let broker = Hostile::new(|_, _, stream| {
        write!(stream, "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/api\r\ncontent-length: 0\r\n\r\n")
    });
    broker.is_said("302 Found");
}

fn answers_of_other_types() {
    let broker = Hostile::new(|_, request, stream| {
        knows_the_user(request, stream)
            .unwrap_or_else(|| answer(stream, "200 OK", r#"{"name": 7, "tags": null}"#))
    });
    broker.is_said("unexpected response");
}

fn a_page_of_a_proxy() {
    let broker = Hostile::new(|_, _, stream| answer(stream, "200 OK", "<html>log in</html>"));
    broker.is_said("unexpected response");
}

fn a_proxy_that_fails_once_is_asked_again() {
    let broker = Hostile::new(|number, _, stream| match number % 2 {
        0 => answer(stream, "503 Service Unavailable", ""),
        _ => answer(stream, "401 Unauthorized", "{}"),
    });
    broker.fedctl(&["status"]).exits(4).within(REPORT).says("rejects user `fedctl`");
}
