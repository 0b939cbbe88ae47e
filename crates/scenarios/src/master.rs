//! Only the master region processes orders.

use serde_json::{Value, json};

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::{
    log::{event, field},
    program::Program,
    shop::{ORDER_QUEUE, ORDERS_PATH, PRODUCT_EVENTS, PRODUCT_UPDATED},
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{
    Scenario,
    run::{Reply, Run},
    shop::{self, STOCK, add_product, await_product, post},
};

pub static SCENARIO: Scenario = Scenario {
    name: "master",
    claim: "orders from every region are processed in the master region alone, once each",
    starts_at: Program::Products,
    run: |run| Box::pin(order(run)),
    poison: shop::POISON,
};

/// Adds a product in the master region, orders some in every region, and reads what is left.
async fn order(run: &mut Run<'_>) {
    let master = run.topology().master.clone();
    let Some(mut product) = add_product(run, &master).await else { return };
    let mut last = None;
    let mut left = STOCK;
    for (origin, quantity) in run.regions().iter().zip(1..) {
        let order = json!({"product_id": product["id"], "quantity": quantity});
        let Some(reply) = post(run, origin, ORDERS_PATH, &order).await else { return };
        left -= quantity;
        expect_order(run, origin, &order, &reply);
        last = Some(reply.cause);
    }
    product["quantity"] = left.into();
    if let Some(cause) = last {
        await_product(run, &product, cause).await;
    }
    run.await_logs().await;
}

fn expect_order(run: &mut Run<'_>, origin: &RegionName, order: &Value, reply: &Reply) {
    let Reply { cause, id, .. } = reply;
    let master = run.topology().master.clone();
    let processed =
        [(field::PRODUCT_ID, order["product_id"].clone()), (field::ORDERED, order["quantity"].clone())];
    for region in run.regions() {
        run.expect(Expectation {
            line: LogMatcher::identified(&[event::ORDER_PROCESSED], id.as_deref(), &processed),
            meaning: format!("processed the order of {}", order["quantity"]),
            times: usize::from(region == master),
            link: LinkRef::between(origin, &master, Resource::Queue(ORDER_QUEUE.into())),
            cause: *cause,
            region: Some(region.clone()),
            service: Program::Products.name().into(),
        });
        // without a correlation identifier, other orders' updates of the same product look the same
        if let Some(id) = id {
            let fields = vec![
                (field::CORRELATION_ID, id.as_str().into()),
                (field::ROUTING_KEY, PRODUCT_UPDATED.into()),
            ];
            run.expect(Expectation {
                // an update that a later one has overtaken is logged as stale
                line: LogMatcher { events: &[event::INDEXED, event::STALE_SKIPPED], fields },
                meaning: format!("received what the order of {} left", order["quantity"]),
                times: 1,
                link: LinkRef::between(&master, &region, Resource::Exchange(PRODUCT_EVENTS.into())),
                cause: *cause,
                region: Some(region),
                service: Program::Indexer.name().into(),
            });
        }
    }
}
