//! A broker's management API, through a client that is not the code under test.

use std::{collections::BTreeSet, time::Duration};

use fedctl_engine::rabbitmq::Connector;
use fedctl_model::{
    secret::Secret,
    site::{ADMINISTRATOR, AMQP_PORT, Address, Site, VHOST},
    topology::RegionName,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{http, until};

/// How long a broker that is not busy takes at most.
const AT_ONCE: Duration = Duration::from_secs(3);

pub struct Broker {
    region: String,
    base: String,
    /// The virtual host, as paths spell it.
    vhost: String,
    user: String,
    password: String,
}

impl Broker {
    pub fn at(region: &str, address: &str, password: &str) -> Self {
        Self::of(region, address, ("fedctl", password))
    }

    /// The same, as another user.
    pub fn of(region: &str, address: &str, (user, password): (&str, &str)) -> Self {
        let base = format!("http://{address}/api");
        let [region, vhost, user, password] = [region, "%2F", user, password].map(str::to_owned);
        Self { region, base, vhost, user, password }
    }

    /// The same in another virtual host.
    pub fn in_vhost(self, vhost: &str) -> Self {
        Self { vhost: vhost.to_owned(), ..self }
    }

    /// The path of something in its virtual host.
    pub fn path(&self, kind: &str, name: &str) -> String {
        format!("/{kind}/{}/{name}", self.vhost)
    }

    pub fn get(&self, path: &str) -> Value {
        self.must(&Method::GET, path, None)
    }

    /// The answer, where the broker is there and gives one.
    pub fn try_get(&self, path: &str) -> Option<Value> {
        let user = Some((self.user.as_str(), self.password.as_str()));
        let (status, answer) =
            http::ask_within(AT_ONCE, Method::GET, &format!("{}{path}", self.base), user, None)?;
        status.is_success().then_some(answer)
    }

    pub fn put(&self, path: &str, body: &Value) {
        self.must(&Method::PUT, path, Some(body));
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.must(&Method::POST, path, Some(body))
    }

    pub fn delete(&self, path: &str) {
        self.must(&Method::DELETE, path, None);
    }

    /// Whether it could be deleted.
    pub fn try_delete(&self, path: &str) -> bool {
        self.ask(Method::DELETE, path, None, (&self.user, &self.password)).0.is_success()
    }

    /// The status of a request by another user.
    pub fn status_for(&self, user: &str, password: &str, path: &str) -> StatusCode {
        self.ask(Method::GET, path, None, (user, password)).0
    }

    /// The names that a listing gives.
    pub fn names(&self, path: &str) -> BTreeSet<String> {
        let listed = self.get(path);
        listed.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A queue that gets what an exchange gets with this key.
    pub fn tap(&self, exchange: &str, key: &str) -> String {
        let queue = format!("tap.{key}");
        self.put(&self.path("queues", &queue), &json!({"durable": true}));
        let binding = self.path("bindings", &format!("e/{exchange}/q/{queue}"));
        self.post(&binding, &json!({"routing_key": key}));
        queue
    }

    /// Publishes a persistent message; whether it was routed to any queue.
    pub fn publish(&self, exchange: &str, key: &str, payload: &str) -> bool {
        let body = json!({"properties": {"delivery_mode": 2}, "routing_key": key, "payload": payload,
            "payload_encoding": "string"});
        self.post(&self.path("exchanges", &format!("{exchange}/publish")), &body)["routed"] == true
    }

    /// Publishes a persistent message; whether the broker took it and routed it to any queue.
    pub fn try_publish(&self, exchange: &str, key: &str, payload: &str) -> bool {
        let body = json!({"properties": {"delivery_mode": 2}, "routing_key": key, "payload": payload,
            "payload_encoding": "string"});
        let url = format!("{}/exchanges/{}/{exchange}/publish", self.base, self.vhost);
        let answer =
            http::ask_within(AT_ONCE, Method::POST, &url, Some((&self.user, &self.password)), Some(&body));
        answer.is_some_and(|(status, answer)| status.is_success() && answer["routed"] == true)
    }

    /// Everything in a queue, which stays there; nothing where there is no such queue.
    pub fn peek(&self, queue: &str) -> Vec<String> {
        let body = json!({"count": 10_000, "ackmode": "ack_requeue_true", "encoding": "auto"});
        let url = format!("{}/queues/{}/{queue}/get", self.base, self.vhost);
        let answer =
            http::ask_within(AT_ONCE, Method::POST, &url, Some((&self.user, &self.password)), Some(&body));
        let messages = answer.map(|(_, messages)| messages).unwrap_or_default();
        let payload = |message: &Value| Some(message["payload"].as_str()?.to_owned());
        messages.as_array().into_iter().flatten().filter_map(payload).collect()
    }

    /// Takes everything out of a queue.
    pub fn take(&self, queue: &str) -> Vec<String> {
        let body = json!({"count": 10_000, "ackmode": "ack_requeue_false", "encoding": "auto"});
        let messages = self.post(&self.path("queues", &format!("{queue}/get")), &body);
        let payload = |message: &Value| message["payload"].as_str().unwrap().to_owned();
        messages.as_array().unwrap().iter().map(payload).collect()
    }

    /// Messages in a queue, counted at once.
    pub fn depth(&self, queue: &str) -> u64 {
        let queues = self.get(&format!("/queues/{}?disable_stats=true&enable_queue_totals=true", self.vhost));
        let found = queues.as_array().unwrap().iter().find(|found| found["name"] == queue);
        found.and_then(|found| found["messages"].as_u64()).unwrap_or_default()
    }

    /// Waits until what `exchange` gets with `key` crosses to `downstream`.
    pub fn await_binding(&self, exchange: &str, key: &str, downstream: &str) {
        let internal = format!("federation: {exchange} -> {downstream}");
        until(&format!("binding `{key}` of {downstream} in {}", self.region), || {
            let bindings = self.get(&self.path("exchanges", &format!("{exchange}/bindings/source")));
            bindings.as_array().unwrap().iter().find(|binding| {
                binding["routing_key"] == key
                    && binding["destination"].as_str().unwrap().starts_with(&internal)
            })?;
            Some(())
        });
    }

    /// The links from an upstream; none if the broker fails to list them, as it does while they start and stop.
    pub fn links_from(&self, upstream: &str) -> Option<Vec<Value>> {
        let links = self.try_get(&format!("/federation-links/{}", self.vhost))?;
        let links = links.as_array()?;
        Some(links.iter().filter(|link| link["upstream"] == upstream).cloned().collect())
    }

    /// The same broker, through the code under test.
    pub fn under_test(&self) -> fedctl_engine::rabbitmq::Broker {
        let port = self.base.trim_start_matches("http://127.0.0.1:").trim_end_matches("/api");
        let management = Address::published(port.parse().unwrap());
        let site = Site {
            region: RegionName::new(&self.region),
            amqp: management.clone(),
            management,
            prefix: String::new(),
            listener: Some(AMQP_PORT),
            ca_file: None,
            parameter: String::new(),
            vhost: VHOST.into(),
            user: ADMINISTRATOR.into(),
            password: Some(Secret::new(self.password.clone())),
        };
        Connector::default().broker(&site).unwrap()
    }

    #[track_caller]
    fn must(&self, method: &Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.ask(method.clone(), path, body, (&self.user, &self.password));
        assert!(status.is_success(), "{method} {path} in {}: {status} {answer}", self.region);
        answer
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        user: (&str, &str),
    ) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.base);
        let answer = http::ask(method, &url, Some(user), body);
        answer.unwrap_or_else(|| panic!("no answer from {url}, the broker of {}", self.region))
    }
}
