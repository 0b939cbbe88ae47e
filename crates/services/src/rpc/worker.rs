//! The worker, or several in one process: each handles requests one at a time, and replies to the caller's region.

use std::borrow::Cow;
use std::num::NonZeroU16;
use std::time::Duration;

use axum::Router;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::analysis::{Analysis, numbers, words};
use crate::process::Process;
use crate::settings::Settings;
use fedctl_contract::environment;
use fedctl_contract::log::{event, field};
use fedctl_contract::rpc::{
    ANALYZE, FAIL, INTERNAL_SERVER_ERROR, INVALID_REQUEST, PING, REQUESTS, SLOW, SUCCESS, UNKNOWN_PATTERN,
};
use fedctl_messaging::{
    Consume, ConsumeError, DedupCache, Log, Message, Outgoing, PublishError, Publisher, Subscription,
};

/// Each has one unacknowledged call, so that other workers take the next ones. Where calls wait for something, or are
/// many, one process may run several workers.
const WORKERS: &str = "1";
const LONGEST_SLOW_MS: u64 = 10_000;

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let settings = process.settings.clone();
    let declarations =
        super::declarations(&settings.regions, &settings.instances(environment::RPC_INSTANCES)?);
    let wanted = format!("a number from 1 to {}", u16::MAX);
    let number = |text: &str| text.parse::<NonZeroU16>().ok();
    let workers = process.settings.read_option(environment::WORKERS, WORKERS, &wanted, number)?;
    let subscription = Subscription::workers(REQUESTS, workers);
    let (publisher, log) = (process.publisher.clone(), process.log.clone());
    let Settings { region, instance, .. } = settings;
    let worker = Worker { region, instance, publisher, log, answered: DedupCache::default() };
    process.run(declarations, vec![subscription], worker, Router::new()).await
}

/// Answers requests.
///
/// A request that is redelivered with its `message_id` is answered once, as long as this process remembers it.
/// Another process, or this one after a restart, answers it again, under the same identifier: the caller, who no
/// longer waits for it, drops that as late.
struct Worker {
    region: String,
    instance: String,
    publisher: Publisher,
    log: Log,
    answered: DedupCache,
}

/// What is asked. The envelope's `id` may be anything: the property counts.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    pattern: &'a RawValue,
    data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Pattern<'a> {
    #[serde(borrow)]
    cmd: Cow<'a, str>,
}

#[derive(Debug)]
struct Request<'a> {
    cmd: Cow<'a, str>,
    data: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let read = || {
            let Envelope { pattern, data } = object(body)?;
            let Pattern { cmd } = object(pattern.get().as_bytes())?;
            Ok(Self { cmd, data })
        };
        read().map_err(|error: serde_json::Error| {
            Refusal::invalid(match error.classify() {
                Category::Data => format!("no request with a text in `pattern.cmd`: {error}"),
                Category::Io | Category::Syntax | Category::Eof => format!("not valid JSON: {error}"),
            })
        })
    }

    /// Its data, if it has the form that the command needs.
    fn data<T: Deserialize<'a>>(&self) -> Option<T> {
        self.data.and_then(|data| object(data.get().as_bytes()).ok())
    }
}

/// Reads a JSON object. A list of its fields' values is rejected, though serde would accept it.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    if json.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(json);
    }
    serde_json::from_slice::<IgnoredAny>(json)?;
    Err(serde_json::Error::custom("not an object"))
}

/// The reply to a command that is done.
#[derive(Serialize)]
struct Success<'a> {
    status: &'static str,
    data: Done<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Done<'a> {
    Analyzed(Analysis),
    Here { region: &'a str, instance: &'a str },
    Slept { ms: u64 },
}

/// The reply to a command that is not done: a word and a sentence.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Refusal {
    error: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { error: INVALID_REQUEST, message: message.into() }
    }
}

impl Consume for Worker {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let Some(in_flight) = self.answered.begin(message.identity()) else {
            self.log.info(event::DUPLICATE_SKIPPED).with_message(message).write();
            return Ok(());
        };
        let request = Request::read(&message.body);
        let reply_to = address(message, request.as_ref().err())?;
        let (cmd, done) = match request {
            Ok(request) => {
                let done = self.perform(&request).await;
                (Some(request.cmd), done)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        let (outcome, reply) = match done {
            Ok(data) => (SUCCESS, Outgoing::json("", reply_to, &Success { status: SUCCESS, data })),
            Err(refusal) => (refusal.error, Outgoing::json("", reply_to, &refusal)),
        };
        self.publisher.publish(reply.in_reply_to(message)).await.map_err(|error| match error {
            // retrying does not create a missing reply queue: the request is dead-lettered at once
            PublishError::Unroutable { .. } => ConsumeError::Permanent(error.to_string()),
            PublishError::NoSession | PublishError::Unconfirmed => error.into(),
        })?;
        in_flight.complete();
        self.log
            .info(event::RPC_HANDLED)
            .with_message(message)
            .with(field::CMD, cmd)
            .with(field::OUTCOME, outcome)
            .with(field::INSTANCE, self.instance.as_str())
            .with(field::REPLY_TO, reply_to)
            .write();
        Ok(())
    }
}

impl Worker {
    async fn perform(&self, request: &Request<'_>) -> Result<Done<'_>, Refusal> {
        match &*request.cmd {
            ANALYZE => analyze(request).map(Done::Analyzed),
            PING => Ok(Done::Here { region: &self.region, instance: &self.instance }),
            SLOW => slow(request.data()).await,
            FAIL => Err(failure(request.data())),
            cmd => Err(Refusal { error: UNKNOWN_PATTERN, message: format!("there is no command `{cmd}`") }),
        }
    }
}

/// Where the reply goes; a request without `reply_to` is dead-lettered with all that is wrong.
fn address<'a>(message: &'a Message, refusal: Option<&Refusal>) -> Result<&'a str, ConsumeError> {
    if message.wants_direct_reply() && !message.hops().is_empty() {
        return Err(ConsumeError::Permanent(
            "direct reply-to is known in the caller's region only".to_owned(),
        ));
    }
    message.reply_to().ok_or_else(|| {
        ConsumeError::Permanent(match refusal {
            Some(Refusal { message, .. }) => format!("{message}, and no `reply_to`"),
            None => "no `reply_to`".to_owned(),
        })
    })
}

/// Analyzes a text or, if there is none, numbers.
fn analyze(request: &Request) -> Result<Analysis, Refusal> {
    let text = request.data().map(|text| words(&text));
    let analyzed = text.or_else(|| request.data().map(|list| numbers(&list)));
    let needed = "`analyze` needs `text` (a string) or `numbers` (a list of numbers)";
    analyzed.ok_or_else(|| Refusal::invalid(needed))
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

/// Takes as long as requested, to test slow calls.
#[expect(clippy::disallowed_methods, reason = "to take long is the work")]
async fn slow(asked: Option<Slow>) -> Result<Done<'static>, Refusal> {
    let asked = asked.filter(|asked| asked.ms <= LONGEST_SLOW_MS);
    let wrong = || Refusal::invalid(format!("`ms`: not an integer up to {LONGEST_SLOW_MS}"));
    let Slow { ms } = asked.ok_or_else(wrong)?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Ok(Done::Slept { ms })
}

#[derive(Deserialize)]
struct Fail {
    message: String,
}

/// Fails on request, to test failing calls.
fn failure(asked: Option<Fail>) -> Refusal {
    let message = asked.map_or_else(|| "failed as asked".to_owned(), |asked| asked.message);
    Refusal { error: INTERNAL_SERVER_ERROR, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(String, Option<&str>), String> {
        let request = Request::read(body.as_bytes()).map_err(|refusal| refusal.message)?;
        Ok((request.cmd.into_owned(), request.data.map(RawValue::get)))
    }

    #[test]
    fn a_request_needs_a_command_and_nothing_else() {
        assert_eq!(read(r#"{"pattern": {"cmd": "ping"}}"#), Ok(("ping".to_owned(), None)));
        let full = r#"{"pattern": {"cmd": "a\n", "v": 2}, "data": [1], "id": {"any": "thing"}}"#;
        assert_eq!(read(full), Ok(("a\n".to_owned(), Some("[1]"))));
        let without = [r#"[["ping"], null]"#, r#"{"pattern": ["ping"]}"#, r#"{"pattern": "ping"}"#];
        for body in ["[]", "7", "{}", r#"{"pattern": {"cmd": 1}}"#].into_iter().chain(without) {
            assert!(read(body).unwrap_err().starts_with("no request with a text in `pattern.cmd`"), "{body}");
        }
        for body in ["{not json", "{", ""] {
            assert!(read(body).unwrap_err().starts_with("not valid JSON"), "{body}");
        }
    }

    #[test]
    fn a_text_is_analyzed_or_else_numbers() {
        let analyzed = |data| {
            let body = format!(r#"{{"pattern": {{"cmd": "analyze"}}, "data": {data}}}"#);
            analyze(&Request::read(body.as_bytes()).unwrap())
        };
        for data in
            [r#"{"text": ""}"#, r#"{"text": "a", "numbers": [1]}"#, r#"{"text": "a", "numbers": ["x"]}"#]
        {
            assert!(matches!(analyzed(data), Ok(Analysis::Words { .. })), "{data}");
        }
        for data in
            [r#"{"numbers": [1, 1.5]}"#, r#"{"text": null, "numbers": []}"#, r#"{"text": 5, "numbers": [1]}"#]
        {
            assert!(matches!(analyzed(data), Ok(Analysis::Numbers { .. })), "{data}");
        }
        for data in ["null", "{}", r#"{"text": 1}"#, r#"{"numbers": [1, "2"]}"#, r#""text""#, r#"["text"]"#] {
            assert_eq!(analyzed(data).unwrap_err().error, INVALID_REQUEST, "{data}");
        }
    }

    #[tokio::test]
    async fn slowness_is_bounded() {
        let slow = async |data| {
            let body = format!(r#"{{"pattern": {{"cmd": "slow"}}, "data": {data}}}"#);
            slow(Request::read(body.as_bytes()).unwrap().data()).await
        };
        assert_eq!(slow(r#"{"ms": 0}"#).await, Ok(Done::Slept { ms: 0 }));
        for data in [r#"{"ms": 10001}"#, r#"{"ms": -1}"#, r#"{"ms": 1.5}"#, "[5]", "{}", "null"] {
            assert_eq!(slow(data).await.unwrap_err().error, INVALID_REQUEST, "{data}");
        }
    }
}
