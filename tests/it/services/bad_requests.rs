//! Requests that an API rejects: it names the wrong field, and publishes nothing.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use fedctl_contract::program::Program::{self, Checkout, Compute, Indexer, Products, Profile, Rpc};
use futures_util::future::join_all;
use serde_json::Value;

use super::broker::{Broker, Probe};
use super::region::Region;

/// The path and body of a request, and the field that its answer names.
type Refused = (&'static str, &'static str, &'static str);

const REFUSED: &[(Program, &[Refused])] = &[
    (
        Products,
        &[
            ("/products", r#"{"id": 1, "name": "x", "quantity": 1}"#, "price"),
            ("/products", r#"{"id": 1, "name": "x", "price": 1.5, "quantity": 1}"#, "price"),
            ("/products", r#"{"id": 1, "name": "x", "price": "cheap", "quantity": 1}"#, "price"),
            ("/products", r#"{"id": "1", "name": "x", "price": "1", "quantity": 1}"#, "id"),
            ("/products", r#"{"id": 1, "name": 7, "price": "1", "quantity": 1}"#, "name"),
            ("/products", r#"{"id": 1, "name": "x", "price": "1", "quantity": 1.5}"#, "quantity"),
            ("/products", "[]", "_schema"),
            ("/products", "{not json", "_schema"),
            ("/products", "", "_schema"),
            ("/orders", r#"{"quantity": 1}"#, "product_id"),
            ("/orders", r#"{"product_id": 1, "quantity": null}"#, "quantity"),
            ("/orders", "{not json", "_schema"),
            ("/orders", "", "_schema"),
        ],
    ),
    (
        Profile,
        &[
            ("/users/1", "", "full_name"),
            ("/users/1", "full_name=", "full_name"),
            ("/users/1", "full_name=+%20", "full_name"),
            ("/users/1", "name=Ann", "full_name"),
            ("/users/1", r#"{"full_name": "Ann"}"#, "full_name"),
            ("/users/one", "full_name=Ann", "id"),
            ("/users/1/events/%23", "full_name=Ann", "action"),
        ],
    ),
    (
        Rpc,
        &[
            ("/rpc", "{not json", "_schema"),
            ("/rpc", "[]", "_schema"),
            ("/rpc", "{}", "cmd"),
            ("/rpc", r#"{"cmd": ""}"#, "cmd"),
            ("/rpc", r#"{"cmd": "ping", "timeout_ms": 60001}"#, "timeout_ms"),
        ],
    ),
    (
        Compute,
        &[
            ("/vms", r#"{"name": "a", "image": "debian", "cpus": 0}"#, "cpus"),
            ("/vms", r#"{"name": "", "image": "debian", "cpus": 1}"#, "name"),
            ("/vms", r#"{"name": "a", "cpus": 1}"#, "image"),
            ("/vms", "[]", "_schema"),
            ("/vms?timeout_ms=0", r#"{"name": "a", "image": "debian", "cpus": 1}"#, "timeout_ms"),
            ("/vms/a/start?timeout_ms=600000", "{}", "timeout_ms"),
        ],
    ),
    (
        Checkout,
        &[
            ("/checkouts", r#"{"quantity": 1, "amount": "1"}"#, "sku"),
            ("/checkouts", r#"{"sku": "", "quantity": 1, "amount": "1"}"#, "sku"),
            ("/checkouts", r#"{"sku": "lamp", "quantity": 0, "amount": "1"}"#, "quantity"),
            ("/checkouts", r#"{"sku": "lamp", "quantity": -5, "amount": "1"}"#, "quantity"),
            ("/checkouts", r#"{"sku": "lamp", "quantity": "1", "amount": "1"}"#, "quantity"),
            ("/checkouts", r#"{"sku": "lamp", "quantity": 1, "amount": 1.5}"#, "amount"),
            ("/checkouts", r#"{"sku": "lamp", "quantity": 1, "amount": "-1"}"#, "amount"),
            ("/checkouts", "[]", "_schema"),
            ("/checkouts", "{not json", "_schema"),
        ],
    ),
];

async fn a_bad_request_is_refused_by_field_and_publishes_nothing() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let mut asia = Region::new("asia", &uri);
    asia.options.insert("COMPUTE_HOSTS".into(), "europe/compute-host".into());
    // The queue of an earlier indexer takes what is published.
    asia.start(Indexer).await.stop().await;
    let apis = join_all(REFUSED.iter().map(|(kind, _)| asia.start(*kind))).await;
    let probe = Probe::connect(&uri).await;
    let taps = [probe.tap("user_updates", "#").await, probe.tap("checkout.events", "#").await];

    for (api, (_, requests)) in apis.iter().zip(REFUSED) {
        for &(path, body, field) in *requests {
            let answer = api.post(path, body).await;
            assert_eq!(answer.status(), 400, "POST {path} {body}");
            let answer: Value = answer.json().await.unwrap();
            assert_eq!(answer["error"], "BAD_REQUEST", "POST {path} {body}");
            assert!(answer["message"][field][0].is_string(), "POST {path} {body}: {answer}");
            assert_eq!(answer["message"].as_object().unwrap().len(), 1, "POST {path} {body}: {answer}");
        }
        assert!(api.lines("published").is_empty());
    }
    let orders = ["fed.order_product", "fed.asia_calculate_taxes", "fed.europe_calculate_taxes"];
    let queues =
        [&["indexer.asia", "python-service-queue"][..], &orders, &taps.each_ref().map(String::as_str)];
    for queue in queues.concat() {
        assert_eq!(probe.depth(queue).await.0, 0, "{queue}");
    }
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        a_bad_request_is_refused_by_field_and_publishes_nothing,
    }
}
