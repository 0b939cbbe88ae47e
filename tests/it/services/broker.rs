//! A real broker in a container, and a client to inspect it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use fedctl_engine::rabbitmq::speaks_amqp;
use fedctl_model::{observed::Plugin, site::Address};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::timeout};

use super::region::{until, within};
use crate::support::engine::{broker_image, docker, run};

const BOOT_WITHIN: Duration = Duration::from_secs(90);
/// Where the official image has it; others have it elsewhere.
const PLUGINS: &str = "RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins";

/// A broker that is removed when dropped. Each test uses a vhost of its own, so tests can share it.
pub struct Broker {
    container: String,
    amqp: u16,
    management: u16,
    vhosts: AtomicUsize,
}

impl Broker {
    /// The broker shared by the tests that run at this time.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let broker = Arc::new(Self::create());
            broker.start();
            *shared = Arc::downgrade(&broker);
            broker
        })
    }

    /// A broker that is not started yet, on ports that stay the same when it is restarted.
    pub fn create() -> Self {
        let broker = Self::made([5672, 15672]);
        broker.configure("", &[]);
        broker
    }

    /// The same, whose listeners encrypt: with `ca.pem`, `cert.pem` and `key.pem`.
    pub fn encrypted(files: &[(&str, String)]) -> Self {
        let broker = Self::made([5671, 15671]);
        let options = ["cacertfile = ", "certfile = ", "keyfile = "].into_iter().zip(files);
        let options = options.fold(String::new(), |text, (key, (file, _))| {
            let value = format!("{key}/etc/rabbitmq/{file}");
            text + &format!("ssl_options.{value}\nmanagement.ssl.{value}\n")
        });
        broker.configure(
            &format!("listeners.ssl.default = 5671\nmanagement.ssl.port = 15671\n{options}"),
            files,
        );
        broker
    }

    /// Its container, which publishes these ports.
    fn made([amqps, https]: [u16; 2]) -> Self {
        let [amqp, management] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [amqp, management] = [amqp, management].map(|free| free.local_addr().unwrap().port());
        let container = format!("fedctl-test-{}", uuid::Uuid::now_v7());
        let publish = [format!("127.0.0.1:{amqp}:{amqps}"), format!("127.0.0.1:{management}:{https}")];
        docker(&[
            "create",
            "--label",
            "io.fedctl.test=1",
            "--env",
            PLUGINS,
            "--name",
            &container,
            "-p",
            &publish[0],
            "-p",
            &publish[1],
            &broker_image(),
        ]);
        Self { container, amqp, management, vhosts: AtomicUsize::new(0) }
    }

    fn configure(&self, settings: &str, files: &[(&str, String)]) {
        let definitions = json!({
            "users": [{"name": "test", "password": "hush-hush", "tags": "administrator"}],
            "vhosts": [{"name": "/"}],
            "permissions": [{"user": "test", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        });
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("rabbitmq");
        std::fs::create_dir_all(etc.join("conf.d")).unwrap();
        // without a name of its own the broker looks up its host's name for every federated message
        let configuration = format!(
            "load_definitions = /etc/rabbitmq/test.json\ncluster_name = {}\n{settings}",
            self.container
        );
        std::fs::write(etc.join("conf.d/90-test.conf"), configuration).unwrap();
        let plugins = Plugin::ALL.map(Plugin::name).join(",");
        std::fs::write(etc.join("enabled_plugins"), format!("[{plugins}].\n")).unwrap();
        std::fs::write(etc.join("test.json"), definitions.to_string()).unwrap();
        for (name, content) in files {
            std::fs::write(etc.join(name), content).unwrap();
        }
        docker(&["cp", etc.to_str().unwrap(), &format!("{}:/etc", self.container)]);
    }

    /// Starts it and waits until it speaks AMQP.
    pub fn start(&self) {
        self.begin();
        self.wait();
    }

    /// Starts it.
    pub fn begin(&self) {
        docker(&["start", &self.container]);
    }

    /// Restarts it.
    pub fn restart(&self) {
        docker(&["restart", "--time", "20", &self.container]);
        self.wait();
    }

    /// Waits until it speaks AMQP: the engine accepts connections to a published port before the broker listens.
    fn wait(&self) {
        let address = Address::published(self.amqp);
        let speaks = async || speaks_amqp(&address).await.then_some(());
        blocking(within(BOOT_WITHIN, &format!("{} speaks AMQP", self.container), speaks));
    }

    /// The URI of a vhost that no other test uses.
    pub fn vhost_uri(&self) -> String {
        self.uri(&self.new_vhost())
    }

    fn new_vhost(&self) -> String {
        let vhost = format!("test-{}", self.vhosts.fetch_add(1, Ordering::SeqCst));
        let permissions = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put(&[
            (format!("vhosts/{vhost}"), json!({})),
            (format!("permissions/{vhost}/test"), permissions),
        ]);
        vhost
    }

    /// Two vhosts that no other test uses, each the upstream of the other for the exchanges whose names end in `.events`,
    /// as two regions are.
    pub fn federated_vhosts(&self) -> [String; 2] {
        let vhosts = [(); 2].map(|()| self.new_vhost());
        for (vhost, other) in vhosts.iter().zip(vhosts.iter().rev()) {
            let uri = format!("amqp://test:hush-hush@localhost/{other}");
            let policy = json!({"pattern": r"\.events$", "apply-to": "exchanges",
                "definition": {"federation-upstream": "other"}});
            self.put(&[
                (
                    format!("parameters/federation-upstream/{vhost}/other"),
                    json!({"value": {"uri": uri, "max-hops": 1}}),
                ),
                (format!("policies/{vhost}/events"), policy),
            ]);
        }
        vhosts
    }

    /// Waits until what is published to `exchange` in a vhost with any of these keys goes to another one too.
    pub fn forwards(&self, vhost: &str, exchange: &str, keys: &[&str]) {
        let url = format!("{}/exchanges/{vhost}/{exchange}/bindings/source", self.api());
        let forwarded = async || {
            let answer = Client::new().get(&url).basic_auth("test", Some("hush-hush")).send().await.ok()?;
            let bindings: Vec<Value> = answer.json().await.ok()?;
            let is_forwarded = |key: &&str| {
                bindings.iter().any(|binding| {
                    binding["routing_key"] == *key
                        && binding["destination"].as_str().is_some_and(|name| name.starts_with("federation:"))
                })
            };
            keys.iter().all(is_forwarded).then_some(())
        };
        blocking(until(&format!("{exchange} in {vhost} is forwarded"), forwarded));
    }

    /// Where AMQP and the management API are reached.
    pub fn addresses(&self) -> [String; 2] {
        [self.amqp, self.management].map(|port| format!("127.0.0.1:{port}"))
    }

    /// The name of its cluster, by which it is also its container's.
    pub fn cluster_name(&self) -> &str {
        &self.container
    }

    fn api(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.management)
    }

    /// Puts objects, each by its path below the API.
    pub fn put(&self, objects: &[(String, Value)]) {
        blocking(async {
            rustls::crypto::ring::default_provider().install_default().ok();
            let client = Client::new();
            for (path, body) in objects {
                let url = format!("{}/{path}", self.api());
                until(&format!("PUT {url}"), async || {
                    let request = client.put(&url).basic_auth("test", Some("hush-hush")).json(body);
                    request.send().await.ok()?.status().is_success().then_some(())
                })
                .await;
            }
        });
    }

    /// The URI of a vhost, spelled as in a URI: `%2f` is the one that a broker has from the start.
    pub fn uri(&self, vhost: &str) -> String {
        format!("amqp://test:hush-hush@127.0.0.1:{}/{vhost}", self.amqp)
    }
}

/// Waits for something in the middle of an asynchronous test, which may not wait itself before its broker is there.
fn blocking(wait: impl Future<Output = ()> + Send) {
    let waits = || Runtime::new().unwrap().block_on(wait);
    thread::scope(|scope| scope.spawn(waits).join().unwrap());
}

impl Drop for Broker {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = run(&["logs", "--tail", "20", &self.container]);
            eprintln!("{}", String::from_utf8_lossy(&log.stdout));
        }
        run(&["rm", "--force", "--volumes", &self.container]);
    }
}

/// A client that is not the code under test.
pub struct Probe {
    connection: Connection,
    channel: Channel,
}

impl Probe {
    pub async fn connect(uri: &str) -> Self {
        let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { connection, channel }
    }

    /// A queue that gets what `exchange` gets with `key`.
    pub async fn tap(&self, exchange: &str, key: &str) -> String {
        let queue = format!("tap.{exchange}.{key}");
        let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default);
        self.channel.queue_declare(queue.as_str().into(), options, none()).await.unwrap();
        let bind = QueueBindOptions::default();
        self.channel
            .queue_bind(queue.as_str().into(), exchange.into(), key.into(), bind, none())
            .await
            .unwrap();
        queue
    }

    pub async fn publish(&self, exchange: &str, key: &str, properties: BasicProperties, body: &str) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            self.channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
        let confirmed = sent.await.unwrap().await.unwrap();
        assert!(confirmed.is_ack(), "{confirmed:?}");
        assert!(confirmed.take_message().is_none(), "nothing bound to `{exchange}` for `{key}`");
    }

    /// Takes the next message of `queue`, if there is one.
    pub async fn get(&self, queue: &str) -> Option<Delivery> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()?;
        got.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        Some(got.delivery)
    }

    /// Consumes so many messages of `queue`, and acknowledges each; how many came before there was none for a while.
    pub async fn consume(&self, queue: &str, count: usize) -> usize {
        let options = BasicConsumeOptions::default();
        let consumer = self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let mut deliveries = consumer.await.unwrap();
        let mut received = 0;
        while received < count
            && let Ok(Some(delivery)) = timeout(BOOT_WITHIN, deliveries.next()).await
        {
            delivery.unwrap().acker.ack(BasicAckOptions::default()).await.unwrap();
            received += 1;
        }
        received
    }

    /// How many messages are ready in `queue`, and how many consumers it has.
    pub async fn depth(&self, queue: &str) -> (u32, u32) {
        // On a channel of its own: a queue that is missing closes it.
        let channel = self.connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        (queue.message_count(), queue.consumer_count())
    }

    /// Whether there is such a queue.
    pub async fn exists(&self, queue: &str) -> bool {
        let channel = self.connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), options, FieldTable::default()).await.is_ok()
    }

    pub async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    }

    pub async fn delete_exchange(&self, exchange: &str) {
        self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    pub async fn unbind(&self, queue: &str, exchange: &str, key: &str) {
        let names = (queue.into(), exchange.into(), key.into());
        self.channel.queue_unbind(names.0, names.1, names.2, FieldTable::default()).await.unwrap();
    }
}
