//! The services against a real broker: each line of the message contract.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use std::time::{Duration, Instant};

use super::broker::{Broker, Probe};
use super::region::{Region, Running, until};
use fedctl_contract::program::Program::{Indexer, Products, Taxes};
use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

fn lamp(id: i64, quantity: i64) -> Value {
    json!({"id": id, "name": "lamp", "price": "100.00", "quantity": quantity})
}

fn identified(id: &str) -> BasicProperties {
    BasicProperties::default().with_message_id(id.into())
}

fn header(name: &str, value: AMQPValue) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), value);
    BasicProperties::default().with_headers(headers)
}

fn header_text(delivery: &lapin::message::Delivery, name: &str) -> String {
    match delivery.properties.headers().as_ref().unwrap().inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("header `{name}` is {other:?}"),
    }
}

async fn an_added_product_becomes_readable_in_every_region_once() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, far) = (europe.start(Products).await, asia.start(Products).await);
    let (near_indexer, far_indexer) = (europe.start(Indexer).await, asia.start(Indexer).await);
    let probe = Probe::connect(&uri).await;
    let tap = probe.tap("products.events", "product_added").await;

    assert_eq!(api.get("/products/1").await.status(), 404);
    let missing: Value = api.get("/products/1").await.json().await.unwrap();
    assert_eq!(missing, json!({"error": "NOT_FOUND", "message": "Product not found"}));
    assert_eq!(api.get("/products/one").await.status(), 404);

    let correlation = api.accepted("/products", &lamp(1, 5)).await;
    api.reads(&lamp(1, 5)).await;
    far.reads(&lamp(1, 5)).await;

    let sent = probe.get(&tap).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&sent.data).unwrap(), lamp(1, 5));
    let properties = &sent.properties;
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(properties.content_encoding().as_ref().unwrap().as_str(), "utf-8");
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.correlation_id().as_ref().unwrap().as_str(), correlation);
    let id = properties.message_id().as_ref().unwrap().to_string();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);

    for indexer in [near_indexer, far_indexer] {
        let lines = indexer.stop().await;
        let indexed: Vec<_> = lines.iter().filter(|line| line["event"] == "indexed").collect();
        assert_eq!(indexed.len(), 1, "{indexed:?}");
        assert_eq!(indexed[0]["correlation_id"], json!(correlation));
        assert_eq!(indexed[0]["message_id"], json!(id));
        assert_eq!(indexed[0]["product_id"], 1);
        assert_eq!(indexed[0]["hops"], json!([]));
    }
    assert_eq!(api.lines("published")[0]["correlation_id"], json!(correlation));
}

async fn messages_survive_the_deletion_of_their_exchange() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, far) = (europe.start(Products).await, asia.start(Products).await);
    let indexers = [europe.start(Indexer).await, asia.start(Indexer).await];
    let taxes = asia.start(Taxes).await;
    let probe = Probe::connect(&uri).await;
    api.accepted("/products", &lamp(0, 1000)).await;
    api.reads(&lamp(0, 1000)).await;
    let lost = |services: &[&Running]| services.iter().all(|service| service.lines("connected").len() == 1);

    for round in 1..=3 {
        for exchange in ["products.events", "orders"] {
            probe.delete_exchange(exchange).await;
        }
        let deleted = Instant::now();
        let products = join_all((0..10).map(async |n| {
            let product = lamp(round * 100 + n, 5);
            let front = if n % 2 == 0 { &api } else { &far };
            front.accepted("/products", &product).await;
            product
        }));
        let order = json!({"product_id": 0, "quantity": 1});
        let (products, ordered, asked) =
            tokio::join!(products, far.accepted("/orders", &order), far.accepted("/tax/asia", &Value::Null));
        for product in &products {
            api.reads(product).await;
            far.reads(product).await;
        }
        for indexer in &indexers {
            for product in &products {
                let id = &product["id"];
                indexer.line("indexed", |line| line["product_id"] == *id).await;
                let times = indexer.lines("indexed").iter().filter(|line| line["product_id"] == *id).count();
                assert_eq!(times, 1, "product {id}");
            }
        }
        api.line("order_processed", |line| line["correlation_id"] == json!(ordered)).await;
        taxes.line("tax_calculated", |line| line["correlation_id"] == json!(asked)).await;
        far.line("reply_received", |line| line["correlation_id"] == json!(asked)).await;
        assert!(
            deleted.elapsed() < Duration::from_secs(5),
            "all is processed within {:?}",
            deleted.elapsed()
        );
    }
    assert!(lost(&[&api, &far, &indexers[0], &indexers[1], &taxes]), "no session was lost for it");
}

async fn a_binding_that_is_deleted_comes_back() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (api, _indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    let probe = Probe::connect(&uri).await;
    probe.unbind("indexer.europe", "products.events", "product_added").await;
    let accepted = async || {
        let answer = api.post("/products", lamp(1, 5).to_string()).await;
        (answer.status() == 200).then_some(())
    };
    assert!(accepted().await.is_none(), "it is refused, not lost");
    until("it is accepted again", accepted).await;
    api.reads(&lamp(1, 5)).await;
}

async fn there_are_no_taxes_in_an_unknown_region() {
    let broker = Broker::shared();
    let api = Region::new("asia", &broker.vhost_uri()).start(Products).await;
    let unknown = api.post("/tax/mars", "").await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.json::<Value>().await.unwrap()["error"], "NOT_FOUND");
}

async fn an_order_is_processed_once_in_the_master_region_and_readable_everywhere() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (master, far) = (europe.start(Products).await, asia.start(Products).await);
    let indexers = [europe.start(Indexer).await, asia.start(Indexer).await];
    far.accepted("/products", &lamp(7, 10)).await;
    master.reads(&lamp(7, 10)).await;

    let correlation = far.accepted("/orders", &json!({"product_id": 7, "quantity": 4})).await;
    master.reads(&lamp(7, 6)).await;
    far.reads(&lamp(7, 6)).await;
    master.accepted("/orders", &json!({"product_id": 7, "quantity": 8})).await;
    master.reads(&lamp(7, -2)).await;
    far.reads(&lamp(7, -2)).await;

    for indexer in indexers {
        let updates = |line: &Value| line["version"] == 2;
        indexer.line("indexed", updates).await;
        let lines = indexer.stop().await;
        let indexed = lines.iter().filter(|line| line["event"] == "indexed");
        let quantities: Vec<_> = indexed.map(|line| line["quantity"].as_i64().unwrap()).collect();
        assert_eq!(quantities, [10, 6, -2]);
    }
    assert!(far.lines("order_processed").is_empty());
    let processed = master.lines("order_processed");
    assert_eq!(processed.len(), 2);
    assert_eq!(processed[0]["correlation_id"], json!(correlation));
    assert_eq!((&processed[0]["ordered"], &processed[0]["quantity"]), (&json!(4), &json!(6)));
}

async fn an_order_of_an_unknown_product_is_dead_lettered_without_holding_up_the_others() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (master, _indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    master.accepted("/products", &lamp(1, 10)).await;
    master.reads(&lamp(1, 10)).await;
    master.accepted("/orders", &json!({"product_id": 99, "quantity": 1})).await;
    master.accepted("/orders", &json!({"product_id": 1, "quantity": 1})).await;
    master.reads(&lamp(1, 9)).await;

    let dead_lettered = master.line("dead_lettered", |_| true).await;
    let processed = master.line("order_processed", |_| true).await;
    assert!(
        processed["at"].as_str() < dead_lettered["at"].as_str(),
        "the known product waited: {processed} {dead_lettered}"
    );
    assert_eq!(dead_lettered["reason"], "product 99 is unknown");
    let probe = Probe::connect(&uri).await;
    let letter = probe.get("dead-letters.products").await.unwrap();
    assert_eq!(header_text(&letter, "x-parked-reason"), "product 99 is unknown");
    assert_eq!(header_text(&letter, "x-parked-exchange"), "orders");
    assert_eq!(header_text(&letter, "x-parked-routing-key"), "order_product");
}

async fn an_order_that_overtakes_its_product_is_processed_when_the_product_comes() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (master, _indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    master.accepted("/orders", &json!({"product_id": 3, "quantity": 1})).await;
    master.accepted("/products", &lamp(3, 5)).await;
    master.reads(&lamp(3, 4)).await;
    assert!(master.lines("dead_lettered").is_empty());
}

async fn a_tax_reply_reaches_the_asking_region_only_with_its_correlation_id() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (master, asking) = (europe.start(Products).await, asia.start(Products).await);
    let (near, far) = (asia.start(Taxes).await, europe.start(Taxes).await);

    let correlation = asking.accepted("/tax/europe", &json!({})).await;
    let received = asking.line("reply_received", |_| true).await;
    assert_eq!(received["correlation_id"], json!(correlation));
    assert_eq!(received["tax"], "You do not owe taxes in region europe for order id 1");
    assert_eq!(received["error"], Value::Null);
    let calculated = far.line("tax_calculated", |_| true).await;
    assert_eq!((&calculated["correlation_id"], &calculated["order_id"]), (&json!(correlation), &json!(1)));

    let second = asking.accepted("/tax/asia", &json!({})).await;
    asking.line("reply_received", |line| line["correlation_id"] == json!(second)).await;
    near.wrote("tax_calculated", 1).await;
    assert!(master.lines("reply_received").is_empty());
}

async fn a_tax_request_that_fails_is_answered_and_one_without_an_address_is_dead_lettered() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let taxes = Region::new("asia", &uri).start(Taxes).await;
    let probe = Probe::connect(&uri).await;
    let tap = probe.tap("orders", "somebody").await;
    let asking =
        BasicProperties::default().with_reply_to("somebody".into()).with_correlation_id("c-1".into());
    probe.publish("orders", "asia_calculate_taxes", asking, r#"{"order_id": "one"}"#).await;
    let answer = until("an answer", async || probe.get(&tap).await).await;
    let body: Value = serde_json::from_slice(&answer.data).unwrap();
    assert_eq!(body["result"], Value::Null);
    assert_eq!(body["error"]["value"]["order_id"][0], "Not a valid integer.");
    assert_eq!(answer.properties.correlation_id().as_ref().unwrap().as_str(), "c-1");

    let plain = BasicProperties::default().with_reply_to("somebody".into());
    probe.publish("orders", "asia_calculate_taxes", plain, r#"{"order_id": 3}"#).await;
    let answer = until("an answer", async || probe.get(&tap).await).await;
    let body: Value = serde_json::from_slice(&answer.data).unwrap();
    let tax = "You do not owe taxes in region asia for order id 3";
    assert_eq!(body, json!({"result": {"tax": tax}, "error": null}));

    let nowhere = BasicProperties::default();
    probe.publish("orders", "asia_calculate_taxes", nowhere, r#"{"order_id": 2}"#).await;
    let lost = BasicProperties::default().with_reply_to("nobody".into());
    probe.publish("orders", "asia_calculate_taxes", lost, r#"{"order_id": 2}"#).await;
    let dead_lettered =
        |reason: &'static str| move |line: &Value| line["reason"].as_str().unwrap().contains(reason);
    taxes.line("dead_lettered", dead_lettered("no `reply_to`")).await;
    taxes.line("dead_lettered", dead_lettered("`orders` with routing key `nobody`")).await;
    assert_eq!(probe.depth("dead-letters.taxes").await.0, 2);
}

async fn a_poison_message_is_dead_lettered_as_it_was_and_the_queue_moves_on() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (api, indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    let probe = Probe::connect(&uri).await;
    let poison = [
        ("{not json", "not valid JSON"),
        (r#"{"id": 1, "name": "x", "quantity": 1}"#, "price: Missing data"),
        (r#"{"id": "1", "name": "x", "price": "1", "quantity": 1}"#, "id: Not a valid integer"),
    ];
    for (n, (body, _)) in poison.iter().enumerate() {
        let properties = header("mine", AMQPValue::LongString("kept".into()))
            .with_message_id(format!("poison-{n}").into())
            .with_priority(3);
        probe.publish("products.events", "product_added", properties, body).await;
    }
    api.accepted("/products", &lamp(1, 5)).await;
    api.reads(&lamp(1, 5)).await;

    let dead_lettered = async || (indexer.lines("dead_lettered").len() == poison.len()).then_some(());
    until("all are dead-lettered", dead_lettered).await;
    let mut letters = Vec::new();
    while let Some(letter) = probe.get("dead-letters.indexer").await {
        letters.push(letter);
    }
    letters.sort_by_key(|letter| letter.properties.message_id().clone());
    assert_eq!(letters.len(), poison.len());
    for (letter, (body, reason)) in letters.iter().zip(poison) {
        assert_eq!(letter.data, body.as_bytes());
        assert!(header_text(letter, "x-parked-reason").contains(reason));
        assert_eq!(header_text(letter, "x-parked-exchange"), "products.events");
        assert_eq!(header_text(letter, "x-parked-routing-key"), "product_added");
        assert_eq!(header_text(letter, "x-parked-queue"), "indexer.europe");
        assert_eq!(header_text(letter, "mine"), "kept");
        assert_eq!(*letter.properties.priority(), Some(3));
    }
    assert_eq!(probe.depth("indexer.europe").await.0, 0);
}

async fn a_message_that_comes_twice_is_applied_once_and_an_old_version_never() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (master, indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    let probe = Probe::connect(&uri).await;
    for quantity in [10, 11] {
        let event = lamp(1, quantity).to_string();
        probe.publish("products.events", "product_added", identified("event-1"), &event).await;
    }
    indexer.line("duplicate_skipped", |line| line["message_id"] == "event-1").await;
    master.reads(&lamp(1, 10)).await;

    let tap = probe.tap("products.events", "product_updated").await;
    let order = json!({"product_id": 1, "quantity": 4}).to_string();
    for _ in 0..2 {
        probe.publish("orders", "order_product", identified("order-1"), &order).await;
    }
    master.line("duplicate_skipped", |line| line["message_id"] == "order-1").await;
    let mut announced = Vec::new();
    for _ in 0..2 {
        announced.push(until("an update", async || probe.get(&tap).await).await);
    }
    assert_eq!(announced[0].properties, announced[1].properties, "the order is announced again, the same");
    assert_eq!(announced[0].data, announced[1].data);
    indexer.line("duplicate_skipped", |line| line["version"] == 1).await;
    assert_eq!(master.lines("order_processed").len(), 1);
    master.reads(&lamp(1, 6)).await;

    let old = header("x-product-version", AMQPValue::LongLongInt(0));
    probe.publish("products.events", "product_updated", old, &lamp(1, 99).to_string()).await;
    indexer.line("stale_skipped", |line| line["quantity"] == 99).await;
    let plain = BasicProperties::default();
    probe.publish("products.events", "product_updated", plain, &lamp(1, 50).to_string()).await;
    master.reads(&lamp(1, 50)).await;
}

async fn unacknowledged_messages_of_a_stopped_consumer_are_redelivered() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let indexer = europe.start(Indexer).await;
    let probe = Probe::connect(&uri).await;
    let locked = rusqlite::Connection::open(europe.store.path().join("products.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    probe.publish("products.events", "product_added", identified("held"), &lamp(1, 5).to_string()).await;
    until("the message is in flight", async || (probe.depth("indexer.europe").await == (0, 1)).then_some(()))
        .await;
    let lines = indexer.stop().await;
    assert!(!lines.iter().any(|line| line["event"] == "indexed"));
    until("the message is back", async || (probe.depth("indexer.europe").await == (1, 0)).then_some(()))
        .await;
    drop(locked);

    let indexer = europe.start(Indexer).await;
    let line = indexer.line("indexed", |line| line["message_id"] == "held").await;
    assert_eq!(line["redelivered"], true);
}

async fn an_unroutable_message_is_an_error_with_the_reason() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let asia = Region::new("asia", &uri);
    let (api, _indexer) = (asia.start(Products).await, asia.start(Indexer).await);
    Probe::connect(&uri).await.delete("fed.order_product").await;
    let (orders, products) = (json!({"product_id": 1, "quantity": 1}), lamp(1, 1));
    // Many at once, of both sorts: each must get its own result.
    let answers = futures_util::future::join_all((0..40).map(|n| {
        let (path, body) = if n % 2 == 0 { ("/orders", &orders) } else { ("/products", &products) };
        api.post(path, body.to_string())
    }))
    .await;
    for (n, answer) in answers.into_iter().enumerate() {
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, if n % 2 == 0 { 500 } else { 200 }, "{body}");
        assert!(n % 2 == 1 || body.contains("`orders` with routing key `order_product`"), "{body}");
    }
}

async fn only_an_indexer_declares_the_queue_that_only_an_indexer_empties() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let asia = Region::new("asia", &uri);
    let (api, _taxes) = (asia.start(Products).await, asia.start(Taxes).await);
    let probe = Probe::connect(&uri).await;
    assert!(!probe.exists("indexer.asia").await);
    let refused = api.post("/products", lamp(1, 5).to_string()).await;
    assert_eq!(refused.status(), 500);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "UNROUTABLE");

    // Another implementation's indexer, with a queue of its own.
    let other = probe.tap("products.events", "product_added").await;
    api.accepted("/products", &lamp(1, 5)).await;
    assert_eq!(probe.depth(&other).await.0, 1);
    assert!(!probe.exists("indexer.asia").await);

    asia.start(Indexer).await.stop().await;
    api.accepted("/products", &lamp(2, 5)).await;
    let _indexer = asia.start(Indexer).await;
    api.reads(&lamp(2, 5)).await;
    assert_eq!(api.get("/products/1").await.status(), 404, "from before the indexer's first start");
}

async fn a_consumer_whose_queue_is_deleted_declares_it_again() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let (api, indexer) = (europe.start(Products).await, europe.start(Indexer).await);
    api.accepted("/products", &lamp(1, 4)).await;
    api.reads(&lamp(1, 4)).await;
    Probe::connect(&uri).await.delete("indexer.europe").await;
    indexer.line("disconnected", |_| true).await;
    indexer.healthy().await;
    api.accepted("/products", &lamp(1, 5)).await;
    api.reads(&lamp(1, 5)).await;
}

async fn services_wait_for_a_broker_and_survive_its_restart_without_loss() {
    let broker = Broker::create();
    let uri = broker.uri("%2f");
    let europe = Region::new("europe", &uri);
    let (api, taxes) = (europe.launch(Products).await, europe.launch(Taxes).await);
    api.unhealthy().await;
    assert_eq!(api.get("/products/1").await.status(), 404, "reading needs no broker");
    let refused = api.post("/products", lamp(1, 1).to_string()).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "UNAVAILABLE");

    tokio::task::block_in_place(|| broker.start());
    api.healthy().await;
    taxes.healthy().await;
    europe.start(Indexer).await.stop().await;
    for id in 0..20 {
        api.accepted("/products", &lamp(id, 10)).await;
    }
    let restarting = std::thread::scope(|scope| {
        let restart = scope.spawn(|| broker.restart());
        tokio::task::block_in_place(|| restart.join())
    });
    restarting.unwrap();
    api.line("disconnected", |_| true).await;
    api.healthy().await;
    taxes.healthy().await;

    let indexer = europe.start(Indexer).await;
    for id in 0..20 {
        api.reads(&lamp(id, 10)).await;
        api.accepted("/orders", &json!({"product_id": id, "quantity": 1})).await;
    }
    for id in 0..20 {
        api.reads(&lamp(id, 9)).await;
    }
    api.accepted("/tax/europe", &json!({})).await;
    api.line("reply_received", |_| true).await;
    assert_eq!(api.lines("order_processed").len(), 20);
    for service in [api, taxes, indexer] {
        service.stop().await;
    }
}

async fn a_stopped_service_has_left_the_broker_and_its_port() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let asia = Region::new("asia", &uri);
    let probe = Probe::connect(&uri).await;
    for (kind, queue) in [
        (Products, "fed.asia_calculate_taxes_reply"),
        (Indexer, "indexer.asia"),
        (Taxes, "fed.asia_calculate_taxes"),
    ] {
        let service = asia.start(kind).await;
        assert_eq!(probe.depth(queue).await.1, 1);
        let address = service.address.clone();
        let lines = service.stop().await;
        assert_eq!(lines.last().unwrap()["event"], "stopped");
        assert!(lines.iter().any(|line| line["event"] == "connected"));
        assert!(!lines.iter().any(|line| line["event"] == "disconnected"));
        assert_eq!(probe.depth(queue).await.1, 0);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        an_added_product_becomes_readable_in_every_region_once,
        messages_survive_the_deletion_of_their_exchange,
        a_binding_that_is_deleted_comes_back,
        there_are_no_taxes_in_an_unknown_region,
        an_order_is_processed_once_in_the_master_region_and_readable_everywhere,
        an_order_of_an_unknown_product_is_dead_lettered_without_holding_up_the_others,
        an_order_that_overtakes_its_product_is_processed_when_the_product_comes,
        a_tax_reply_reaches_the_asking_region_only_with_its_correlation_id,
        a_tax_request_that_fails_is_answered_and_one_without_an_address_is_dead_lettered,
        a_poison_message_is_dead_lettered_as_it_was_and_the_queue_moves_on,
        a_message_that_comes_twice_is_applied_once_and_an_old_version_never,
        unacknowledged_messages_of_a_stopped_consumer_are_redelivered,
        an_unroutable_message_is_an_error_with_the_reason,
        only_an_indexer_declares_the_queue_that_only_an_indexer_empties,
        a_consumer_whose_queue_is_deleted_declares_it_again,
        services_wait_for_a_broker_and_survive_its_restart_without_loss,
        a_stopped_service_has_left_the_broker_and_its_port,
    }
}
