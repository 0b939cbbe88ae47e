//! The api: HTTP in, commands out, and the answers collected until a deadline.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use lapin::types::AMQPValue;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::command::{self, Answer, Host, Verb, VmSpec};
use super::requested::Requested;
use crate::fields::Invalid;
use crate::http::{self, CORRELATION, Failure, LARGEST_BODY};
use crate::process::Process;
use fedctl_contract::compute::{COMMAND_HEADER, COMMANDS, TIMEOUT_MS, VMS_PATH, replies};
use fedctl_contract::environment::COMPUTE_HOSTS;
use fedctl_contract::log::{event, field};
use fedctl_messaging::{
    Consume, ConsumeError, Log, Message, Outgoing, PendingRequests, Publisher, Replies, Subscription,
    fresh_id,
};

const FILE: &str = "compute.db";
const PREFETCH: u16 = 32;
const WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Takes requests, and the answers to them.
#[derive(Clone)]
pub struct Api {
    /// The queue of the answers.
    pub replies: String,
    /// The known hosts of all regions.
    pub hosts: Arc<[Host]>,
    /// The requests that wait for answers.
    pub requests: PendingRequests,
    /// The machines asked for.
    pub requested: Requested,
    /// Where commands go.
    pub publisher: Publisher,
    pub log: Log,
}

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let settings = &process.settings;
    let hosts = command::known_hosts(settings)?;
    let declarations = command::declarations(&settings.regions, &hosts);
    let api = Api {
        replies: replies(&settings.region),
        hosts: hosts.into(),
        requests: PendingRequests::new(process.metrics.clone()),
        requested: Requested::open(settings.store.join(FILE)).await?,
        publisher: process.publisher.clone(),
        log: process.log.clone(),
    };
    let subscriptions = vec![Subscription::batched(api.replies.clone(), PREFETCH)];
    process.run(declarations, subscriptions, api.clone(), router(api)).await
}

/// The endpoints of the api.
pub fn router(api: Api) -> Router {
    let change = |verb| {
        async move |State(api): State<Api>, Path(name): Path<String>, query: RawQuery| {
            api.command_all(verb, &json!({"name": name}), &query).await
        }
    };
    let list =
        async |State(api): State<Api>, query: RawQuery| api.command_all(Verb::List, &json!({}), &query).await;
    let create = async |State(api): State<Api>, query: RawQuery, body: Bytes| api.create(&body, &query).await;
    Router::new()
        .route(VMS_PATH, get(list).post(create))
        .route(&format!("{VMS_PATH}/{{name}}"), delete(change(Verb::Delete)))
        .route(&format!("{VMS_PATH}/{{name}}/start"), post(change(Verb::Start)))
        .route(&format!("{VMS_PATH}/{{name}}/stop"), post(change(Verb::Stop)))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

impl Api {
    /// Has one host create a machine. 201 or 409 with its answer; 504 when none came, which says nothing about
    /// whether the machine is created later.
    async fn create(&self, body: &Bytes, query: &RawQuery) -> Result<Response, Failure> {
        let wait = wait(query)?;
        let deadline = Instant::now() + wait;
        let spec = VmSpec::read(&http::json(body)?)?;
        let correlation = fresh_id();
        let mut answers = self.requests.expect(&correlation);
        self.requested.remember(correlation.clone(), spec.name.clone()).await?;
        let body = json!(spec);
        self.send(Verb::Create, &body, &correlation).await?;
        let answer = next(&mut answers, deadline).await;
        let line = match &answer {
            Some(_) => self.log.info(event::CREATE_ANSWERED),
            None => self.log.warn(event::CREATE_UNANSWERED),
        };
        let mut line = line.with(field::CORRELATION_ID, &*correlation).with(field::NAME, &*spec.name);
        if let Some(answer) = &answer {
            line = line.with(field::HOST, answer.host.to_string()).with(field::STATUS, answer.status());
        }
        line.write();
        let (status, body) = match answer {
            Some(answer) if answer.result.is_ok() => (StatusCode::CREATED, answer.json()),
            Some(answer) => (StatusCode::CONFLICT, answer.json()),
            None => {
                let message = format!("No host answered within {} ms", wait.as_millis());
                (StatusCode::GATEWAY_TIMEOUT, json!({"error": "TIMEOUT", "message": message}))
            }
        };
        Ok(respond(status, &correlation, body))
    }

    /// Sends a command to all hosts, and collects their answers until all have answered or the deadline has passed.
    async fn command_all(&self, verb: Verb, body: &Value, query: &RawQuery) -> Result<Response, Failure> {
        let deadline = Instant::now() + wait(query)?;
        if self.hosts.is_empty() {
            return Err(Failure::Unavailable(format!("No hosts are known: `{COMPUTE_HOSTS}` is not set")));
        }
        let correlation = fresh_id();
        let mut answers = self.requests.expect(&correlation);
        self.send(verb, body, &correlation).await?;
        let mut collected: Vec<Answer> = Vec::new();
        let missing = |collected: &[Answer]| -> Vec<String> {
            let answered = |host: &&Host| collected.iter().any(|answer| answer.host == **host);
            self.hosts.iter().filter(|host| !answered(host)).map(ToString::to_string).collect()
        };
        while !missing(&collected).is_empty() {
            let Some(answer) = next(&mut answers, deadline).await else { break };
            if !collected.iter().any(|had| had.host == answer.host) {
                collected.push(answer);
            }
        }
        let (known, missing) = (self.hosts.len(), missing(&collected));
        let answered = known - missing.len();
        self.log
            .info(event::ANSWERS_COLLECTED)
            .with(field::CORRELATION_ID, &*correlation)
            .with(field::COMMAND, verb.name())
            .with(field::NAME, body["name"].clone())
            .with(field::KNOWN, known)
            .with(field::ANSWERED, answered)
            .with(field::MISSING, missing.clone())
            .write();
        let answers: Vec<Value> = collected.iter().map(Answer::json).collect();
        let body = json!({"known": known, "answered": answered, "answers": answers, "missing": missing});
        Ok(respond(StatusCode::OK, &correlation, body))
    }

    async fn send(&self, verb: Verb, body: &Value, correlation: &str) -> Result<(), Failure> {
        let command = Outgoing::json(COMMANDS, verb.name(), body)
            .with_correlation_id(Some(correlation))
            .with_reply_to(&self.replies)
            .with_log_field(field::COMMAND, verb.name())
            .with_log_field(field::NAME, body["name"].clone());
        Ok(self.publisher.publish(command).await?)
    }

    /// Takes back a machine that a second host created because the command came twice: a link that breaks
    /// delivers again, and not always to the host that had it.
    async fn undo(&self, reply: &Message, host: &Host, name: &str) -> Result<(), ConsumeError> {
        let verb = Verb::Delete.name();
        let command = Outgoing::json("", host.queue(), &json!({"name": name}))
            .with_correlation_id(reply.correlation_id())
            .caused_by(reply.identity(), "undo")
            .with_header(COMMAND_HEADER, AMQPValue::LongString(verb.into()))
            .with_log_field(field::COMMAND, verb)
            .with_log_field(field::NAME, name);
        self.publisher.publish(command).await?;
        let line = self.log.warn(event::SECOND_VM_UNDONE).with_message(reply);
        line.with(field::HOST, host.to_string()).with(field::NAME, name).write();
        Ok(())
    }
}

impl Consume for Api {
    async fn consume(&self, reply: &Message) -> Result<(), ConsumeError> {
        let answer = Answer::read(&reply.json()?).map_err(ConsumeError::Permanent)?;
        if let Some(name) = self.requested.second(reply.correlation_id().unwrap_or_default(), &answer).await?
        {
            return self.undo(reply, &answer.host, &name).await;
        }
        let line = if self.requests.resolve(reply) {
            self.log.info(event::ANSWER_RECEIVED)
        } else {
            self.log.info(event::ANSWER_LATE)
        };
        line.with_message(reply)
            .with(field::HOST, answer.host.to_string())
            .with(field::STATUS, answer.status())
            .write();
        Ok(())
    }
}

/// The next answer before `deadline`. Messages that are not answers were dead-lettered before.
async fn next(answers: &mut Replies, deadline: Instant) -> Option<Answer> {
    let reply = timeout_at(deadline, answers.next()).await.ok()?;
    Answer::read(&reply.json().ok()?).ok()
}

/// `timeout_ms` of the query, or what is waited without it.
fn wait(RawQuery(query): &RawQuery) -> Result<Duration, Invalid> {
    let query = query.as_deref().unwrap_or_default();
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == TIMEOUT_MS);
    let Some((name, value)) = asked else { return Ok(WAIT) };
    let wait = value.parse().ok().map(Duration::from_millis);
    wait.filter(|wait| (Duration::from_millis(1)..=LONGEST_WAIT).contains(wait)).ok_or_else(|| {
        Invalid::field(&name, format!("Not a number of milliseconds from 1 to {}.", LONGEST_WAIT.as_millis()))
    })
}

fn respond(status: StatusCode, correlation: &str, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(id) = HeaderValue::from_str(correlation) {
        response.headers_mut().insert(CORRELATION, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_wait_up_to_a_minute() {
        let asked = |query: &str| wait(&RawQuery(Some(query.to_owned()))).ok();
        assert_eq!(wait(&RawQuery(None)), Ok(WAIT));
        assert_eq!(asked("other=1"), Some(WAIT));
        assert_eq!(asked("a=b&timeout_ms=250"), Some(Duration::from_millis(250)));
        assert_eq!(asked("timeout_ms=60000"), Some(LONGEST_WAIT));
        for wrong in ["", "0", "60001", "-1", "1.5", "long"] {
            assert_eq!(asked(&format!("timeout_ms={wrong}")), None, "{wrong}");
        }
    }
}
