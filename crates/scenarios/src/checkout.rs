//! A chain of events: each step in the region that has its service.

use serde_json::{Value, json};

use crate::proof::Expectation;
use fedctl_contract::{
    checkout::{CHECKOUTS_PATH, EVENTS, ORDER_CREATED, STOCK_PATH, home},
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
    claim: "an order becomes a reservation, a payment and three notifications, each step once and in its region, and \
            one that cannot be paid gives its stock back",
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

const RESERVED: Step = step(Program::Inventory, &[event::STOCK_RESERVED], "reserved the stock");
const CHAIN: [Step; 2] =
    [RESERVED, step(Program::Payment, &[event::PAYMENT_CAPTURED], "captured the payment")];
const NOTIFICATION: Step =
    step(Program::Notification, &[event::NOTIFICATION_SENT], "asked every channel to notify");
/// The end of the chain, in the region of its last step.
const CHANNELS: [Step; 3] = [
    step(Program::Email, &[event::NOTIFIED], "notified the customer by e-mail"),
    step(Program::Sms, &[event::NOTIFIED], "notified the customer by text message"),
    step(Program::Push, &[event::NOTIFIED], "notified the customer by push message"),
];
/// The chain of an order that cannot be paid.
const FAILURE: [Step; 3] = [
    RESERVED,
    step(Program::Payment, &[event::PAYMENT_FAILED], "refused the payment"),
    step(Program::Inventory, &[event::STOCK_RELEASED], "gave the stock back"),
];
const COUNTED: Step = step(Program::Analytics, &[event::EVENT_COUNTED], "counted an event");
const CHECKED: Step = step(Program::Fraud, &[event::FRAUD_CHECKED], "checked the order for fraud");

/// More than the largest payment, unless the topology sets a larger one.
const TOO_MUCH: &str = "1000000.00";
/// What that order is for: the others are for lamps, so that nothing else changes its stock.
const UNPAID: &str = "book";

/// Orders in each region, and follows each order to its end; then an order that cannot be paid.
async fn order(run: &mut Run<'_>) {
    let origins = run.regions_of(Program::Checkout);
    for origin in &origins {
        let Some(reply) = place(run, origin, "lamp", "12.50").await else { return };
        let from = expect_at_home(run, &reply, origin, &CHAIN);
        let regions = run.regions_of(Program::Notification);
        expect(run, &reply, &from, NOTIFICATION, &regions);
        let from = regions.into_iter().next().unwrap_or(from);
        for step in CHANNELS {
            expect(run, &reply, &from, step, std::slice::from_ref(&from));
        }
        // the order, its reservation and its payment
        expect_observers(run, &reply, origin, 3);
    }
    run.await_logs().await;
    if let Some(origin) = origins.first().filter(|_| !run.failed()) {
        fail_to_pay(run, origin).await;
    }
}

/// Orders what cannot be paid: the stock must be what it was, and nobody is notified.
async fn fail_to_pay(run: &mut Run<'_>, origin: &RegionName) {
    let Some(inventory) = home_of(run, Program::Inventory, origin) else { return };
    let Some((_, before)) = stock(run, &inventory).await else { return };
    let Some(reply) = place(run, origin, UNPAID, TOO_MUCH).await else { return };
    expect_at_home(run, &reply, origin, &FAILURE);
    let regions = run.regions_of(Program::Notification);
    expect(run, &reply, origin, Step { times: 0, ..NOTIFICATION }, &regions);
    // the order, its reservation, the failure, and the release
    expect_observers(run, &reply, origin, 4);
    run.await_logs().await;
    if run.failed() {
        return;
    }
    let Some((cause, after)) = stock(run, &inventory).await else { return };
    if after == before {
        run.record(&inventory, cause, format!("the stock is what it was before: {after}"));
    } else {
        run.fail(format!("the stock in `{inventory}` is {after}, and was {before} before"), Vec::new());
    }
}

async fn place(run: &mut Run<'_>, origin: &RegionName, sku: &str, amount: &str) -> Option<Reply> {
    let order = json!({"sku": sku, "quantity": 1, "amount": amount});
    run.request((origin, Program::Checkout), CHECKOUTS_PATH, Request::Post(&order), 202).await
}

/// What a region's inventory has left, and the index of the request.
async fn stock(run: &mut Run<'_>, region: &RegionName) -> Option<(usize, Value)> {
    let path = format!("{STOCK_PATH}/{UNPAID}");
    let reply = run.request((region, Program::Inventory), &path, Request::Get, 200).await?;
    Some((reply.cause, reply.body))
}

/// The region whose service processes the orders of another.
fn home_of(run: &Run<'_>, service: Program, origin: &RegionName) -> Option<RegionName> {
    let regions = run.regions_of(service);
    let names: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
    let home = home(origin.as_str(), &names)?;
    regions.iter().find(|region| region.as_str() == home).cloned()
}

/// Expects each step in the order's home, and in no other region; gives the region of the last.
fn expect_at_home(run: &mut Run<'_>, reply: &Reply, origin: &RegionName, steps: &[Step]) -> RegionName {
    let mut from = origin.clone();
    for step in steps {
        let Some(home) = home_of(run, step.service, origin) else { continue };
        for region in run.regions_of(step.service) {
            let times = if region == home { step.times } else { 0 };
            expect(run, reply, &from, Step { times, ..*step }, &[region]);
        }
        from = home;
    }
    from
}

/// Expects what those do who only watch the chain, each in its own region: analytics counts every event.
fn expect_observers(run: &mut Run<'_>, reply: &Reply, origin: &RegionName, events: usize) {
    for step in [Step { times: events, ..COUNTED }, CHECKED] {
        let regions = run.regions_of(step.service);
        expect(run, reply, origin, step, &regions);
    }
}

fn expect(run: &mut Run<'_>, reply: &Reply, from: &RegionName, step: Step, regions: &[RegionName]) {
    let Step { service, events, meaning, times } = step;
    for region in regions {
        let Some(expected) = reply.expect_from(service, events, meaning) else { return };
        let link = LinkRef::between(from, region, Resource::Exchange(EVENTS.into()));
        run.expect(Expectation { times, link, region: Some(region.clone()), ..expected });
    }
}
