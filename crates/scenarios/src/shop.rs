//! What the scenarios of products, orders and taxes share.

use serde_json::{Value, json};

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::{
    log::{event, field},
    program::Program,
    shop::{PRODUCT_ADDED, PRODUCT_EVENTS, PRODUCTS_PATH},
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{
    poison::PoisonTarget,
    request::Request,
    run::{Reply, Run, Source},
};

pub const POISON: PoisonTarget = PoisonTarget {
    exchange: PRODUCT_EVENTS,
    key: PRODUCT_ADDED,
    consumer: Program::Indexer,
    events: &[event::INDEXED],
};
/// Enough for one order of each of ten regions.
pub const STOCK: usize = 1000;

const CATALOGUE: Source =
    Source { reader: Program::Products, writer: Program::Indexer, exchange: PRODUCT_EVENTS };

/// Adds a product and waits for it everywhere: the product, or nothing if it did not get there.
pub async fn add_product(run: &mut Run<'_>, origin: &RegionName) -> Option<Value> {
    let id = fresh_id();
    let product = json!({"id": id, "name": format!("product {id}"), "price": "100.00", "quantity": STOCK});
    let Reply { cause, id: correlation_id, .. } = post(run, origin, PRODUCTS_PATH, &product).await?;
    for region in run.regions() {
        let fields = [(field::PRODUCT_ID, id.into()), (field::ROUTING_KEY, PRODUCT_ADDED.into())];
        run.expect(Expectation {
            line: LogMatcher::identified(&[event::INDEXED], correlation_id.as_deref(), &fields),
            meaning: "indexed the product".into(),
            times: 1,
            link: LinkRef::between(origin, &region, Resource::Exchange(PRODUCT_EVENTS.into())),
            cause,
            region: Some(region),
            service: Program::Indexer.name().into(),
        });
    }
    await_product(run, &product, cause).await;
    run.await_logs().await;
    (!run.failed()).then_some(product)
}

pub async fn post(run: &mut Run<'_>, region: &RegionName, path: &str, body: &Value) -> Option<Reply> {
    run.request((region, Program::Products), path, Request::Post(body), 200).await
}

/// Waits until every region answers the product.
pub async fn await_product(run: &mut Run<'_>, product: &Value, cause: usize) {
    run.await_answer(&format!("{PRODUCTS_PATH}/{}", product["id"]), product, cause, &CATALOGUE).await;
}

/// An id that nothing earlier has: the time, in milliseconds.
pub fn fresh_id() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
