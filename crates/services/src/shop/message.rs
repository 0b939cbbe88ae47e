//! The bodies of the shop's messages and requests.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{Fields, Invalid};

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
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let product = Self {
            id: fields.integer("id"),
            name: fields.text("name"),
            price: fields.decimal("price").into(),
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
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let request = Self { order_id: fields.integer("order_id") };
        fields.finish(request)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrong_field_is_reported_at_once() {
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
}
