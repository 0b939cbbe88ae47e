//! A real broker in a container, and a client of its own to look at it with.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::image::broker_image;

const BOOT_WITHIN: Duration = Duration::from_secs(90);
const VHOSTS: usize = 96;

/// A broker that is removed when dropped. Each test uses a vhost of its own, so tests can share it.
pub struct Broker {
    container: String,
    port: u16,
    vhosts: AtomicUsize,
}

impl Broker {
    /// The broker shared by the tests that run at this time.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let broker = Arc::new(Self::create());
            broker.start();
            *shared = Arc::downgrade(&broker);
            broker
        })
    }

    /// A broker that is not started yet, on a port that stays the same when it is restarted.
    pub fn create() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let name = format!("fedctl-test-{}", uuid::Uuid::now_v7());
        let publish = format!("127.0.0.1:{free}:5672");
        docker(&["create", "--label", "io.fedctl.test=1", "--name", &name, "-p", &publish, &broker_image()]);
        let broker = Self { container: name, port: free, vhosts: AtomicUsize::new(0) };
        broker.configure();
        broker
    }

    fn configure(&self) {
        let vhosts: Vec<_> = (0..VHOSTS).map(|n| serde_json::json!({"name": format!("test-{n}")})).collect();
        let permissions: Vec<_> = (0..VHOSTS)
            .map(|n| {
                serde_json::json!({"user": "test", "vhost": format!("test-{n}"),
                    "configure": ".*", "write": ".*", "read": ".*"})
            })
            .collect();
        let definitions = serde_json::json!({
            "users": [{"name": "test", "password": "hush-hush", "tags": "administrator"}],
            "vhosts": vhosts, "permissions": permissions,
        });
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("rabbitmq");
        std::fs::create_dir_all(etc.join("conf.d")).unwrap();
        let conf = "load_definitions = /etc/rabbitmq/test.json\n";
        std::fs::write(etc.join("conf.d/90-test.conf"), conf).unwrap();
        std::fs::write(etc.join("test.json"), definitions.to_string()).unwrap();
        docker(&["cp", etc.to_str().unwrap(), &format!("{}:/etc", self.container)]);
    }

    /// Starts it and waits until it speaks AMQP.
    pub fn start(&self) {
        docker(&["start", &self.container]);
        self.wait();
    }

    /// Takes it down and up again.
    pub fn restart(&self) {
        docker(&["restart", "--time", "20", &self.container]);
        self.wait();
    }

    /// The engine accepts connections to a published port before anybody listens behind it, so only the
    /// broker's first frame tells that it is there.
    #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
    fn wait(&self) {
        let deadline = Instant::now() + BOOT_WITHIN;
        while !self.speaks_amqp() {
            assert!(Instant::now() < deadline, "no broker within {BOOT_WITHIN:?}:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn speaks_amqp(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        let mut frame = [0; 1];
        stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
            && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
            && stream.read_exact(&mut frame).is_ok()
            && frame == [1]
    }

    fn logs(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.container]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// The URI of a vhost that no other test uses.
    pub fn vhost_uri(&self) -> String {
        let vhost = self.vhosts.fetch_add(1, Ordering::SeqCst);
        assert!(vhost < VHOSTS, "more tests than vhosts");
        format!("amqp://test:hush-hush@127.0.0.1:{}/test-{vhost}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.container]).output();
    }
}

fn docker(arguments: &[&str]) {
    let output = Command::new("docker").args(arguments).output().unwrap_or_else(|error| {
        panic!("these tests need a Docker engine and its `docker` command: {error}; `cargo test --test it -- --skip services` runs the rest")
    });
    assert!(
        output.status.success(),
        "these tests need a Docker engine with the image of `BROKER_IMAGE` (`cargo test --test it -- --skip services` runs the rest): `docker {}`: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr),
    );
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
}
