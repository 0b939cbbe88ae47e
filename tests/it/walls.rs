//! Clippy still sees who sleeps and who prints, however it is written: each function here does it, and *expects*
//! the lint. Where the lint no longer fires, `make check` fails with an unfulfilled expectation.

use libtest_mimic::Trial;

use crate::harness::{async_cases, cases};

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

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

async fn clippy_sees_every_sleep_and_print() {
    sleeps().await;
    sleeps_by_a_timeout_on_nothing().await;
    blocks();
    assert!(writes_to_standard_output());
}

/// The files with code of a folder and the folders in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn only_the_site_spells_out_an_address() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "crates/model/src", "crates/engine/src", "crates/scenarios/src"];
    for file in folders.iter().flat_map(|folder| sources(&root.join(folder))) {
        if file.ends_with("model/src/site.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let spelled = ["127.0.0.1", "%2F", "amqp://", "http://"];
        let found = code.into_iter().find(|line| spelled.iter().any(|literal| line.contains(literal)));
        assert_eq!(found, None, "in {}", file.display());
    }
}

pub fn cases() -> Vec<Trial> {
    let mut cases = cases! {
        only_the_site_spells_out_an_address,
    };
    cases.extend(async_cases! {
        clippy_sees_every_sleep_and_print,
    });
    cases
}
