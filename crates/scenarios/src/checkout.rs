//! A chain of events: each step in the region that has its service.

use serde_json::json;

use crate::proof::Expectation;
use fedctl_contract::{
    checkout::{CHECKOUTS_PATH, EVENTS, ORDER_CREATED},
    log::event,
    program::Program,
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{
    Scenario,
    poison::PoisonTarget,
    request::Request,
    run::{Reply, Run},
};

pub static SCENARIO: Scenario = Scenario {
    name: "checkout",
    claim: "an order becomes a reservation, a payment and three notifications, each step once and in its region",
    starts_at: Program::Checkout,
    run: |run| Box::pin(order(run)),
    poison: PoisonTarget {
        exchange: EVENTS,
        key: ORDER_CREATED,
        consumer: Program::Inventory,
        events: &[event::STOCK_RESERVED],
    },
};

/// What a service logs once it has done its part, and how often that happens for an order.
#[derive(Clone, Copy)]
struct Step {
    service: Program,
    events: &'static [&'static str],
    meaning: &'static str,
    times: usize,
}

const fn step(service: Program, events: &'static [&'static str], meaning: &'static str) -> Step {
    Step { service, events, meaning, times: 1 }
}

const CHAIN: [Step; 3] = [
    step(Program::Inventory, &[event::STOCK_RESERVED], "reserved the stock"),
    step(Program::Payment, &[event::PAYMENT_CAPTURED], "captured the payment"),
    step(Program::Notification, &[event::NOTIFICATION_SENT], "asked every channel to notify"),
];
/// The end of the chain, in the region of its last step.
const CHANNELS: [Step; 3] = [
    step(Program::Email, &[event::NOTIFIED], "notified the customer by e-mail"),
    step(Program::Sms, &[event::NOTIFIED], "notified the customer by text message"),
    step(Program::Push, &[event::NOTIFIED], "notified the customer by push message"),
];
/// Observers of the chain, each in its own region: analytics counts the order, its reservation and its payment.
const OBSERVERS: [Step; 2] = [
    Step { times: 3, ..step(Program::Analytics, &[event::EVENT_COUNTED], "counted an event") },
    step(Program::Fraud, &[event::FRAUD_CHECKED], "checked the order for fraud"),
];

/// Orders in each region, and follows each order to its end.
async fn order(run: &mut Run<'_>) {
    for origin in run.regions_of(Program::Checkout) {
        let order = json!({"sku": "lamp", "quantity": 1, "amount": "12.50"});
        let place = (&origin, Program::Checkout);
        let Some(reply) = run.request(place, CHECKOUTS_PATH, Request::Post(&order), 202).await else {
            return;
        };
        let mut from = origin.clone();
        for step in CHAIN {
            let regions = run.regions_of(step.service);
            expect(run, &reply, &from, step, &regions);
            from = regions.into_iter().next().unwrap_or(from);
        }
        for step in CHANNELS {
            expect(run, &reply, &from, step, std::slice::from_ref(&from));
        }
        for step in OBSERVERS {
            let regions = run.regions_of(step.service);
            expect(run, &reply, &origin, step, &regions);
        }
    }
    run.await_logs().await;
}

fn expect(run: &mut Run<'_>, reply: &Reply, from: &RegionName, step: Step, regions: &[RegionName]) {
    let Step { service, events, meaning, times } = step;
    for region in regions {
        let Some(expected) = reply.expect_from(service, events, meaning) else { return };
        let link = LinkRef::between(from, region, Resource::Exchange(EVENTS.into()));
        run.expect(Expectation { times, link, region: Some(region.clone()), ..expected });
    }
}
