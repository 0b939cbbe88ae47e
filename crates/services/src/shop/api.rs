//! The endpoints of the products service.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::catalogue::Catalogue;
use super::message::{Order, Product, TaxRequest};
use crate::http::{Accepted, Failure, LARGEST_BODY, json, outgoing, publish};
use fedctl_contract::log::field;
use fedctl_contract::shop::{
    ORDER_PRODUCT, ORDERS, ORDERS_PATH, PRODUCT_ADDED, PRODUCT_EVENTS, PRODUCTS_PATH, TAX_PATH, taxes_key,
    taxes_reply_key,
};
use fedctl_messaging::Publisher;

/// What the products service's endpoints need.
#[derive(Clone)]
pub struct Api {
    /// This region.
    pub region: String,
    /// All regions, this one included.
    pub regions: Vec<String>,
    /// Where requests go.
    pub publisher: Publisher,
    /// Where products are read.
    pub store: Catalogue,
}

/// The endpoints of the products service.
pub fn router(api: Api) -> Router {
    Router::new()
        .route(&format!("{PRODUCTS_PATH}/{{id}}"), get(read_product))
        .route(PRODUCTS_PATH, post(add_product))
        .route(ORDERS_PATH, post(place_order))
        .route(&format!("{TAX_PATH}/{{region}}"), post(request_taxes))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

async fn read_product(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Product>, Failure> {
    let unknown = || Failure::NotFound("Product not found".to_owned());
    let id = id.parse().map_err(|_| unknown())?;
    api.store.product(id).await?.map(Json).ok_or_else(unknown)
}

async fn add_product(State(api): State<Api>, body: Bytes) -> Accepted {
    let product = Product::read(&json(&body)?)?;
    let message = outgoing(PRODUCT_EVENTS, PRODUCT_ADDED, &product)
        .with_log_field(field::PRODUCT_ID, product.id)
        .with_log_field(field::QUANTITY, product.quantity);
    publish(&api.publisher, message).await
}

async fn place_order(State(api): State<Api>, body: Bytes) -> Accepted {
    let order = Order::read(&json(&body)?)?;
    let message = outgoing(ORDERS, ORDER_PRODUCT, &order)
        .with_log_field(field::PRODUCT_ID, order.product_id)
        .with_log_field(field::QUANTITY, order.quantity);
    publish(&api.publisher, message).await
}

async fn request_taxes(State(api): State<Api>, Path(region): Path<String>) -> Accepted {
    if !api.regions.contains(&region) {
        let known = api.regions.join(", ");
        return Err(Failure::NotFound(format!("Region `{region}` not found; there are: {known}")));
    }
    let request = TaxRequest { order_id: 1 };
    let message = outgoing(ORDERS, taxes_key(&region), &request)
        .with_reply_to(&taxes_reply_key(&api.region))
        .with_log_field(field::ORDER_ID, request.order_id);
    publish(&api.publisher, message).await
}
