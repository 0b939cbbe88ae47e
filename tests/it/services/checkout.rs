//! The checkout chain against a real broker: one order through all services, and what may go wrong on the way.
//!
//! The regions share one broker: that events cross between brokers is federation, tested elsewhere.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use std::collections::BTreeSet;

use super::broker::{Broker, Probe};
use super::region::{Region, Running, until};
use fedctl_contract::program::Program::{
    self, Analytics, Checkout, Email, Fraud, Inventory, Notification, Payment, Push, Sms,
};
use fedctl_messaging::Log;
use fedctl_services::run_logged;
use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::AMQPValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const EVENTS: &str = "checkout.events";

/// A region whose services also get `options`.
fn region(name: &'static str, uri: &str, options: &[(&str, &str)]) -> Region {
    let mut region = Region::new(name, uri);
    region.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    region
}

fn lamps(quantity: i64) -> Value {
    json!({"sku": "lamp", "quantity": quantity, "amount": "12.50"})
}

/// Posts an order that is accepted; gives its identifier and its correlation identifier.
async fn order(api: &Running, path: &str, body: &Value) -> (String, String) {
    let answer = api.post(path, body.to_string()).await;
    let (status, correlation) = (answer.status(), answer.headers().get("x-correlation-id").cloned());
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    let order_id = answer["order_id"].as_str().unwrap().to_owned();
    (order_id, correlation.unwrap().to_str().unwrap().to_owned())
}

async fn buy(api: &Running, quantity: i64) -> String {
    order(api, "/checkouts", &lamps(quantity)).await.0
}

/// Waits until the API reports this state of the order; gives the whole answer.
async fn reaches(api: &Running, order_id: &str, state: &str) -> Value {
    let path = format!("/checkouts/{order_id}");
    until(&format!("{order_id} is {state}"), async || {
        let answer = api.get(&path).await;
        let answer: Value = answer.json().await.unwrap();
        (answer["state"] == state).then_some(answer)
    })
    .await
}

/// Waits for the one line of this event about this order, and checks that there is no second one.
async fn once(service: &Running, event: &str, order_id: &str) -> Value {
    let line = service.line(event, |line| line["order_id"] == order_id).await;
    let lines = service.lines(event).into_iter().filter(|line| line["order_id"] == order_id).count();
    assert_eq!(lines, 1, "{event} of {order_id}");
    line
}

fn stock(region: &Region, sku: &str) -> i64 {
    let sql = "SELECT quantity FROM stock WHERE sku = ?1";
    let store = rusqlite::Connection::open(region.store.path().join("inventory.db")).unwrap();
    store.query_row(sql, [sku], |row| row.get(0)).unwrap()
}

/// The number of rows of a table in the store of a service.
fn rows(region: &Region, file: &str, table: &str) -> i64 {
    let store = rusqlite::Connection::open(region.store.path().join(file)).unwrap();
    store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn dead_letter_reason(delivery: &Delivery) -> String {
    match delivery.properties.headers().as_ref().unwrap().inner().get("x-parked-reason") {
        Some(AMQPValue::LongString(reason)) => reason.to_string(),
        other => panic!("dead-lettered because of {other:?}"),
    }
}

/// Takes all that is in a queue.
async fn drain(probe: &Probe, queue: &str) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while let Some(delivery) = probe.get(queue).await {
        taken.push(delivery);
    }
    taken
}

/// Publishes a message again, the same.
async fn repeat(probe: &Probe, exchange: &str, message: &Delivery) {
    let body = String::from_utf8(message.data.clone()).unwrap();
    probe.publish(exchange, message.routing_key.as_str(), message.properties.clone(), &body).await;
}

/// Waits until one order with all that follows is counted, and checks that each is counted once.
async fn counted(analytics: &Running) -> Vec<Value> {
    until("all is counted", async || (analytics.lines("event_counted").len() == 3).then_some(())).await;
    let stats: Value = analytics.get("/stats").await.json().await.unwrap();
    let expected = json!({"order.europe.created": 1, "inventory.reserved": 1, "payment.captured": 1});
    assert_eq!(stats, expected);
    analytics.lines("event_counted")
}

async fn start_all(places: &[(&Region, Program)]) -> Vec<Running> {
    join_all(places.iter().map(|(region, kind)| region.start(*kind))).await
}

async fn an_order_passes_the_whole_chain_once_under_one_correlation_id() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let [europe, asia, america] = ["europe", "asia", "america"].map(|name| Region::new(name, &uri));
    let running = start_all(&[
        (&europe, Checkout),
        (&asia, Checkout),
        (&europe, Inventory),
        (&asia, Payment),
        (&america, Notification),
        (&america, Email),
        (&america, Sms),
        (&america, Push),
        (&europe, Analytics),
    ])
    .await;
    let [api, far, inventory, payment, notification, email, sms, push, analytics] = &running[..] else {
        panic!()
    };
    let probe = Probe::connect(&uri).await;
    let (orders, all) = (probe.tap(EVENTS, "order.*.created").await, probe.tap(EVENTS, "#").await);

    let (order_id, correlation) = order(api, "/checkouts", &lamps(2)).await;
    assert_eq!(reaches(api, &order_id, "captured").await, json!({"order_id": order_id, "state": "captured"}));
    reaches(far, &order_id, "captured").await;
    let unknown = api.get("/checkouts/none").await;
    assert_eq!(unknown.status(), 404);

    let created = probe.get(&orders).await.unwrap();
    assert_eq!(created.routing_key.as_str(), "order.europe.created");
    let body: Value = serde_json::from_slice(&created.data).unwrap();
    let expected =
        json!({"order_id": order_id, "sku": "lamp", "quantity": 2, "amount": "12.50", "region": "europe"});
    assert_eq!(body, expected);

    let published = api.lines("published");
    assert_eq!((published.len(), &published[0]["order_id"]), (1, &json!(order_id)));
    let mut lines = vec![
        published[0].clone(),
        once(inventory, "stock_reserved", &order_id).await,
        once(payment, "payment_captured", &order_id).await,
        once(notification, "notification_sent", &order_id).await,
    ];
    for (channel, name) in [(email, "email"), (sms, "sms"), (push, "push")] {
        let line = once(channel, "notified", &order_id).await;
        assert_eq!(line["channel"], name);
        lines.push(line);
    }
    lines.extend(counted(analytics).await);
    assert_eq!(lines.len(), 10);
    for line in &lines {
        assert_eq!(line["correlation_id"], json!(correlation), "{line}");
        assert_eq!(line["order_id"], json!(order_id), "{line}");
    }
    assert_eq!(lines[1]["left"], 998);
    assert_eq!(stock(&europe, "lamp"), 998);
    let events = drain(&probe, &all).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.properties.message_id().clone()).collect();
    assert_eq!(ids.len(), 3, "each has its own");
    assert_eq!(events.len(), 3, "nothing else was published: {events:?}");
    assert!(running.iter().all(|service| service.lines("duplicate_skipped").is_empty()));
}

async fn an_unroutable_order_is_refused_and_no_service_declares_anothers_queue() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let asia = Region::new("asia", &uri);
    let api = asia.start(Checkout).await;
    let refused = api.post("/checkouts", lamps(1).to_string()).await;
    assert_eq!(refused.status(), 500);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "UNROUTABLE");

    let probe = Probe::connect(&uri).await;
    let queues = |names: &[&str]| names.iter().map(|name| format!("checkout.{name}")).collect::<Vec<_>>();
    for (kind, others) in [
        (Inventory, queues(&["payment", "notification", "analytics", "fraud"])),
        (Payment, queues(&["notification", "analytics", "fraud"])),
        (Notification, queues(&["analytics", "fraud"])),
        (Analytics, queues(&["fraud"])),
    ] {
        asia.start(kind).await.stop().await;
        for queue in others {
            assert!(!probe.exists(&queue).await, "{kind} declares {queue}");
        }
    }
    for channel in ["email", "sms", "push"] {
        assert!(probe.exists(&format!("notifications.{channel}")).await, "before {channel} was ever started");
    }
}

async fn stock_is_never_sold_twice_by_concurrent_orders_from_two_regions() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = region("europe", &uri, &[("STOCK", "lamp=5, book=1")]);
    let asia = Region::new("asia", &uri);
    // Two replicas: they share queue and store.
    let _inventories = [europe.start(Inventory).await, europe.start(Inventory).await];
    let apis = [europe.start(Checkout).await, asia.start(Checkout).await];
    let orders = join_all((0..14).map(|n| buy(&apis[n % 2], 1))).await;
    let states = join_all(orders.iter().map(|order_id| {
        let path = format!("/checkouts/{order_id}");
        let api = &apis[0];
        async move {
            until("the inventory has answered", async || {
                let answer: Value = api.get(&path).await.json().await.unwrap();
                ["reserved", "rejected"].iter().any(|state| answer["state"] == *state).then_some(answer)
            })
            .await
        }
    }))
    .await;
    let (reserved, rejected): (Vec<_>, Vec<_>) =
        states.iter().partition(|state| state["state"] == "reserved");
    assert_eq!((reserved.len(), rejected.len()), (5, 9));
    assert!(rejected.iter().all(|order| order["reason"] == "0 of `lamp` left, 1 wanted"), "{rejected:?}");
    assert_eq!(stock(&europe, "lamp"), 0);

    let unknown = json!({"sku": "moon", "quantity": 1, "amount": "1"});
    let (order_id, _) = order(&apis[1], "/checkouts", &unknown).await;
    let answer = reaches(&apis[1], &order_id, "rejected").await;
    assert_eq!(answer["reason"], "sku `moon` is unknown");
}

async fn an_event_that_comes_twice_changes_nothing_and_is_followed_by_the_same_one() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let kinds = [Checkout, Inventory, Payment, Notification, Email, Sms, Push, Analytics, Fraud];
    let places: Vec<_> = kinds.iter().map(|kind| (&europe, *kind)).collect();
    let running = start_all(&places).await;
    let [api, inventory, payment, notification, email, sms, push, analytics, fraud] = &running[..] else {
        panic!()
    };
    let probe = Probe::connect(&uri).await;
    let events = probe.tap(EVENTS, "#").await;
    let notifications = probe.tap("notifications", "").await;
    let order_id = buy(api, 2).await;
    for channel in [email, sms, push] {
        channel.line("notified", |_| true).await;
    }
    counted(analytics).await;
    fraud.line("fraud_checked", |_| true).await;
    let first = drain(&probe, &events).await;
    assert_eq!(first.len(), 3);
    let notified = probe.get(&notifications).await.unwrap();

    for event in &first {
        repeat(&probe, EVENTS, event).await;
    }
    repeat(&probe, "notifications", &notified).await;

    // Repeating the order repeats its reservation, and that its payment.
    let known: BTreeSet<_> = first.iter().map(|event| event.properties.message_id().clone()).collect();
    let again = |service: &Running| service.lines("duplicate_skipped").len();
    until("all repetitions are seen", async || {
        let expected = [(inventory, 1), (payment, 2), (notification, 3), (email, 1), (sms, 1), (push, 1)];
        let seen = expected.iter().all(|(service, count)| again(service) == *count);
        (seen && again(analytics) == 6 && again(api) == 5 && again(fraud) == 1).then_some(())
    })
    .await;
    let repeated = drain(&probe, &events).await;
    assert_eq!(repeated.len(), 6);
    for event in &repeated {
        assert!(known.contains(event.properties.message_id()), "a new identifier: {event:?}");
        let original = first.iter().find(|first| first.routing_key == event.routing_key).unwrap();
        assert_eq!((&original.properties, &original.data), (&event.properties, &event.data));
    }

    assert_eq!(stock(&europe, "lamp"), 998);
    let payments = rows(&europe, "payments.db", "payments");
    let sent = ["email", "sms", "push"].map(|name| rows(&europe, &format!("{name}.db"), "sent"));
    assert_eq!((payments, sent, rows(&europe, "fraud.db", "verdicts")), (1, [1, 1, 1], 1));
    counted(analytics).await;
    for (service, event) in [
        (inventory, "stock_reserved"),
        (payment, "payment_captured"),
        (notification, "notification_sent"),
        (email, "notified"),
        (fraud, "fraud_checked"),
    ] {
        once(service, event, &order_id).await;
    }
    reaches(api, &order_id, "captured").await;
}

async fn orders_are_taken_while_the_payment_is_stopped_and_captured_when_it_is_back() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, _inventory) = (europe.start(Checkout).await, europe.start(Inventory).await);
    asia.start(Payment).await.stop().await;
    let orders = join_all((0..6).map(|_| buy(&api, 1))).await;
    for order_id in &orders {
        reaches(&api, order_id, "reserved").await;
    }
    let probe = Probe::connect(&uri).await;
    assert_eq!(probe.depth("checkout.payment").await, (6, 0));

    let payment = asia.start(Payment).await;
    for order_id in &orders {
        reaches(&api, order_id, "captured").await;
        once(&payment, "payment_captured", order_id).await;
    }
    assert_eq!(rows(&asia, "payments.db", "payments"), 6);
}

async fn a_slow_payment_slows_no_order_and_holds_no_more_than_it_may() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let mut asia = region("asia", &uri, &[("DELAY_MS", "600000")]);
    let (api, _inventory) = (europe.start(Checkout).await, europe.start(Inventory).await);
    let slow = asia.start(Payment).await;
    let orders = join_all((0..68).map(|_| buy(&api, 1))).await;
    for order_id in &orders {
        reaches(&api, order_id, "reserved").await;
    }
    assert!(slow.lines("payment_captured").is_empty(), "every order was reserved before any was paid");
    let probe = Probe::connect(&uri).await;
    until("sixty-four are in flight, the others are ready in the queue", async || {
        (probe.depth("checkout.payment").await == (4, 1)).then_some(())
    })
    .await;

    // What is in flight is requeued, and nothing is lost or charged twice.
    let lines = slow.stop().await;
    assert!(lines.iter().all(|line| line["event"] != "payment_captured" && line["event"] != "dead_lettered"));
    asia.options.clear();
    let quick = asia.start(Payment).await;
    for order_id in &orders {
        reaches(&api, order_id, "captured").await;
        once(&quick, "payment_captured", order_id).await;
    }
}

async fn a_payment_over_the_limit_fails_with_the_reason() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = region("europe", &uri, &[("LIMIT", "100")]);
    let (api, _inventory) = (europe.start(Checkout).await, europe.start(Inventory).await);
    let payment = europe.start(Payment).await;
    for (amount, state) in [("100.00", "captured"), ("100.01", "failed"), ("99.999", "captured")] {
        let body = json!({"sku": "lamp", "quantity": 1, "amount": amount});
        let (order_id, correlation) = order(&api, "/checkouts", &body).await;
        let answer = reaches(&api, &order_id, state).await;
        if state == "failed" {
            assert_eq!(answer["reason"], "100.01 is over the limit of 100");
            let failed = once(&payment, "payment_failed", &order_id).await;
            assert_eq!(failed["correlation_id"], json!(correlation));
        }
    }
    payment.wrote("payment_captured", 2).await;
    assert_eq!(rows(&europe, "payments.db", "payments"), 2);
}

async fn a_failed_payment_gives_the_stock_back_once() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = region("europe", &uri, &[("LIMIT", "100")]);
    let kinds = [Checkout, Inventory, Payment, Notification, Analytics];
    let places: Vec<_> = kinds.iter().map(|kind| (&europe, *kind)).collect();
    let running = start_all(&places).await;
    let [api, inventory, payment, notification, analytics] = &running[..] else { panic!() };
    let probe = Probe::connect(&uri).await;
    let failures = probe.tap(EVENTS, "payment.failed").await;

    let body = json!({"sku": "lamp", "quantity": 3, "amount": "100.01"});
    let (order_id, correlation) = order(api, "/checkouts", &body).await;
    reaches(api, &order_id, "failed").await;
    let reserved = once(inventory, "stock_reserved", &order_id).await;
    let released = once(inventory, "stock_released", &order_id).await;
    assert_eq!((&reserved["left"], &released["left"]), (&json!(997), &json!(1000)));
    assert_eq!(released["correlation_id"], json!(correlation));
    let left: Value = inventory.get("/stock/lamp").await.json().await.unwrap();
    assert_eq!(left, json!({"sku": "lamp", "quantity": 1000}));
    assert_eq!(inventory.get("/stock/moon").await.status(), 404);

    // once more the same event, and once more another event about the same order
    let failure = probe.get(&failures).await.unwrap();
    repeat(&probe, EVENTS, &failure).await;
    let body = String::from_utf8(failure.data).unwrap();
    let another = BasicProperties::default().with_message_id("another".into());
    probe.publish(EVENTS, "payment.failed", another, &body).await;
    inventory.line("duplicate_skipped", |_| true).await;
    inventory.line("event_ignored", |line| line["message_id"] == "another").await;
    once(inventory, "stock_released", &order_id).await;
    assert_eq!(stock(&europe, "lamp"), 1000);

    let paid = buy(api, 1).await;
    reaches(api, &paid, "captured").await;
    notification.line("notification_sent", |line| line["order_id"] == json!(paid)).await;
    assert_eq!(
        (notification.lines("notification_sent").len(), payment.lines("payment_failed").len()),
        (1, 1)
    );
    reaches(api, &order_id, "failed").await;
    until("all is counted", async || {
        let stats: Value = analytics.get("/stats").await.json().await.unwrap();
        let expected = json!({"order.europe.created": 2, "inventory.reserved": 2, "payment.failed": 2,
            "inventory.released": 1, "payment.captured": 1});
        // the failure that came twice is the same one, the other is not
        (stats == expected).then_some(())
    })
    .await;
}

async fn an_order_whose_payment_has_failed_already_is_not_reserved() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (inventory, _api) = (europe.start(Inventory).await, europe.start(Checkout).await);
    let probe = Probe::connect(&uri).await;
    let order = |id: &str| {
        json!({"order_id": id, "sku": "lamp", "quantity": 1, "amount": "1", "region": "europe"}).to_string()
    };
    for key in ["payment.failed", "order.europe.created"] {
        probe.publish(EVENTS, key, BasicProperties::default(), &order("late")).await;
    }
    let rejected = once(&inventory, "stock_rejected", "late").await;
    assert_eq!((&rejected["reason"], stock(&europe, "lamp")), (&json!("its payment has failed"), 1000));

    for id in ["one", "another"] {
        let properties = BasicProperties::default().with_message_id(id.into());
        probe.publish(EVENTS, "order.europe.created", properties, &order("twice")).await;
    }
    let dead_lettered = inventory.line("dead_lettered", |_| true).await;
    assert!(dead_lettered["reason"].as_str().unwrap().contains("reservations.order_id"), "{dead_lettered}");
    once(&inventory, "stock_reserved", "twice").await;
    assert_eq!(stock(&europe, "lamp"), 999);
}

/// Two federated regions, each with all that an order needs. Inventories and payments have a store of their own.
struct Pair {
    /// By region.
    uris: [String; 2],
    inventories: [Region; 2],
    payments: [Region; 2],
    /// The inventories, payments and APIs, by region.
    running: Vec<Running>,
}

impl Pair {
    async fn start(broker: &Broker) -> Self {
        let vhosts = broker.federated_vhosts();
        let uris = vhosts.each_ref().map(|vhost| broker.uri(vhost));
        let regions = |instances| {
            let options = [("INSTANCES", instances), ("STOCK", "lamp=10"), ("LIMIT", "100")];
            [("europe", &uris[0]), ("asia", &uris[1])].map(|(name, uri)| region(name, uri, &options))
        };
        let inventories = regions("europe/inventory,asia/inventory");
        let payments = regions("europe/payment,asia/payment");
        let places = [
            (&inventories[0], Inventory),
            (&inventories[1], Inventory),
            (&payments[0], Payment),
            (&payments[1], Payment),
            (&inventories[0], Checkout),
            (&inventories[1], Checkout),
        ];
        let running = start_all(&places).await;
        let orders = ["order.created", "order.*.created"];
        let answers = ["inventory.*", "inventory.reserved", "payment.failed", "payment.*"];
        for vhost in &vhosts {
            broker.forwards(vhost, EVENTS, &[&orders[..], &answers].concat());
        }
        Self { uris, inventories, payments, running }
    }
}

async fn in_two_regions_with_inventory_and_payment_each_order_is_reserved_and_paid_once() {
    let broker = Broker::shared();
    let pair = Pair::start(&broker).await;
    let [near, far, payment, far_payment, api, far_api] = &pair.running[..] else { panic!() };
    // seven from each region, of which the last cannot be paid; and one from a region that has neither
    let is_paid = |n: usize| n < 12;
    let orders = (0..14).map(async |n| {
        let amount = if is_paid(n) { "12.50" } else { "100.01" };
        let body = json!({"sku": "lamp", "quantity": 1, "amount": amount});
        order([api, far_api][n % 2], "/checkouts", &body).await.0
    });
    let orders = join_all(orders).await;
    let foreign =
        json!({"order_id": "theirs", "sku": "lamp", "quantity": 1, "amount": "3", "region": "elsewhere"});
    let probe = Probe::connect(&pair.uris[1]).await;
    let identified = BasicProperties::default().with_message_id("theirs".into());
    probe.publish(EVENTS, "order.created", identified, &foreign.to_string()).await;

    for (n, order_id) in orders.iter().enumerate() {
        let (state, event) =
            if is_paid(n) { ("captured", "payment_captured") } else { ("failed", "payment_failed") };
        for api in [api, far_api] {
            reaches(api, order_id, state).await;
        }
        let mut places = [(near, payment), (far, far_payment)];
        places.rotate_left(n % 2);
        let [(inventory, payment), (other_inventory, other_payment)] = places;
        once(inventory, "stock_reserved", order_id).await;
        once(payment, event, order_id).await;
        for other in [other_inventory, other_payment] {
            once(other, "left_to_home", order_id).await;
        }
    }
    once(near, "stock_reserved", "theirs").await;
    once(payment, "payment_captured", "theirs").await;
    for inventory in [near, far] {
        inventory.wrote("stock_released", 1).await;
    }
    assert_eq!(pair.inventories.each_ref().map(|region| stock(region, "lamp")), [3, 4]);
    assert_eq!(pair.payments.each_ref().map(|region| rows(region, "payments.db", "payments")), [7, 6]);
    assert_eq!([near, far].map(|inventory| inventory.lines("stock_reserved").len()), [8, 7]);
    assert!(pair.running.iter().all(|service| service.lines("dead_lettered").is_empty()));
}

async fn orders_survive_the_deletion_of_the_exchange_of_events() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let kinds = [Checkout, Inventory, Payment, Analytics, Fraud];
    let places: Vec<_> = kinds.iter().map(|kind| (&europe, *kind)).collect();
    let running = start_all(&places).await;
    let [api, inventory, payment, analytics, fraud] = &running[..] else { panic!() };
    let probe = Probe::connect(&uri).await;
    let mut orders = join_all((0..20).map(|_| buy(api, 1))).await;
    probe.delete_exchange(EVENTS).await;
    orders.extend(join_all((0..20).map(|_| buy(api, 1))).await);
    for order_id in &orders {
        reaches(api, order_id, "captured").await;
        once(inventory, "stock_reserved", order_id).await;
        once(payment, "payment_captured", order_id).await;
        fraud.line("fraud_checked", |line| line["order_id"] == json!(order_id)).await;
    }
    let all = async || (analytics.lines("event_counted").len() == 3 * orders.len()).then_some(());
    until("every event is counted", all).await;
    assert_eq!(stock(&europe, "lamp"), 960);
    assert!(running.iter().all(|service| service.lines("dead_lettered").is_empty()));
}

async fn an_earlier_stage_that_arrives_later_does_not_take_an_order_back() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let api = Region::new("europe", &uri).start(Checkout).await;
    let probe = Probe::connect(&uri).await;
    for key in ["payment.captured", "inventory.reserved", "inventory.restocked"] {
        probe.publish(EVENTS, key, BasicProperties::default(), r#"{"order_id": "o-1"}"#).await;
    }
    let ignored = api.line("event_ignored", |_| true).await;
    assert_eq!(ignored["routing_key"], "inventory.restocked");
    let stale = api.line("stale_skipped", |_| true).await;
    assert_eq!((&stale["order_id"], &stale["state"]), (&json!("o-1"), &json!("reserved")));
    reaches(&api, "o-1", "captured").await;
}

async fn two_reservations_of_one_order_are_not_paid_twice() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let asia = Region::new("asia", &uri);
    let (payment, _api) = (asia.start(Payment).await, asia.start(Checkout).await);
    let probe = Probe::connect(&uri).await;
    let order = json!({"order_id": "o-1", "sku": "lamp", "quantity": 1, "amount": "1", "region": "asia"});
    for id in ["one", "another"] {
        let properties = BasicProperties::default().with_message_id(id.into());
        probe.publish(EVENTS, "inventory.reserved", properties, &order.to_string()).await;
    }
    let dead_lettered = payment.line("dead_lettered", |_| true).await;
    assert!(dead_lettered["reason"].as_str().unwrap().contains("payments.order_id"), "{dead_lettered}");
    once(&payment, "payment_captured", "o-1").await;
    assert_eq!(rows(&asia, "payments.db", "payments"), 1);
}

async fn a_poison_order_is_dead_lettered_with_its_reason_and_later_ones_pass() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (api, inventory) = (europe.start(Checkout).await, europe.start(Inventory).await);
    let probe = Probe::connect(&uri).await;
    let poison = json!({"order_id": "o-1", "quantity": 1, "amount": "1", "region": "europe"});
    let properties = BasicProperties::default().with_correlation_id("c-1".into());
    probe.publish(EVENTS, "order.europe.created", properties, &poison.to_string()).await;
    let good = buy(&api, 1).await;
    reaches(&api, &good, "reserved").await;

    let dead_lettered = inventory.line("dead_lettered", |_| true).await;
    assert_eq!(dead_lettered["reason"], "sku: Missing data for required field.");
    assert_eq!(dead_lettered["correlation_id"], "c-1");
    let letter = probe.get("dead-letters.inventory").await.unwrap();
    assert_eq!(dead_letter_reason(&letter), "sku: Missing data for required field.");
    let body: Value = serde_json::from_slice(&letter.data).unwrap();
    assert_eq!(body, poison);
    assert_eq!(stock(&europe, "lamp"), 999, "only the good order took a lamp");
    assert_eq!((inventory.lines("dead_lettered").len(), probe.depth("checkout.inventory").await.0), (1, 0));
}

async fn a_passing_fault_is_tried_again_and_a_lasting_one_dead_lettered_without_a_second_reservation() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let inventory = europe.start(Inventory).await;
    let probe = Probe::connect(&uri).await;
    let event = json!({"order_id": "o-1", "sku": "lamp", "quantity": 1, "amount": "1", "region": "europe"});
    let properties = || BasicProperties::default().with_message_id("m-1".into());
    // No queue is bound for the inventory's events.
    probe.publish(EVENTS, "order.europe.created", properties(), &event.to_string()).await;
    let dead_lettered = inventory.line("dead_lettered", |_| true).await;
    assert!(dead_lettered["reason"].as_str().unwrap().contains("`inventory.reserved`"), "{dead_lettered}");
    assert_eq!(stock(&europe, "lamp"), 999);

    let tap = probe.tap(EVENTS, "inventory.*").await;
    let letter = probe.get("dead-letters.inventory").await.unwrap();
    let body = String::from_utf8(letter.data.clone()).unwrap();
    probe.publish(EVENTS, "order.created", letter.properties.clone(), &body).await;
    let reserved = until("what was owed", async || probe.get(&tap).await).await;
    assert_eq!(reserved.routing_key.as_str(), "inventory.reserved");
    assert_eq!(stock(&europe, "lamp"), 999);
    once(&inventory, "stock_reserved", "o-1").await;

    let locked = rusqlite::Connection::open(europe.store.path().join("inventory.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let another = json!({"order_id": "o-2", "sku": "lamp", "quantity": 1, "amount": "1", "region": "europe"});
    probe.publish(EVENTS, "order.created", BasicProperties::default(), &another.to_string()).await;
    until("a try fails", async || {
        let metrics = inventory.get("/metrics").await.text().await.unwrap();
        let retried = r#"messages_retried_total{queue="checkout.inventory"}"#;
        let count = metrics.lines().find_map(|line| line.split_once(retried)?.1.trim().parse::<u32>().ok());
        (count > Some(7)).then_some(())
    })
    .await;
    drop(locked);
    once(&inventory, "stock_reserved", "o-2").await;
}

async fn a_fraud_check_and_a_stranger_join_by_binding_a_queue_and_no_other_service_changes() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = region("europe", &uri, &[("SUSPICIOUS", "50")]);
    let running = start_all(&[(&europe, Checkout), (&europe, Inventory), (&europe, Payment)]).await;
    let api = &running[0];
    let before = buy(api, 1).await;
    reaches(api, &before, "captured").await;

    let fraud = europe.start(Fraud).await;
    for (amount, verdict) in [("50", "clear"), ("50.01", "suspicious")] {
        let body = json!({"sku": "lamp", "quantity": 1, "amount": amount});
        let (order_id, correlation) = order(api, "/checkouts", &body).await;
        let checked = once(&fraud, "fraud_checked", &order_id).await;
        assert_eq!(checked["verdict"], verdict);
        assert_eq!(checked["correlation_id"], json!(correlation));
        reaches(api, &order_id, "captured").await;
    }
    fraud.wrote("fraud_checked", 2).await;

    // A client in another language needs only the exchange: it consumes, and it may publish.
    let probe = Probe::connect(&uri).await;
    let listening = probe.tap(EVENTS, "payment.*").await;
    let foreign =
        json!({"order_id": "theirs", "sku": "book", "quantity": 1, "amount": "3", "region": "elsewhere"});
    let correlated = BasicProperties::default().with_correlation_id("their-own".into());
    probe.publish(EVENTS, "order.created", correlated, &foreign.to_string()).await;
    let captured = until("their payment", async || probe.get(&listening).await).await;
    let body: Value = serde_json::from_slice(&captured.data).unwrap();
    assert_eq!(body, foreign);
    assert_eq!(captured.properties.correlation_id().as_ref().unwrap().as_str(), "their-own");
    for service in &running {
        assert_eq!(service.lines("connected").len(), 1, "no service was restarted");
    }
}

async fn an_option_that_is_wrong_is_named_and_nothing_runs() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    for (kind, name, value) in [
        (Inventory, "STOCK", "lamp"),
        (Payment, "LIMIT", "much"),
        (Payment, "DELAY_MS", "-1"),
        (Fraud, "SUSPICIOUS", "1e3"),
        (Inventory, "INSTANCES", "mars/inventory"),
    ] {
        let settings = region("europe", &uri, &[(name, value)]).settings(kind.name(), &[]);
        let log = Log::with_sink("europe", kind.name(), |line| panic!("it runs: {line}"));
        let error = run_logged(kind, settings, log, CancellationToken::new()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` is `{value}`, which is not")), "{error}");
    }
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        an_order_passes_the_whole_chain_once_under_one_correlation_id,
        an_unroutable_order_is_refused_and_no_service_declares_anothers_queue,
        stock_is_never_sold_twice_by_concurrent_orders_from_two_regions,
        an_event_that_comes_twice_changes_nothing_and_is_followed_by_the_same_one,
        orders_are_taken_while_the_payment_is_stopped_and_captured_when_it_is_back,
        a_slow_payment_slows_no_order_and_holds_no_more_than_it_may,
        a_payment_over_the_limit_fails_with_the_reason,
        a_failed_payment_gives_the_stock_back_once,
        an_order_whose_payment_has_failed_already_is_not_reserved,
        in_two_regions_with_inventory_and_payment_each_order_is_reserved_and_paid_once,
        orders_survive_the_deletion_of_the_exchange_of_events,
        an_earlier_stage_that_arrives_later_does_not_take_an_order_back,
        two_reservations_of_one_order_are_not_paid_twice,
        a_poison_order_is_dead_lettered_with_its_reason_and_later_ones_pass,
        a_passing_fault_is_tried_again_and_a_lasting_one_dead_lettered_without_a_second_reservation,
        a_fraud_check_and_a_stranger_join_by_binding_a_queue_and_no_other_service_changes,
        an_option_that_is_wrong_is_named_and_nothing_runs,
    }
}
