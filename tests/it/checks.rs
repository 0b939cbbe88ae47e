//! How what checks found is shown.

use libtest_mimic::Trial;

use crate::{
    cli::{engine_with, fedctl, project, shown, text},
    harness::cases,
};

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::OnceLock,
    thread,
};

use anstream::adapter::strip_str;
use assert_fs::prelude::*;
use fedctl::output::check::render;
use fedctl_model::{
    check::Checks,
    diagnostic::{Code, Diagnostic, Place},
    observed::Resource,
    status::LinkRef,
    topology::RegionName,
};

fn what_is_found_is_grouped_by_place_with_its_help() {
    let region = || RegionName::new("asia");
    let code = |text| Code::find(text).unwrap();
    let policy = Place::Policy { region: region(), name: "events".into() };
    let queue = Place::Queue { region: region(), name: "federation: orders.events -> mars".into() };
    let diagnostics = vec![
        Diagnostic::new(code("FED0802"), Place::Broker { region: region() }, "its cluster name is taken"),
        Diagnostic::new(code("FED0839"), Place::Broker { region: region() }, "its clock is ahead")
            .help("chrony"),
        Diagnostic::new(code("FED0813"), policy, "names nothing").help("correct it"),
        Diagnostic::new(code("FED0827"), queue, "holds 7 messages").cause("no region is `mars`"),
    ];
    let link = |downstream, queue: &str| {
        let (upstream, downstream) = (RegionName::new("europe"), RegionName::new(downstream));
        let place = Place::Link(LinkRef { upstream, downstream, resource: Resource::Queue(queue.into()) });
        Diagnostic::new(code("FED0304"), place, "connection refused")
    };
    let links = [link("asia", "fed.a"), link("asia", "fed.b"), link("america", "fed.a")];
    let diagnostics = diagnostics.into_iter().chain(links).collect();
    let checks =
        Checks { version: 1, project: Some("shop".into()), checks: 90, errors: 5, warnings: 2, diagnostics };
    insta::assert_snapshot!(strip_str(&render(&checks, "", "regions.yaml", false)));
}

/// What a broker answers whose API refuses some questions and does not know others; a refusal is its status alone.
fn answer_of(path: &str) -> (u16, &'static str) {
    match path.trim_start_matches("/api/").split('?').next().unwrap_or_default() {
        "version" => (200, r#""4.3.6""#),
        "overview" => (200, r#"{"cluster_name": "rabbit@europe", "listeners": [{"protocol": "amqp/ssl"}]}"#),
        "health/checks/alarms" => (200, r#"{"status": "ok"}"#),
        "health/checks/certificate-expiration/1/months" => (
            503,
            r#"{"status": "failed", "expired": [{"port": 5671, "certfile_expires_on": ["2026-12-01 10:00:00"]}]}"#,
        ),
        "nodes" => (
            200,
            r#"[{"name": "rabbit@europe", "running": true, "uptime": 9, "mem_used": 1, "fd_used": 99, "fd_total": 100}]"#,
        ),
        "queues/%2F" => {
            (200, r#"[{"name": "replies", "type": "classic", "durable": false, "exclusive": false}]"#)
        }
        "exchanges/%2F" => (200, r#"[{"name": "", "type": "direct"}]"#),
        "feature-flags" => (200, r#"[{"name": "khepri_db", "state": "disabled", "stability": "stable"}]"#),
        "deprecated-features/used" => (200, r#"[{"name": "transient_nonexcl_queues"}]"#),
        "parameters/federation-upstream/%2F" => (
            200,
            r#"[{"name": "theirs", "value": {"uri": ["amqp://ada:hunter2@far"], "ack-mode": "no-ack"}}]"#,
        ),
        "bindings/%2F" | "consumers/%2F" | "federation-links/%2F" | "policies/%2F" => (200, "[]"),
        "users" | "operator-policies/%2F" => (401, "{}"),
        _ => (404, "{}"),
    }
}

/// A management API that answers so; its port.
fn management() -> u16 {
    fn serve(mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(request)) = lines.next() {
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let (status, body) = answer_of(request.split(' ').nth(1).unwrap());
            let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}", body.len());
            if write!(stream, "{head}\r\n\r\n{body}").is_err() {
                return;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        listener.incoming().for_each(|stream| drop(thread::spawn(|| serve(stream.unwrap()))));
    });
    port
}

fn a_broker_is_judged_by_what_it_lets_fedctl_see() {
    static BROKER: OnceLock<String> = OnceLock::new();
    let port = management();
    let ports = [5672, 15672].map(|private| {
        format!(r#"{{"PrivatePort": {private}, "PublicPort": {port}, "Type": "tcp", "IP": "127.0.0.1"}}"#)
    });
    let networks = r#"{"Networks": {"shop_wan": {"IPAddress": "10.0.0.2"}}}"#;
    let broker = format!(
        r#"[{{"Names": ["/shop_europe_broker"], "State": "running", "Status": "Up", "Ports": [{}], "NetworkSettings": {networks}}}]"#,
        ports.join(", ")
    );
    BROKER.get_or_init(|| broker);
    let host = engine_with(r#"{"ApiVersion":"1.41"}"#.into(), |_| BROKER.get().unwrap());
    let directory = project("name: shop\nmaster: europe\nregions: [name: europe]\n");
    fs::create_dir(directory.child(".fedctl").path()).unwrap();
    directory.child(".fedctl/passwords.json").write_str(r#"{"europe": {"fedctl": "secret"}}"#).unwrap();
    let output = fedctl(directory.path(), &["check", "-o", "json", "--host", &host]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(4), String::new()), "{}", shown(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = json["diagnostics"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap());
    let expected = [
        "FED0801", "FED0803", "FED0804", "FED0805", "FED0807", "FED0812", "FED0829", "FED0832", "FED0840",
        "FED0842", "FED0843",
    ];
    assert_eq!(found.collect::<BTreeSet<_>>(), BTreeSet::from(expected), "{json:#}");
    assert!(!text(&output.stdout).contains("hunter2"), "{json:#}");
}

pub fn cases() -> Vec<Trial> {
    cases! {
        a_broker_is_judged_by_what_it_lets_fedctl_see,
        what_is_found_is_grouped_by_place_with_its_help,
    }
}
