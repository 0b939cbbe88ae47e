//! A chain of events: each step in the region that has its service.

use serde_json::json;

use super::request::Request;
use super::watch::{Asked, Watch};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, way},
    topology::RegionName,
};

pub(super) const CHECKOUT: &str = "checkout";
pub(super) const INVENTORY: &str = "inventory";
pub(super) const EVENTS: &str = "checkout.events";

/// A step: the service that takes it, what it logs, what that means, and how often it happens.
type Step = (&'static str, &'static [&'static str], &'static str, usize);

const CHAIN: [Step; 3] = [
    (INVENTORY, &["stock_reserved"], "reserved the stock", 1),
    ("payment", &["payment_captured"], "captured the payment", 1),
    ("notification", &["notification_sent"], "asked every channel to notify", 1),
];
/// What stands at the chain's end, in the region of its last step.
const CHANNELS: [Step; 3] = [
    ("email", &["notified"], "told the customer by e-mail", 1),
    ("sms", &["notified"], "told the customer by text message", 1),
    ("push", &["notified"], "told the customer by push message", 1),
];
/// Those who look on, each in its own region: analytics sees the order, its reservation and its payment.
const LOOKING_ON: [Step; 2] = [
    ("analytics", &["event_counted"], "counted an event", 3),
    ("fraud", &["fraud_checked"], "checked it for fraud", 1),
];

/// Orders in each region, and follows each order to its end.
pub(super) async fn play(watch: &mut Watch<'_>) {
    for origin in watch.regions_of(CHECKOUT) {
        let order = json!({"sku": "lamp", "quantity": 1, "amount": "12.50"});
        let Some(asked) = watch.ask((&origin, CHECKOUT), "/checkouts", Request::Post(&order), 202).await
        else {
            return;
        };
        let mut from = origin.clone();
        for step in CHAIN {
            let homes = watch.regions_of(step.0);
            expect(watch, &asked, &from, step, &homes);
            from = homes.into_iter().next().unwrap_or(from);
        }
        for step in CHANNELS {
            expect(watch, &asked, &from, step, std::slice::from_ref(&from));
        }
        for step in LOOKING_ON {
            let homes = watch.regions_of(step.0);
            expect(watch, &asked, &origin, step, &homes);
        }
    }
    watch.lines().await;
}

fn expect(watch: &mut Watch<'_>, asked: &Asked, from: &RegionName, step: Step, homes: &[RegionName]) {
    let (service, events, meaning, times) = step;
    for home in homes {
        let Some(told) = asked.told_by(service, events, meaning) else { return };
        let way = way(from, home, Resource::Exchange(EVENTS.into()));
        watch.expect(Expectation { times, way, region: Some(home.clone()), ..told });
    }
}
