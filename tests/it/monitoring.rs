//! What monitors see: metrics, the line of a Nagios plugin, the exporter, and the files for Prometheus and Grafana.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use fedctl::output::{nagios, prom, status::Extent};
use fedctl_model::{
    diagnostic::Code,
    observed::{Plugin, Resource},
    outcome::Outcome,
    site::Unavailable,
    status::{BrokerState, Condition, Limits, LinkStatus, Reason, Status, Verdict},
};

use crate::{
    cli::{TWO, empty_engine, engine_with, fedctl, project, shown, text},
    harness::cases,
    support::{http, ran::Running},
    tables::{damaged, healthy, unknown},
};

const ALERTS: &str = include_str!("../../monitoring/alerts.yaml");
const DASHBOARD: &str = include_str!("../../monitoring/grafana-dashboard.json");

fn metrics(status: Status) -> String {
    prom::render(Some(status), Duration::from_millis(40))
}

/// The samples of a metric.
fn samples<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let lines =
        text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.collect()
}

/// Everything that can be exported, a link of every state, and what is not known.
fn everything() -> Status {
    let mut status = damaged();
    let mut link = unknown(42, 43).links[2].clone();
    assert!(matches!(link.condition, Condition::Unknown(_)));
    link.link.resource = Resource::Queue("fed.unknown".into());
    link.waiting = None;
    status.links.push(link);
    for (link, lag) in status.links.iter_mut().zip([340, 0]) {
        (link.waiting, link.lag_seconds) = (Some(1234), Some(lag));
    }
    Limits { backlog: Some(1000), lag: Some(60) }.apply(&mut status);
    status
}

fn every_link_is_in_one_state_and_what_is_unknown_has_no_sample() {
    let status = everything();
    let text = metrics(status.clone());
    insta::assert_snapshot!(text);
    let series = text.lines().filter_map(|line| line.rsplit_once(' ').filter(|_| !line.starts_with('#')));
    let series: Vec<&str> = series.map(|(series, _)| series).collect();
    assert_eq!(series.iter().collect::<BTreeSet<_>>().len(), series.len(), "one sample of each");
    for state in ["running", "starting", "unknown", "down", "missing", "unexpected"] {
        let label = format!("state=\"{state}\"");
        let of_state: Vec<&str> =
            samples(&text, "fedctl_link_state").into_iter().filter(|line| line.contains(&label)).collect();
        let expected = status.links.iter().filter(|link| link.state().as_str() == state).count();
        let ones = of_state.iter().filter(|line| line.ends_with(" 1")).count();
        assert_eq!((of_state.len(), ones), (status.links.len(), expected), "{state}");
        assert!(expected > 0, "no link is {state}");
    }
    let known = status.links.iter().filter(|link| link.waiting.is_some()).count();
    assert_eq!(samples(&text, "fedctl_link_waiting_messages").len(), known);
    assert_eq!(samples(&text, "fedctl_broker_up").len(), 4, "whether a broker answers is always known");
    for name in ["fedctl_broker_memory_bytes", "fedctl_broker_uptime_seconds"] {
        assert_eq!(samples(&text, name).len(), 2, "two brokers do not answer: {name}");
    }
}

fn where_no_link_is_known_none_is_expected_and_none_runs() {
    let mut status = healthy();
    status.links.clear();
    assert_eq!(samples(&metrics(status.clone()), "fedctl_links_expected"), ["fedctl_links_expected 0"]);
    for region in &mut status.regions {
        region.broker.state = BrokerState::Stopped;
    }
    let text = metrics(status);
    assert!(!text.contains("fedctl_links_"), "{text}");
}

fn a_look_that_failed_has_no_sample_but_that() {
    let text = prom::render(None, Duration::from_millis(1500));
    let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let version = format!("fedctl_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples, [&version, "fedctl_up 0", "fedctl_scrape_duration_seconds 1.5"]);
}

fn names_that_need_it_are_escaped() {
    let mut status = healthy();
    status.links.truncate(1);
    status.links[0].link.resource = Resource::Exchange("a\"b\\c".into());
    let text = metrics(status);
    let sample = samples(&text, "fedctl_link_waiting_messages");
    assert!(sample[0].contains(r#"name="a\"b\\c""#), "{sample:?}");
}

/// Runs Prometheus' own checker, which must be there.
#[track_caller]
fn promtool(arguments: &[&str], input: &str) {
    let mut promtool = Command::new("promtool");
    let promtool =
        promtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        promtool.spawn().unwrap_or_else(|error| panic!("`promtool`: {error}: `make setup` installs it"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "promtool {arguments:?}: {}",
        shown(&output)
    );
}

fn prometheus_accepts_the_metrics() {
    for text in [metrics(everything()), metrics(healthy()), prom::render(None, Duration::ZERO)] {
        promtool(&["check", "metrics"], &text);
    }
}

fn prometheus_accepts_the_alerts_and_what_the_dashboard_asks() {
    promtool(&["check", "rules", "monitoring/alerts.yaml"], "");
    let rules = expressions().into_iter().enumerate();
    let rules: Vec<Value> = rules
        .map(|(number, expr)| json!({"record": format!("panel:{number}"), "expr": expr.replace("$instance", ".*")}))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.yaml");
    fs::write(&file, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}

fn each_alert_fires_for_its_cause_and_none_without() {
    promtool(&["test", "rules", "tests/it/alerts.yaml"], "");
}

/// Every value of a key, however deep.
fn values<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    let below = |value: &'v Value| values(value, key);
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, value)| if name == key { vec![value] } else { below(value) })
            .collect(),
        Value::Array(items) => items.iter().flat_map(below).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

fn alerts() -> Vec<Value> {
    let alerts: Value = serde_yaml::from_str(ALERTS).unwrap();
    alerts["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// What the dashboard asks Prometheus.
fn expressions() -> Vec<String> {
    values(&dashboard(), "expr").into_iter().map(|expr| expr.as_str().unwrap().to_owned()).collect()
}

/// The names in a text that begin like those of metrics.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("fedctl_")).map(str::to_owned).collect()
}

fn alerts_and_dashboard_name_only_metrics_that_are_exported() {
    let text = metrics(everything());
    let exported = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let exported: BTreeSet<String> = exported.map(str::to_owned).collect();
    for (file, text) in [("alerts.yaml", ALERTS), ("grafana-dashboard.json", DASHBOARD)] {
        let named = named(text);
        assert!(named.len() > 5, "{file}: {named:?}");
        assert_eq!(named.difference(&exported).collect::<Vec<_>>(), [&""; 0], "{file}");
    }
    assert_eq!(text.matches("# HELP ").count(), exported.len());
}

fn every_alert_says_what_it_means_and_what_to_do() {
    let known = |code: &str| Code::find(code).is_some();
    for alert in alerts() {
        let text = |key: &str| {
            alert["annotations"][key].as_str().unwrap_or_else(|| panic!("{key}: {alert}")).to_owned()
        };
        assert!(!text("summary").is_empty() && text("description").ends_with('.'), "{alert}");
        let runbook = text("runbook");
        assert!(runbook.contains("`fedctl "), "{alert}");
        let codes =
            runbook.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("FED0"));
        assert_eq!(codes.filter(|code| !known(code)).collect::<Vec<_>>(), [""; 0], "{alert}");
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{alert}");
    }
}

fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "fedctl");
    assert_eq!(dashboard["id"], Value::Null, "an imported dashboard has none");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let source = variables.iter().find(|variable| variable["name"] == "datasource").unwrap();
    assert_eq!((&source["type"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
    for panel in panels {
        let used = [values(panel, "datasource"), values(&panel["targets"], "datasource")].concat();
        assert!(used.len() > 1 && used.iter().all(|source| source["uid"] == "${datasource}"), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{panel}");
    }
}

/// The one line, and the exit code.
fn checked(status: &Status, limits: Limits) -> (String, u8) {
    let line = nagios::render(status, limits);
    assert_eq!(line.matches(['\n', '|']).count(), 2, "{line}");
    (line, Outcome::Checked(status.verdict()).code())
}

#[track_caller]
fn check(change: impl FnOnce(&mut Status), expected: &str, code: u8) {
    let mut status = healthy();
    change(&mut status);
    let limits = Limits { backlog: Some(1000), lag: Some(60) };
    limits.apply(&mut status);
    let (line, found) = checked(&status, limits);
    assert_eq!((line.split(" | ").next().unwrap(), found), (expected, code));
    assert_eq!(status.is_healthy(), code == 0);
}

fn a_monitor_gets_one_line_with_the_verdict_the_cause_and_the_numbers() {
    let limits = Limits { backlog: Some(1000), lag: None };
    let (line, code) = checked(&healthy(), limits);
    let numbers = "links_running=4;;;0;4 links_unknown=0;;;0;4 brokers_up=2;;;0;2 services_ready=1;;;0;1 \
                   backlog_max=0;;1000;0 lag_max=U;;;0";
    assert_eq!((line, code), (format!("FEDCTL OK - 4 of 4 links running | {numbers}\n"), 0));
    let (line, code) = checked(&everything(), Limits { backlog: Some(1000), lag: Some(60) });
    assert_eq!(code, 2);
    assert!(
        line.starts_with("FEDCTL CRITICAL - 9 of 13 links running, 1 unknown, 1 unexpected; broker `asia`: "),
        "{line}"
    );
    assert!(line.contains("backlog_max=1234;;1000;0 lag_max=340s;;60;0"), "{line}");
}

fn what_does_not_work_is_critical_and_what_only_may_not_is_a_warning() {
    let running = "4 of 4 links running";
    let link = |condition: Condition| move |status: &mut Status| status.links[0].condition = condition;
    check(|_| {}, &format!("FEDCTL OK - {running}"), 0);
    check(link(Condition::Connecting), "FEDCTL WARNING - 3 of 4 links running", 1);
    check(
        link(Condition::Failing(Reason::NotInTopology)),
        "FEDCTL WARNING - 3 of 3 links running, 1 unexpected; link asia → europe (orders.events): not in the topology \
         (FED0315)",
        1,
    );
    check(
        link(Condition::Failing(Reason::ConnectionRefused)),
        "FEDCTL CRITICAL - 3 of 4 links running; link asia → europe (orders.events): connection refused: the upstream's \
         broker is not up (FED0304)",
        2,
    );
    check(
        |status| status.regions[0].services[0].error = Some("not connected | yet\nreally".into()),
        &format!("FEDCTL WARNING - {running}; service `taxes` in `europe`: not connected / yet really"),
        1,
    );
    check(
        |status| status.regions[0].services[0].running = false,
        &format!("FEDCTL CRITICAL - {running}; service `taxes` in `europe`: stopped"),
        2,
    );
    check(
        |status| status.regions[1].broker.alarms = Some(vec!["memory".into()]),
        &format!(
            "FEDCTL CRITICAL - {running}; broker `asia`: memory alarm: it takes no messages from publishers (FED0610)"
        ),
        2,
    );
}

fn what_cannot_be_asked_is_unknown() {
    let silent = |unavailable: Unavailable, state: BrokerState| {
        move |status: &mut Status| {
            let broker = &mut status.regions[1].broker;
            (broker.state, broker.code, broker.error) =
                (state, Some(unavailable.code()), Some(unavailable.to_string()));
            for link in status.links.iter_mut().filter(|link| link.link.downstream.as_str() == "asia") {
                link.condition = Condition::Unknown(unavailable.clone());
            }
        }
    };
    check(
        silent(Unavailable::Unauthorized, BrokerState::Unreachable),
        "FEDCTL UNKNOWN - 2 of 4 links running, 2 unknown; broker `asia`: the broker rejects fedctl's password: \
         `fedctl up` restores it (FED0606)",
        3,
    );
    check(
        silent(Unavailable::Unreachable("timed out".into()), BrokerState::Unreachable),
        "FEDCTL CRITICAL - 2 of 4 links running, 2 unknown; broker `asia`: timed out (FED0601)",
        2,
    );
    check(
        silent(Unavailable::Paused, BrokerState::Paused),
        "FEDCTL CRITICAL - 2 of 4 links running, 2 unknown; broker `asia`: the broker's container is paused: `fedctl up` \
         unpauses it (FED0607)",
        2,
    );
    check(
        |status| {
            let broker = &mut status.regions[1].broker;
            broker.missing_plugin = Some(Plugin::FederationManagement.name().into());
            let missing = Unavailable::PluginDisabled(Plugin::FederationManagement);
            (broker.code, broker.error) = (Some(missing.code()), Some(missing.to_string()));
        },
        "FEDCTL UNKNOWN - 4 of 4 links running; broker `asia`: plugin `rabbitmq_federation_management` is not enabled: \
         rabbitmq-plugins enable rabbitmq_federation_management (FED0609)",
        3,
    );
}

fn a_link_over_a_limit_is_named_by_every_format() {
    let behind = |status: &mut Status| {
        for link in &mut status.links {
            (link.waiting, link.lag_seconds) = (Some(1001), Some(61));
        }
        status.links[1] = LinkStatus { waiting: Some(2000), lag_seconds: None, ..status.links[1].clone() };
    };
    check(
        behind,
        "FEDCTL CRITICAL - 4 of 4 links running; link asia → europe (fed.work): 2000 messages queued for it, more than \
         1000 (FED0330); link asia → europe (orders.events): 1001 messages queued for it, more than 1000 (FED0330); and 5 \
         more problems",
        2,
    );
    let mut status = healthy();
    behind(&mut status);
    let link = status.links[0].clone();
    for number in 0..9 {
        let mut link = link.clone();
        link.link.resource = Resource::Queue(format!("fed.{number}"));
        status.links.push(link);
    }
    Limits { backlog: Some(1000), lag: Some(60) }.apply(&mut status);
    let table = fedctl::output::status::render(&status, Extent::Problems);
    let table = anstream::adapter::strip_str(&table).to_string();
    assert_eq!(table.matches("more than 1000 (FED0330)\n").count(), 5, "{table}");
    assert!(table.contains("! and 8 more links (FED0330)\n"), "{table}");
    assert!(table.contains("no fewer, longer than 60 s (FED0331)\n"), "{table}");
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 13 + 12);
    assert_eq!(json["warnings"][0]["place"]["resource"], json!({"type": "queue", "name": "fed.work"}));
    assert_eq!(samples(&metrics(status), "fedctl_link_over_limit").len(), 13 + 12);
}

fn a_limit_that_is_reached_is_not_exceeded_and_what_is_unknown_exceeds_none() {
    let fine = |status: &mut Status| {
        (status.links[0].waiting, status.links[0].lag_seconds) = (Some(1000), Some(60));
        (status.links[1].waiting, status.links[1].lag_seconds) = (Some(900), None);
        (status.links[2].waiting, status.links[2].lag_seconds) = (None, None);
    };
    check(fine, "FEDCTL OK - 4 of 4 links running", 0);
}

fn a_plugin_of_a_monitor_ends_with_its_exit_codes() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let run = |directory: &Path, arguments: &[&str]| {
        let output = fedctl(directory, arguments).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, line) = run(directory.path(), &["status", "-o", "nagios", "--host", &host]);
    assert!(code == 2 && line.starts_with("FEDCTL CRITICAL - no links are known: "), "{code} {line}");
    assert!(line.contains(" | links_running=U;;;0;U links_unknown=U;;;0;U brokers_up=0;;;0;2 "), "{line}");
    let same = run(directory.path(), &["status", "--format", "nagios", "--host", &host]);
    assert_eq!(same, (code, line), "`--format` is `--output`");
    let limits = ["status", "-o", "nagios", "--max-backlog", "1000", "--max-lag", "90s", "--host", &host];
    let (_, line) = run(directory.path(), &limits);
    assert!(line.ends_with(" backlog_max=U;;1000;0 lag_max=U;;90;0\n"), "{line}");
    let nowhere = ["status", "-o", "nagios", "--host", "unix:///nonexistent.sock"];
    let (code, line) = run(directory.path(), &nowhere);
    assert!(
        code == 3 && line.starts_with("FEDCTL UNKNOWN - cannot connect to `unix:///nonexistent.sock`"),
        "{line}"
    );
    let invalid = project("name: Shop\n");
    let (code, line) = run(invalid.path(), &["status", "-o", "nagios"]);
    assert!(code == 3 && line.starts_with("FEDCTL UNKNOWN - `regions.yaml` has "), "{line}");
    for form in ["nagios", "prom"] {
        assert_eq!(run(directory.path(), &["status", "--watch", "-o", form]), (64, String::new()), "{form}");
    }
}

fn metrics_are_printed_too_and_the_exit_code_is_that_of_a_status() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let output = fedctl(directory.path(), &["status", "-o", "prom", "--host", &host]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let text = text(&output.stdout);
    assert_eq!(samples(&text, "fedctl_up"), ["fedctl_up 1"]);
    assert_eq!(samples(&text, "fedctl_topology_info"), [r#"fedctl_topology_info{project="shop"} 1"#]);
    assert_eq!(samples(&text, "fedctl_broker_up").len(), 2);
}

/// An exporter of this directory, and its address.
fn exporter(directory: &Path, host: &str) -> (Running, String) {
    let command = fedctl(directory, &["exporter", "--listen", "127.0.0.1:0", "--host", host]);
    let mut exporter = Running::of(command);
    let listening = exporter.until_it_says("listening on ");
    (exporter, listening.split(',').next().unwrap().to_owned())
}

fn an_exporter_looks_at_every_scrape_and_reads_the_topology_anew() {
    let host = engine_with(r#"{"ApiVersion":"1.41"}"#.into(), |look| match look {
        0 => "[]",
        1 => "no engine",
        _ => r#"[{"Names":["/shop_asia_broker"],"State":"paused","Status":"Up 1 second (Paused)"}]"#,
    });
    let directory = project(TWO);
    let (mut exporter, address) = exporter(directory.path(), &host);
    let [status, headers, text] = http::get(&address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
    assert_eq!(samples(&text, "fedctl_up"), ["fedctl_up 1"]);
    assert_eq!(samples(&text, "fedctl_broker_up").len(), 2);
    let [_, _, text] = http::get(&address, "/metrics");
    assert_eq!(samples(&text, "fedctl_up"), ["fedctl_up 0"], "{text}");
    assert_eq!(samples(&text, "fedctl_broker_up").len(), 0);
    exporter.until_it_says("no metrics of regions and links: ");

    let three = TWO.replace("name: asia]", "name: asia, name: america]");
    fs::write(directory.path().join("regions.yaml"), three).unwrap();
    let [_, _, text] = http::get(&address, "/metrics");
    exporter.until_it_says("metrics of regions and links again");
    assert_eq!(samples(&text, "fedctl_broker_up").len(), 3, "{text}");
    fs::write(directory.path().join("regions.yaml"), "name: Shop\n").unwrap();
    let [_, _, text] = http::get(&address, "/metrics");
    assert_eq!(samples(&text, "fedctl_up"), ["fedctl_up 0"], "{text}");
    exporter.until_it_says("no metrics of regions and links: `regions.yaml` has ");

    assert_eq!(http::get(&address, "/healthz")[0], "HTTP/1.1 200 OK");
    assert_eq!(http::get(&address, "/")[0], "HTTP/1.1 404 Not Found");
    exporter.signal("INT");
    exporter.end().exits(130);
}

fn an_exporter_ends_cleanly_and_needs_a_valid_topology_and_a_free_port() {
    let directory = project(TWO);
    let (mut running, address) = exporter(directory.path(), &empty_engine("1.41"));
    let taken = fedctl(directory.path(), &["exporter", "--listen", &address]).output().unwrap();
    let error = format!(
        "exit 1\n--- stdout\n--- stderr\nerror: cannot listen on `{address}`: Address already in use"
    );
    assert!(shown(&taken).starts_with(&error), "{}", shown(&taken));
    running.signal("TERM");
    running.end().exits(143).within(Duration::from_secs(5));
    let invalid = project("name: Shop\n");
    let output = fedctl(invalid.path(), &["exporter"]).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "{}", shown(&output));
}

fn verdicts_are_ordered_and_have_the_codes_of_nagios() {
    let verdicts = [Verdict::Ok, Verdict::Warning, Verdict::Unknown, Verdict::Critical];
    assert!(verdicts.is_sorted());
    assert_eq!(verdicts.map(|verdict| Outcome::Checked(verdict).code()), [0, 1, 3, 2]);
}

pub fn cases() -> Vec<Trial> {
    cases! {
        every_link_is_in_one_state_and_what_is_unknown_has_no_sample,
        where_no_link_is_known_none_is_expected_and_none_runs,
        a_look_that_failed_has_no_sample_but_that,
        names_that_need_it_are_escaped,
        prometheus_accepts_the_metrics,
        prometheus_accepts_the_alerts_and_what_the_dashboard_asks,
        each_alert_fires_for_its_cause_and_none_without,
        alerts_and_dashboard_name_only_metrics_that_are_exported,
        every_alert_says_what_it_means_and_what_to_do,
        the_dashboard_can_be_imported_anywhere,
        a_monitor_gets_one_line_with_the_verdict_the_cause_and_the_numbers,
        what_does_not_work_is_critical_and_what_only_may_not_is_a_warning,
        what_cannot_be_asked_is_unknown,
        a_link_over_a_limit_is_named_by_every_format,
        a_limit_that_is_reached_is_not_exceeded_and_what_is_unknown_exceeds_none,
        a_plugin_of_a_monitor_ends_with_its_exit_codes,
        metrics_are_printed_too_and_the_exit_code_is_that_of_a_status,
        an_exporter_looks_at_every_scrape_and_reads_the_topology_anew,
        an_exporter_ends_cleanly_and_needs_a_valid_topology_and_a_free_port,
        verdicts_are_ordered_and_have_the_codes_of_nagios,
    }
}
