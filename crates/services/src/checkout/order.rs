//! What the chain's events say of an order.

use serde_json::{Map, Value, json};

use crate::decimal::Decimal;
use crate::fields::{Fields, Invalid};

/// What a buyer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is bought.
    pub sku: String,
    /// How many, one or more.
    pub quantity: i64,
    /// What is paid for all of it.
    pub amount: Decimal,
}

impl Request {
    /// Reads a request.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let request = request(&mut fields);
        fields.finish(request)
    }
}

/// An order, as the events up to the payment carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Names it throughout the chain.
    pub order_id: String,
    /// What is bought.
    pub request: Request,
    /// The region that took it.
    pub region: String,
}

impl Order {
    /// Reads an order.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let order = Self {
            order_id: name(&mut fields, "order_id"),
            request: request(&mut fields),
            region: name(&mut fields, "region"),
        };
        fields.finish(order)
    }

    /// The body of an event about it.
    #[must_use]
    pub fn body(&self) -> Map<String, Value> {
        let Request { sku, quantity, amount } = &self.request;
        let fields = [
            ("order_id", json!(self.order_id)),
            ("sku", json!(sku)),
            ("quantity", json!(quantity)),
            ("amount", json!(amount)),
            ("region", json!(self.region)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The part of an order that matters for its payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The order.
    pub order_id: String,
    /// What is paid for it.
    pub amount: Decimal,
}

impl Charge {
    /// Reads a charge.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let charge = Self { order_id: name(&mut fields, "order_id"), amount: amount(&mut fields) };
        fields.finish(charge)
    }
}

/// Which order a body is about.
///
/// # Errors
/// When it does not say.
pub fn order_id(json: &Value) -> Result<String, Invalid> {
    let mut fields = Fields::of(json)?;
    let order_id = name(&mut fields, "order_id");
    fields.finish(order_id)
}

fn request(fields: &mut Fields<'_>) -> Request {
    let positive = |value: &Value| value.as_i64().filter(|count| *count > 0);
    Request {
        sku: name(fields, "sku"),
        quantity: fields.field("quantity", "Not an integer of one or more.", positive),
        amount: amount(fields),
    }
}

fn name(fields: &mut Fields<'_>, field: &str) -> String {
    let named = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    fields.field(field, "Not a string, or an empty one.", named)
}

fn amount(fields: &mut Fields<'_>) -> Decimal {
    let read = |value: &Value| value.as_str().and_then(Decimal::parse_amount);
    fields.field("amount", "Not a decimal string, zero or more.", read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_order_is_reported_by_field() {
        let wrong = json!({"order_id": "", "quantity": 0, "amount": "-1", "region": "asia"});
        assert_eq!(
            serde_json::to_value(Order::read(&wrong).unwrap_err()).unwrap(),
            json!({
                "order_id": ["Not a string, or an empty one."],
                "sku": ["Missing data for required field."],
                "quantity": ["Not an integer of one or more."],
                "amount": ["Not a decimal string, zero or more."],
            })
        );
    }

    #[test]
    fn an_order_is_read_from_its_own_body() {
        let body = json!({"order_id": "o", "sku": "lamp", "quantity": 2, "amount": "9.90", "region": "asia"});
        let order = Order::read(&body).unwrap();
        assert_eq!(Value::Object(order.body()), body);
    }
}
