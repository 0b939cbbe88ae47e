//! A chain of events from an order to its notifications.

/// The topic exchange of the chain's events; federated, because its name ends in `.events`.
pub const EVENTS: &str = "checkout.events";
/// The fanout exchange to the channels of one region; not federated.
pub const NOTIFICATIONS: &str = "notifications";
/// The key of a notification, which the exchange does not look at.
pub const NOTIFICATION_REQUESTED: &str = "notification.requested";

/// The key of an order without a region, as another implementation may publish it.
pub const ORDER_CREATED: &str = "order.created";
/// The binding key of every region's orders.
pub const ORDERS_CREATED: &str = "order.*.created";
/// The binding key of everything that the inventory says.
pub const INVENTORY: &str = "inventory.*";
/// The key of a reservation.
pub const INVENTORY_RESERVED: &str = "inventory.reserved";
/// The key of an order for which there is no stock.
pub const INVENTORY_REJECTED: &str = "inventory.rejected";
/// The key of a reservation that is given back, because the order could not be paid.
pub const INVENTORY_RELEASED: &str = "inventory.released";
/// The binding key of everything that the payment says.
pub const PAYMENT: &str = "payment.*";
/// The key of a paid order.
pub const PAYMENT_CAPTURED: &str = "payment.captured";
/// The key of an order that could not be paid.
pub const PAYMENT_FAILED: &str = "payment.failed";

/// The path of orders, each below it by its identifier.
pub const CHECKOUTS_PATH: &str = "/checkouts";
/// The path of a region's stock, each below it by sku.
pub const STOCK_PATH: &str = "/stock";
/// The path of what analytics has counted.
pub const STATS_PATH: &str = "/stats";

/// The key of an order taken in `region`.
#[must_use]
pub fn order_created(region: &str) -> String {
    format!("order.{region}.created")
}

/// The queue of a service of the chain; not federated.
#[must_use]
pub fn queue(service: &str) -> String {
    format!("checkout.{service}")
}

/// The queue of a channel to the customer; not federated.
#[must_use]
pub fn channel_queue(channel: &str) -> String {
    format!("{NOTIFICATIONS}.{channel}")
}

/// The region whose inventory, or payment, an order is for, of the `regions` that have one: the region that took the
/// order, or else the first. An event reaches all of them; since each comes to the same answer, one acts on it.
#[must_use]
pub fn home<'r>(order_region: &str, regions: &[&'r str]) -> Option<&'r str> {
    regions.iter().find(|region| **region == order_region).or(regions.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_for_its_own_region_or_else_for_the_first() {
        let regions = ["europe", "asia"];
        let homes = ["europe", "asia", "america", "elsewhere"].map(|region| home(region, &regions));
        assert_eq!(homes, [Some("europe"), Some("asia"), Some("europe"), Some("europe")]);
        assert_eq!(home("asia", &[]), None);
    }
}
