//! Products, orders and taxes: the wire contract of the public Nameko multi-region example.

/// The topic exchange of product events; federated.
pub const PRODUCT_EVENTS: &str = "products.events";
/// The direct exchange of orders, tax requests and their replies; not federated, its queues are.
pub const ORDERS: &str = "orders";
/// The key of a new product's event.
pub const PRODUCT_ADDED: &str = "product_added";
/// The key of a changed product's event.
pub const PRODUCT_UPDATED: &str = "product_updated";
/// The key of an order.
pub const ORDER_PRODUCT: &str = "order_product";
/// The queue of orders, which only the master region consumes.
pub const ORDER_QUEUE: &str = "fed.order_product";
/// The header that carries a product's version in `product_updated`; absent when a Nameko service sent it.
pub const VERSION_HEADER: &str = "x-product-version";
/// The path of products: `POST` adds one, `GET` below it reads one.
pub const PRODUCTS_PATH: &str = "/products";
/// The path of orders.
pub const ORDERS_PATH: &str = "/orders";
/// The path of tax requests, each below it by region.
pub const TAX_PATH: &str = "/tax";

/// The key on [`ORDERS`] of tax requests to `region`.
#[must_use]
pub fn taxes_key(region: &str) -> String {
    format!("{region}_calculate_taxes")
}

/// The key on [`ORDERS`] of the replies to tax requests of `region`.
#[must_use]
pub fn taxes_reply_key(region: &str) -> String {
    format!("{region}_calculate_taxes_reply")
}

/// The federated queue bound with `key`.
#[must_use]
pub fn federated_queue(key: &str) -> String {
    format!("fed.{key}")
}

/// The queue of the indexer of `region`: not federated, and stable so that a restart misses nothing.
#[must_use]
pub fn indexer_queue(region: &str) -> String {
    format!("indexer.{region}")
}

/// What the taxes service of `region` answers.
#[must_use]
pub fn tax(region: &str, order_id: i64) -> String {
    format!("You do not owe taxes in region {region} for order id {order_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_orders_is_the_federated_queue_of_their_key() {
        assert_eq!(ORDER_QUEUE, federated_queue(ORDER_PRODUCT));
    }
}
