//! How a topology begins: with answers, or with what brokers exported. No engine, no network.

use std::fs;

use assert_fs::TempDir;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    cli::{fedctl, shown, text},
    harness::cases,
};

pub fn cases() -> Vec<Trial> {
    cases![
        a_first_file_is_written_without_a_question_and_checks_find_nothing,
        a_first_file_takes_nobody_elses_place,
        without_a_terminal_the_flags_are_named,
        answers_that_make_no_topology_write_nothing,
        definitions_become_a_topology_and_what_it_cannot_say_is_said,
    ]
}

fn a_first_file_is_written_without_a_question_and_checks_find_nothing() {
    let there =
        ["--region", "europe=https://ada@rabbit.example.com", "--region", "asia=http://localhost:15672"];
    let here = ["--region", "europe", "--region", "asia", "--region", "america"];
    for regions in [&here[..], &there[..]] {
        let directory = TempDir::new().unwrap();
        let arguments = [&["init", "--name", "shop"], regions].concat();
        let output = fedctl(directory.path(), &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let checked = fedctl(directory.path(), &["check", "--offline"]).output().unwrap();
        let written = fs::read_to_string(directory.path().join("regions.yaml")).unwrap();
        assert_eq!(checked.status.code(), Some(0), "{}\n{written}", shown(&checked));
    }
}

fn a_first_file_takes_nobody_elses_place() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("regions.yaml"), "mine").unwrap();
    let output = fedctl(directory.path(), &["init", "--yes"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
    assert_eq!(fs::read_to_string(directory.path().join("regions.yaml")).unwrap(), "mine");
    let output = fedctl(directory.path(), &["--file", "other.yaml", "init", "--yes"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(directory.path().join("other.yaml").exists());
}

fn without_a_terminal_the_flags_are_named() {
    let directory = TempDir::new().unwrap();
    let output = fedctl(directory.path(), &["init"]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for flag in ["--name", "--region", "--yes"] {
        assert!(said.contains(flag), "{said}");
    }
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was written");
}

fn answers_that_make_no_topology_write_nothing() {
    for (region, said) in [
        ("Europe", "is not a valid host name"),
        ("europe=rabbit", "not the URL"),
        ("europe=http://ada:secret@rabbit", "a password in a URL"),
    ] {
        let directory = TempDir::new().unwrap();
        let output =
            fedctl(directory.path(), &["init", "--name", "shop", "--region", region]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
        assert!(text(&output.stderr).contains(said), "{}", shown(&output));
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was written");
    }
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
