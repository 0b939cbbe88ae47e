//! A request goes to one region, and its reply to the region that asked.

use serde_json::Value;

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::{
    log::{event, field},
    program::Program,
    shop::{TAX_PATH, federated_queue, tax, taxes_key, taxes_reply_key},
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{
    Scenario,
    run::{Reply, Run},
    shop::{self, post},
};

pub static SCENARIO: Scenario = Scenario {
    name: "reply",
    claim: "each region sends a tax request to every other, and each reply reaches the region that asked",
    starts_at: Program::Products,
    run: |run| Box::pin(ask(run)),
    poison: shop::POISON,
};

/// The order that the products service asks about.
const ORDER_ID: i64 = 1;

/// Each region asks each other one for a tax calculation.
async fn ask(run: &mut Run<'_>) {
    for origin in run.regions() {
        for asked in run.regions() {
            if origin == asked {
                continue;
            }
            let path = format!("{TAX_PATH}/{asked}");
            let Some(reply) = post(run, &origin, &path, &Value::Null).await else { return };
            expect_reply(run, &origin, &asked, &reply);
        }
    }
    run.await_logs().await;
}

fn expect_reply(run: &mut Run<'_>, origin: &RegionName, asked: &RegionName, reply: &Reply) {
    let Reply { cause, id, .. } = reply;
    let reply_key = taxes_reply_key(origin.as_str());
    let reply_to = [(field::REPLY_TO, reply_key.clone().into())];
    let requests = federated_queue(&taxes_key(asked.as_str()));
    run.expect(Expectation {
        line: LogMatcher::identified(&[event::TAX_CALCULATED], id.as_deref(), &reply_to),
        meaning: format!("calculated the tax for {origin}"),
        times: 1,
        link: LinkRef::between(origin, asked, Resource::Queue(requests)),
        cause: *cause,
        region: Some(asked.clone()),
        service: Program::Taxes.name().into(),
    });
    for region in run.regions() {
        let routing_key = [(field::ROUTING_KEY, reply_key.clone().into())];
        let mut line = LogMatcher::identified(&[event::REPLY_RECEIVED], id.as_deref(), &routing_key);
        line.fields.push((field::TAX, tax(asked.as_str(), ORDER_ID).into()));
        run.expect(Expectation {
            line,
            meaning: format!("received the reply from {asked}"),
            times: usize::from(region == *origin),
            link: LinkRef::between(asked, origin, Resource::Queue(federated_queue(&reply_key))),
            cause: *cause,
            region: Some(region),
            service: Program::Products.name().into(),
        });
    }
}
