//! Products, orders and taxes: the three scenarios of the main contract.

use serde_json::{Value, json};

use super::request::Request;
use super::watch::{Asked, Source, Watch};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, Match, recognised, way},
    topology::RegionName,
};

pub(super) const PRODUCTS: &str = "products";
pub(super) const INDEXER: &str = "indexer";
const TAXES: &str = "taxes";
pub(super) const PRODUCT_EVENTS: &str = "products.events";
const CATALOGUE: Source = Source { front: PRODUCTS, writer: INDEXER, exchange: PRODUCT_EVENTS };
const ORDER_QUEUE: &str = "fed.order_product";
/// Enough for one order of each of ten regions.
const STOCK: usize = 1000;

/// Adds a product in a region that is not the master, if there is one.
pub(super) async fn events(watch: &mut Watch<'_>) {
    let master = &watch.topology().master;
    let regions = watch.regions();
    let origin = regions.iter().find(|region| *region != master).unwrap_or(master).clone();
    add_product(watch, &origin).await;
}

/// Adds a product and waits for it everywhere: the product, or nothing if it did not get there.
async fn add_product(watch: &mut Watch<'_>, origin: &RegionName) -> Option<Value> {
    let id = fresh_id();
    let product = json!({"id": id, "name": format!("product {id}"), "price": "100.00", "quantity": STOCK});
    let Asked { cause, id: correlation_id, .. } = post(watch, origin, "/products", &product).await?;
    for region in watch.regions() {
        let fields = [("product_id", id.into()), ("routing_key", "product_added".into())];
        watch.expect(Expectation {
            line: recognised(&["indexed"], correlation_id.as_ref(), &fields),
            meaning: "indexed the product".into(),
            times: 1,
            way: way(origin, &region, Resource::Exchange(PRODUCT_EVENTS.into())),
            cause,
            region: Some(region),
            service: INDEXER.into(),
        });
    }
    readable(watch, &product, cause).await;
    watch.lines().await;
    (!watch.failed()).then_some(product)
}

/// Adds a product in the master region, orders some in every region, and reads what is left.
pub(super) async fn master(watch: &mut Watch<'_>) {
    let master = watch.topology().master.clone();
    let Some(mut product) = add_product(watch, &master).await else { return };
    let mut last = None;
    let mut left = STOCK;
    for (origin, quantity) in watch.regions().iter().zip(1..) {
        let order = json!({"product_id": product["id"], "quantity": quantity});
        let Some(Asked { cause, id, .. }) = post(watch, origin, "/orders", &order).await else { return };
        left -= quantity;
        expect_order(watch, origin, &order, cause, id.as_ref());
        last = Some(cause);
    }
    product["quantity"] = left.into();
    if let Some(cause) = last {
        readable(watch, &product, cause).await;
    }
    watch.lines().await;
}

fn expect_order(
    watch: &mut Watch<'_>,
    origin: &RegionName,
    order: &Value,
    cause: usize,
    id: Option<&String>,
) {
    let master = watch.topology().master.clone();
    let processed = [("product_id", order["product_id"].clone()), ("ordered", order["quantity"].clone())];
    for region in watch.regions() {
        let is_master = region == master;
        watch.expect(Expectation {
            line: recognised(&["order_processed"], id, &processed),
            meaning: format!("processed the order of {}", order["quantity"]),
            times: usize::from(is_master),
            way: way(origin, &master, Resource::Queue(ORDER_QUEUE.into())),
            cause,
            region: Some(region.clone()),
            service: PRODUCTS.into(),
        });
        // without a correlation id an update cannot be told from those that other orders caused
        if let Some(id) = id {
            let fields =
                vec![("correlation_id", id.as_str().into()), ("routing_key", "product_updated".into())];
            watch.expect(Expectation {
                // an update that a later one has overtaken is taken note of, and no more
                line: Match { events: &["indexed", "stale_skipped"], fields },
                meaning: format!("learned what the order of {} left", order["quantity"]),
                times: 1,
                way: way(&master, &region, Resource::Exchange(PRODUCT_EVENTS.into())),
                cause,
                region: Some(region),
                service: INDEXER.into(),
            });
        }
    }
}

/// Each region asks each other one for a tax calculation.
pub(super) async fn reply(watch: &mut Watch<'_>) {
    for origin in watch.regions() {
        for asked in watch.regions() {
            if origin == asked {
                continue;
            }
            let path = format!("/tax/{asked}");
            let Some(Asked { cause, id, .. }) = post(watch, &origin, &path, &Value::Null).await else {
                return;
            };
            expect_reply(watch, &origin, &asked, cause, id.as_ref());
        }
    }
    watch.lines().await;
}

fn expect_reply(
    watch: &mut Watch<'_>,
    origin: &RegionName,
    asked: &RegionName,
    cause: usize,
    id: Option<&String>,
) {
    let text = format!("You do not owe taxes in region {asked} for order id 1");
    let reply_key = format!("{origin}_calculate_taxes_reply");
    watch.expect(Expectation {
        line: recognised(&["tax_calculated"], id, &[("reply_to", reply_key.clone().into())]),
        meaning: format!("calculated the tax for {origin}"),
        times: 1,
        way: way(origin, asked, Resource::Queue(format!("fed.{asked}_calculate_taxes"))),
        cause,
        region: Some(asked.clone()),
        service: TAXES.into(),
    });
    for region in watch.regions() {
        let mut line = recognised(&["reply_received"], id, &[("routing_key", reply_key.clone().into())]);
        line.fields.push(("tax", text.clone().into()));
        watch.expect(Expectation {
            line,
            meaning: format!("received the reply from {asked}"),
            times: usize::from(region == *origin),
            way: way(asked, origin, Resource::Queue(format!("fed.{reply_key}"))),
            cause,
            region: Some(region),
            service: PRODUCTS.into(),
        });
    }
}

async fn post(watch: &mut Watch<'_>, region: &RegionName, path: &str, body: &Value) -> Option<Asked> {
    watch.ask((region, PRODUCTS), path, Request::Post(body), 200).await
}

async fn readable(watch: &mut Watch<'_>, product: &Value, cause: usize) {
    watch.readable(&format!("/products/{}", product["id"]), product, cause, &CATALOGUE).await;
}

/// An id that no earlier product has: the time, in milliseconds.
pub(super) fn fresh_id() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
