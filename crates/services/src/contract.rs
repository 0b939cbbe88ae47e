//! The wire contract of the public Nameko multi-region example: names and message bodies, nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use fedctl_messaging::{Binding, ConsumeError, Declarations, Exchange, ExchangeKind};

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

/// The key on [`ORDERS`] of tax requests to `region`.
#[must_use]
pub fn taxes_key(region: &str) -> String {
    format!("{region}_calculate_taxes")
}

/// The key on [`ORDERS`] of the answers to tax requests of `region`.
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

/// The exchanges and federated queues of the contract. Every service declares all of them, so that the order
/// in which services start does not matter.
#[must_use]
pub fn declarations(regions: &[String]) -> Declarations {
    let keys = regions.iter().flat_map(|region| [taxes_key(region), taxes_reply_key(region)]);
    let bindings: Vec<Binding> = std::iter::once(ORDER_PRODUCT.to_owned())
        .chain(keys)
        .map(|key| Binding { queue: federated_queue(&key), exchange: ORDERS.to_owned(), key })
        .collect();
    let exchanges = vec![
        Exchange { name: PRODUCT_EVENTS.to_owned(), kind: ExchangeKind::Topic },
        Exchange { name: ORDERS.to_owned(), kind: ExchangeKind::Direct },
    ];
    Declarations {
        exchanges,
        queues: bindings.iter().map(|binding| binding.queue.clone()).collect(),
        bindings,
    }
}

/// [`declarations`] and the indexer's own queue, which nobody but the indexer of `region` declares: where another
/// implementation takes its place, a queue of this name would grow for ever.
///
/// So an event from before the indexer's first start is not kept for it. A broadcast owes nothing to who has
/// not subscribed yet, and where nobody has, publishing fails and says so, because it is mandatory. From its
/// first start on the queue is there, and a stopped indexer misses nothing.
#[must_use]
pub fn indexer_declarations(region: &str, regions: &[String]) -> Declarations {
    let mut declarations = declarations(regions);
    let queue = indexer_queue(region);
    declarations.bindings.extend([PRODUCT_ADDED, PRODUCT_UPDATED].map(|key| Binding {
        queue: queue.clone(),
        exchange: PRODUCT_EVENTS.to_owned(),
        key: key.to_owned(),
    }));
    declarations.queues.push(queue);
    declarations
}

/// A product, in requests, events and answers alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its price: a decimal kept as the text it came as, because binary floats cannot hold it.
    pub price: String,
    /// How many there are; orders may take it below zero.
    pub quantity: i64,
}

impl Product {
    /// Reads a product.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let product = Self {
            id: fields.integer("id"),
            name: fields.text("name"),
            price: fields.decimal("price"),
            quantity: fields.integer("quantity"),
        };
        fields.finish(product)
    }
}

/// An order of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The product's number.
    pub product_id: i64,
    /// How many.
    pub quantity: i64,
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let order = Self { product_id: fields.integer("product_id"), quantity: fields.integer("quantity") };
        fields.finish(order)
    }
}

/// A request to calculate the taxes of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaxRequest {
    /// The order's number.
    pub order_id: i64,
}

impl TaxRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let request = Self { order_id: fields.integer("order_id") };
        fields.finish(request)
    }
}

/// What is wrong with a body: reasons by field, in the words of the original example's validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Invalid(BTreeMap<String, Vec<String>>);

impl Invalid {
    /// A body wrong as a whole.
    #[must_use]
    pub fn whole(reason: impl Into<String>) -> Self {
        Self::field("_schema", reason)
    }

    /// One field that is wrong.
    #[must_use]
    pub fn field(name: &str, reason: impl Into<String>) -> Self {
        Self(BTreeMap::from([(name.to_owned(), vec![reason.into()])]))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> =
            self.0.iter().map(|(field, reasons)| format!("{field}: {}", reasons.join(" "))).collect();
        f.write_str(&reasons.join("; "))
    }
}

impl From<Invalid> for ConsumeError {
    fn from(invalid: Invalid) -> Self {
        Self::Permanent(invalid.to_string())
    }
}

/// Reads the fields of an object, and gathers what is wrong with them.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    invalid: Invalid,
}

impl<'a> Fields<'a> {
    pub(super) fn of(json: &'a Value) -> Result<Self, Invalid> {
        let object = json.as_object().ok_or_else(|| Invalid::whole("Invalid input type."))?;
        Ok(Self { object, invalid: Invalid::default() })
    }

    pub(super) fn field<T: Default>(
        &mut self,
        name: &str,
        fault: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> T {
        let reason = match self.object.get(name) {
            None => "Missing data for required field.",
            Some(Value::Null) => "Field may not be null.",
            Some(value) => match read(value) {
                Some(value) => return value,
                None => fault,
            },
        };
        self.invalid.0.insert(name.to_owned(), vec![reason.to_owned()]);
        T::default()
    }

    pub(super) fn integer(&mut self, name: &str) -> i64 {
        self.field(name, "Not a valid integer.", Value::as_i64)
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.field(name, "Not a valid string.", |value| value.as_str().map(str::to_owned))
    }

    fn decimal(&mut self, name: &str) -> String {
        let read = |value: &Value| value.as_str().filter(|text| is_decimal(text)).map(str::to_owned);
        self.field(name, "Not a valid decimal string.", read)
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Invalid> {
        if self.invalid.0.is_empty() { Ok(value) } else { Err(self.invalid) }
    }
}

pub(super) fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let wrong = Product::read(&json!({"id": "1", "name": null, "price": 100.0})).unwrap_err();
        assert_eq!(
            serde_json::to_value(wrong).unwrap(),
            json!({
                "id": ["Not a valid integer."],
                "name": ["Field may not be null."],
                "price": ["Not a valid decimal string."],
                "quantity": ["Missing data for required field."],
            })
        );
    }

    #[test]
    fn a_price_is_a_plain_decimal() {
        for text in ["100.00", "0", "-1.5"] {
            assert!(is_decimal(text), "{text}");
        }
        for text in ["", ".", "1.", ".5", "1e3", "12,5", "+1", "NaN", "1.2.3"] {
            assert!(!is_decimal(text), "{text}");
        }
    }

    #[test]
    fn three_regions_need_seven_federated_queues_and_the_indexer_one_more() {
        let regions = ["europe", "asia", "america"].map(str::to_owned);
        let all = declarations(&regions);
        assert!(all.queues.iter().all(|queue| queue.starts_with("fed.")));
        assert_eq!((all.queues.len(), all.bindings.len()), (7, 7));
        let indexers = indexer_declarations("asia", &regions);
        assert_eq!(indexers.queues[..7], all.queues);
        assert_eq!(indexers.queues[7..], ["indexer.asia"]);
        assert_eq!(indexers.bindings.len(), 9);
    }
}
