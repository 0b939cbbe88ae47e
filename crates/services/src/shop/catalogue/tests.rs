use std::time::Duration;

use rusqlite::Connection;

use super::*;

async fn store() -> (Catalogue, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Catalogue::open(directory.path().join("products.db")).await.unwrap(), directory)
}

fn lamp(quantity: i64) -> Product {
    Product { id: 1, name: "lamp".to_owned(), price: "9.90".to_owned(), quantity }
}

fn event(id: Option<&str>, quantity: i64, version: Option<i64>) -> Event {
    Event { message_id: id.map(str::to_owned), product: lamp(quantity), version }
}

#[tokio::test]
async fn an_event_is_applied_once_by_its_message_id() {
    let (store, _directory) = store().await;
    let events = vec![event(Some("a"), 5, None), event(Some("a"), 6, None), event(None, 7, None)];
    let applied = store.index(events).await.unwrap();
    assert_eq!(applied, [Upsert::Applied, Upsert::Duplicate, Upsert::Applied]);
    assert_eq!(store.product(1).await.unwrap(), Some(lamp(7)));
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one() {
    let (store, _directory) = store().await;
    let events = vec![event(None, 5, Some(2)), event(None, 9, Some(1)), event(None, 4, Some(2))];
    let applied = store.index(events).await.unwrap();
    assert_eq!(applied, [Upsert::Applied, Upsert::Stale, Upsert::Applied]);
    store.index(vec![event(None, 50, None)]).await.unwrap();
    assert_eq!(store.index(vec![event(None, 9, Some(1))]).await.unwrap(), [Upsert::Stale]);
    assert_eq!(store.product(1).await.unwrap(), Some(lamp(50)));
}

#[tokio::test]
async fn a_repeated_order_gives_the_same_event_and_subtracts_nothing() {
    let (store, directory) = store().await;
    let order = Order { product_id: 1, quantity: 8 };
    assert_eq!(store.order("o".to_owned(), order.clone()).await.unwrap(), Ordered::UnknownProduct);
    store.index(vec![event(None, 5, None)]).await.unwrap();
    let Ordered::Processed(first) = store.order("o".to_owned(), order.clone()).await.unwrap() else {
        panic!()
    };
    assert_eq!((first.product.quantity, first.version), (-3, 1));
    let reopened = Catalogue::open(directory.path().join("products.db")).await.unwrap();
    assert_eq!(reopened.order("o".to_owned(), order).await.unwrap(), Ordered::Repeated(first));
    assert_eq!(reopened.product(1).await.unwrap(), Some(lamp(-3)));
}

#[tokio::test]
async fn many_processes_may_open_a_new_store_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let opening = (0..8).map(|_| Catalogue::open(directory.path().join("products.db")));
    for store in futures_util::future::join_all(opening).await {
        store.unwrap().product(1).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named() {
    let error = Catalogue::open("/nowhere/at/all.db".into()).await.err().unwrap();
    assert!(error.to_string().contains("/nowhere/at/all.db"));
}

#[tokio::test]
async fn nothing_is_written_for_a_caller_that_has_gone() {
    let (store, directory) = store().await;
    let other = Connection::open(directory.path().join("products.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = store.index(vec![event(Some("a"), 5, None)]);
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    drop(other);
    assert_eq!(store.product(1).await.unwrap(), None);
    assert_eq!(store.index(vec![event(Some("a"), 5, None)]).await.unwrap(), [Upsert::Applied]);
}
