//! The worker, or several in one: each does what requests ask for, one at a time, and replies to the caller's region.

use std::num::NonZeroU16;
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::analysis;
use crate::service::messaging::consume::{Consume, Fault, Subscription};
use crate::service::messaging::log::Log;
use crate::service::messaging::message::{Message, Outgoing};
use crate::service::messaging::publisher::{PublishError, Publisher};
use crate::service::messaging::recent::Recent;
use crate::service::{Program, Settings};

/// Each has one call in hand, so that others take what comes meanwhile. Where calls wait for something, or are many,
/// one process may be more than one worker.
const WORKERS: &str = "1";
const LONGEST_SLOW_MS: u64 = 10_000;

pub(in crate::service) async fn run(program: Program) -> anyhow::Result<()> {
    let Settings { region, regions, instance, .. } = program.settings.clone();
    let wanted = format!("a number from 1 to {}", u16::MAX);
    let number = |text: &str| text.parse::<NonZeroU16>().ok();
    let workers = program.settings.read_option("WORKERS", WORKERS, &wanted, number)?;
    let subscription = Subscription::by_workers(super::REQUESTS, workers);
    let (publisher, log) = (program.publisher.clone(), program.log.clone());
    let worker = Worker { region, instance, publisher, log, answered: Recent::default() };
    program.run(super::wiring(&regions), vec![subscription], worker, Router::new()).await
}

/// Answers requests.
///
/// A request that comes again with its `message_id` is answered once, as long as this process remembers it.
/// Another process, or this one after a restart, answers it again, under the same identifier: the caller, who no
/// longer waits for it, drops that as late.
struct Worker {
    region: String,
    instance: String,
    publisher: Publisher,
    log: Log,
    answered: Recent,
}

/// A command that is not done: the word and the sentence that the caller gets.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    error: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { error: "invalid_request", message: message.into() }
    }
}

impl Consume for Worker {
    async fn consume(&self, message: &Message) -> Result<(), Fault> {
        let Some(begun) = self.answered.begin(message.identity()) else {
            self.log.info("duplicate_skipped").about(message).write();
            return Ok(());
        };
        let request = read(&message.body);
        let reply_to = address(message, request.as_ref().err())?;
        let (cmd, done) = match request {
            Ok((cmd, data)) => {
                let done = self.perform(&cmd, &data).await;
                (Some(cmd), done)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        let (outcome, reply) = match done {
            Ok(data) => ("success", json!({"status": "success", "data": data})),
            Err(Refusal { error, message }) => (error, json!({"error": error, "message": message})),
        };
        self.reply(Outgoing::json("", reply_to, &reply).answering(message)).await?;
        begun.done();
        self.log
            .info("rpc_handled")
            .about(message)
            .with("cmd", cmd)
            .with("outcome", outcome)
            .with("instance", self.instance.as_str())
            .with("reply_to", reply_to)
            .write();
        Ok(())
    }
}

impl Worker {
    async fn perform(&self, cmd: &str, data: &Value) -> Result<Value, Refusal> {
        match cmd {
            "analyze" => analysis::analyze(data).map_err(Refusal::invalid),
            "ping" => Ok(json!({"region": self.region, "instance": self.instance})),
            "slow" => slow(data).await,
            "fail" => Err(Refusal {
                error: "internal_server_error",
                message: data["message"].as_str().unwrap_or("failed as asked").to_owned(),
            }),
            _ => Err(Refusal { error: "unknown_pattern", message: format!("there is no command `{cmd}`") }),
        }
    }

    /// An address that no queue has gets none by waiting: the request is parked at once.
    async fn reply(&self, reply: Outgoing) -> Result<(), Fault> {
        self.publisher.publish(reply).await.map_err(|error| match error {
            PublishError::Unroutable { .. } => Fault::Poison(error.to_string()),
            PublishError::NoSession | PublishError::Unconfirmed => error.into(),
        })
    }
}

/// The command of a request and its data. The envelope's `id` may be anything: the property counts.
fn read(body: &[u8]) -> Result<(String, Value), Refusal> {
    let mut envelope: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("not valid JSON: {error}")))?;
    let cmd = envelope.pointer("/pattern/cmd").and_then(Value::as_str).map(str::to_owned);
    let cmd = cmd.ok_or_else(|| Refusal::invalid("no text in `pattern.cmd`"))?;
    Ok((cmd, envelope["data"].take()))
}

/// Where the reply goes; a request that has nobody to answer is parked with all that is wrong.
fn address<'a>(message: &'a Message, refusal: Option<&Refusal>) -> Result<&'a str, Fault> {
    if message.wants_direct_reply() && !message.hops().is_empty() {
        return Err(Fault::Poison("direct reply-to is known in the caller's region only".to_owned()));
    }
    message.reply_to().ok_or_else(|| {
        Fault::Poison(match refusal {
            Some(Refusal { message, .. }) => format!("{message}, and no `reply_to`"),
            None => "no `reply_to`".to_owned(),
        })
    })
}

/// Takes as long as it is told, for trying what a caller does meanwhile.
async fn slow(data: &Value) -> Result<Value, Refusal> {
    let ms = data["ms"].as_u64().filter(|ms| *ms <= LONGEST_SLOW_MS);
    let ms = ms.ok_or_else(|| Refusal::invalid(format!("`ms`: not an integer up to {LONGEST_SLOW_MS}")))?;
    let _ = timeout(Duration::from_millis(ms), std::future::pending::<()>()).await;
    Ok(json!({"ms": ms}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_a_command_and_nothing_else() {
        let request = |body: &str| read(body.as_bytes()).map_err(|refusal| refusal.message);
        assert_eq!(request(r#"{"pattern": {"cmd": "ping"}}"#), Ok(("ping".to_owned(), Value::Null)));
        let full = r#"{"pattern": {"cmd": "a", "v": 2}, "data": [1], "id": {"any": "thing"}}"#;
        assert_eq!(request(full), Ok(("a".to_owned(), json!([1]))));
        for body in ["[]", "7", "{}", r#"{"pattern": "ping"}"#, r#"{"pattern": {"cmd": 1}}"#] {
            assert_eq!(request(body), Err("no text in `pattern.cmd`".to_owned()), "{body}");
        }
        assert!(request("{not json").unwrap_err().starts_with("not valid JSON"));
    }

    #[tokio::test]
    async fn slowness_is_bounded() {
        assert_eq!(slow(&json!({"ms": 0})).await, Ok(json!({"ms": 0})));
        for data in [json!({"ms": 10_001}), json!({"ms": -1}), json!({}), Value::Null] {
            assert_eq!(slow(&data).await.unwrap_err().error, "invalid_request", "{data}");
        }
    }
}
