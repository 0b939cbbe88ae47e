//! Clippy still sees who sleeps and who prints, however it is written: each function here does it, and *expects*
//! the lint. Where the lint no longer fires, `make check` fails with an unfulfilled expectation.

use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
async fn sleeps() {
    use tokio::time::sleep as rest;
    rest(Duration::ZERO).await;
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
async fn sleeps_by_a_timeout_on_nothing() {
    tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await.ok();
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn blocks() {
    std::thread::sleep(Duration::ZERO);
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn writes_to_standard_output() -> bool {
    use std::io::{Write, stdout};
    stdout().write_all(b"").is_ok()
}

#[tokio::test]
async fn clippy_sees_every_sleep_and_print() {
    sleeps().await;
    sleeps_by_a_timeout_on_nothing().await;
    blocks();
    assert!(writes_to_standard_output());
}
