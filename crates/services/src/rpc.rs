//! Calls between languages and regions: a request in one queue, its reply in the queue of its caller.
//!
//! Envelope and properties are those of a `NestJS` client, so any client that sets `correlation_id` and
//! `reply_to` is a caller, and any that copies the one and publishes to the other is a worker.
//!
//! Requests do not expire on the broker, and a worker does not skip old ones: a caller's deadline is a time on
//! its region's clock, which a worker elsewhere cannot trust. So a call that timed out is still
//! handled, and its reply is dropped and counted where it arrives.

pub mod analysis;
pub mod worker;

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::fields::{Fields, Invalid};
use crate::http::{self, CORRELATION, Failure, LARGEST_BODY};
use crate::process::Process;
use fedctl_contract::environment::RPC_INSTANCES;
use fedctl_contract::log::{event, field};
use fedctl_contract::program::Program;
use fedctl_contract::rpc::{INVALID_REPLY, PATH, REQUESTS, TIMEOUT, replies};
use fedctl_messaging::{
    Consume, ConsumeError, Declarations, Log, Message, Outgoing, PendingRequests, PublishError, Publisher,
    Subscription, fresh_id,
};

const PREFETCH: u16 = 64;
const TIMEOUT_MS: u64 = 5_000;
const LONGEST_TIMEOUT_MS: u64 = 60_000;

/// What callers and workers need: also the other callers' reply queues, in which replies wait for their link. A region has
/// one of them even if none of the listed `instances` of `rpc` runs there, for callers of another make.
#[must_use]
pub fn declarations(regions: &[String], instances: &[(&str, &str)]) -> Declarations {
    let first = regions.iter().map(|region| (region.as_str(), Program::Rpc.name()));
    let mut queues = vec![REQUESTS.to_owned()];
    for (region, instance) in first.chain(instances.iter().copied()) {
        let replies = replies(region, instance);
        if !queues.contains(&replies) {
            queues.push(replies);
        }
    }
    Declarations { queues, ..Declarations::default() }
}

pub(super) async fn run(process: Process) -> anyhow::Result<()> {
    let settings = process.settings.clone();
    let (region, instance) = (settings.region.as_str(), settings.instance.as_str());
    let mut instances = settings.instances(RPC_INSTANCES)?;
    instances.push((region, instance));
    let declarations = declarations(&settings.regions, &instances);
    let (publisher, log) = (process.publisher.clone(), process.log.clone());
    let requests = PendingRequests::new(process.metrics.clone());
    let reply_to = replies(region, instance);
    let subscription = Subscription::batched(reply_to.clone(), PREFETCH);
    let api = Api { reply_to, publisher, requests: requests.clone(), log: log.clone() };
    let router =
        Router::new().route(PATH, post(answer)).layer(DefaultBodyLimit::max(LARGEST_BODY)).with_state(api);
    process.run(declarations, vec![subscription], Replies { requests, log }, router).await
}

/// Hands replies to the calls that wait for them.
struct Replies {
    requests: PendingRequests,
    log: Log,
}

impl Consume for Replies {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        if message.correlation_id().is_none() {
            return Err(ConsumeError::Permanent("no `correlation_id`".to_owned()));
        }
        if !self.requests.resolve(message) {
            self.log.warn(event::LATE_REPLY_DROPPED).with_message(message).write();
        }
        Ok(())
    }
}

/// A call, as asked for by HTTP.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    cmd: String,
    data: Value,
    timeout_ms: u64,
}

impl Call {
    fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let cmd = |value: &Value| value.as_str().filter(|cmd| !cmd.is_empty()).map(str::to_owned);
        let bounded = |value: &Value| value.as_u64().filter(|ms| (1..=LONGEST_TIMEOUT_MS).contains(ms));
        let call = Self {
            cmd: fields.field("cmd", "Not a string, or an empty one.", cmd),
            data: json.get("data").cloned().unwrap_or_default(),
            timeout_ms: match json.get("timeout_ms") {
                None => TIMEOUT_MS,
                Some(_) => fields.field("timeout_ms", "Not an integer from 1 to 60000.", bounded),
            },
        };
        fields.finish(call)
    }
}

/// A request as it travels.
#[derive(Serialize)]
struct Envelope<'a> {
    pattern: Pattern<'a>,
    data: &'a Value,
    id: &'a str,
}

#[derive(Serialize)]
struct Pattern<'a> {
    cmd: &'a str,
}

/// What the endpoint needs.
#[derive(Clone)]
struct Api {
    reply_to: String,
    publisher: Publisher,
    requests: PendingRequests,
    log: Log,
}

impl Api {
    /// Publishes the request and waits without a limit: dropping the future ends the wait.
    async fn ask(&self, call: &Call, id: &str) -> Result<Message, PublishError> {
        let mut answers = self.requests.expect_one(id);
        let envelope = Envelope { pattern: Pattern { cmd: &call.cmd }, data: &call.data, id };
        let request = Outgoing::json("", REQUESTS, &envelope)
            .with_correlation_id(Some(id))
            .with_reply_to(&self.reply_to)
            .with_log_field(field::CMD, call.cmd.as_str());
        self.publisher.publish(request).await?;
        Ok(answers.next().await)
    }

    fn timed_out(&self, call: &Call, id: &str) -> Response {
        let Call { cmd, timeout_ms, .. } = call;
        self.log
            .warn(event::RPC_TIMEOUT)
            .with(field::CORRELATION_ID, id)
            .with(field::CMD, cmd.as_str())
            .with(field::TIMEOUT_MS, *timeout_ms)
            .write();
        let message = format!("no reply to `{cmd}` within {timeout_ms} ms");
        failed(StatusCode::GATEWAY_TIMEOUT, TIMEOUT, &message)
    }

    fn replied(&self, call: &Call, reply: Message, asked: Instant) -> Response {
        let read = serde_json::from_slice::<Value>(&reply.body);
        let outcome = match &read {
            Ok(body) => ["error", "status"].into_iter().find_map(|name| body.get(name)).cloned(),
            Err(_) => Some(INVALID_REPLY.into()),
        };
        self.log
            .info(event::RPC_REPLY)
            .with_message(&reply)
            .with(field::CMD, call.cmd.as_str())
            .with(field::OUTCOME, outcome.unwrap_or_default())
            .with(field::TOOK_MS, u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX))
            .write();
        match read {
            Ok(_) => ([(CONTENT_TYPE, "application/json")], reply.body).into_response(),
            Err(error) => failed(StatusCode::BAD_GATEWAY, INVALID_REPLY, &format!("not valid JSON: {error}")),
        }
    }
}

fn failed(status: StatusCode, error: &str, message: &str) -> Response {
    (status, Json(json!({"error": error, "message": message}))).into_response()
}

/// The reply as received; 504 if none arrived in time, 502 if it cannot be read.
async fn answer(State(api): State<Api>, body: Bytes) -> Result<Response, Failure> {
    let call = Call::read(&http::json(&body)?)?;
    let (id, asked) = (fresh_id(), Instant::now());
    let mut answer = match timeout(Duration::from_millis(call.timeout_ms), api.ask(&call, &id)).await {
        Ok(reply) => api.replied(&call, reply?, asked),
        Err(_) => api.timed_out(&call, &id),
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(CORRELATION, id);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_command_and_bounded_patience() {
        let call = |cmd: &str, data, timeout_ms| Call { cmd: cmd.to_owned(), data, timeout_ms };
        assert_eq!(Call::read(&json!({"cmd": "ping"})), Ok(call("ping", Value::Null, 5_000)));
        let full = json!({"cmd": "analyze", "data": {"text": "a"}, "timeout_ms": 60_000});
        assert_eq!(Call::read(&full), Ok(call("analyze", json!({"text": "a"}), 60_000)));
        for timeout_ms in [json!(0), json!(60_001), json!("5"), json!(1.5), Value::Null] {
            assert!(Call::read(&json!({"cmd": "ping", "timeout_ms": timeout_ms})).is_err(), "{timeout_ms}");
        }
        let wrong =
            serde_json::to_value(Call::read(&json!({"cmd": "", "timeout_ms": 0})).unwrap_err()).unwrap();
        assert_eq!(wrong.as_object().unwrap().len(), 2, "{wrong}");
    }

    #[test]
    fn everybody_declares_every_callers_reply_queue() {
        let instances = [("asia", "rpc"), ("asia", "rpc-2")];
        let declarations = declarations(&["europe", "asia"].map(str::to_owned), &instances);
        let replies = ["rpc-replies.europe", "rpc-replies.asia", "rpc-replies.asia.rpc-2"];
        assert_eq!(declarations.queues[0], "python-service-queue");
        assert_eq!(declarations.queues[1..], replies);
    }
}
