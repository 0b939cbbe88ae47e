//! How a topology begins: with what brokers exported. No engine, no network.

use std::fs;

use assert_fs::TempDir;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    cli::{fedctl, shown, text},
    harness::cases,
};

pub fn cases() -> Vec<Trial> {
    cases![definitions_become_a_topology_and_what_it_cannot_say_is_said,]
}

fn definitions_become_a_topology_and_what_it_cannot_say_is_said() {
    let directory = TempDir::new().unwrap();
    let definitions = |upstream: &str, cluster: &str| {
        let uri = format!("amqp://fed:secret@{upstream}.example.com:5673/%2F?heartbeat=20");
        let value = json!({"uri": uri, "resource-cleanup-mode": "never", "consumer-tag": "mine"});
        json!({
            "global_parameters": [{"name": "cluster_name", "value": cluster}],
            "parameters": [{"vhost": "/", "component": "federation-upstream", "name": upstream, "value": value}],
            "policies": [{"vhost": "/", "name": "fed", "pattern": "^fed[.]", "apply-to": "queues", "priority": 1,
                "definition": {"federation-upstream-set": "all"}}],
        })
    };
    fs::write(directory.path().join("eu.json"), definitions("asia", "europe").to_string()).unwrap();
    fs::write(directory.path().join("as.json"), definitions("europe", "tokyo").to_string()).unwrap();
    let files = ["--definitions", "europe=eu.json", "--definitions", "asia=as.json"];
    let output = fedctl(directory.path(), &[&["import"], &files[..]].concat()).output().unwrap();
    insta::assert_snapshot!(shown(&output));
    fs::write(directory.path().join("regions.yaml"), &output.stdout).unwrap();
    let checked = fedctl(directory.path(), &["check", "--offline"]).output().unwrap();
    let said = text(&checked.stdout);
    assert!(
        said.contains("0 errors") && said.contains("FED0250"),
        "only what is unencrypted is found:\n{said}"
    );
    let output =
        fedctl(directory.path(), &["import", "--definitions", "europe=regions.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
}
