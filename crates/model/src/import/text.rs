//! A topology as a file that people go on with.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Source;
use crate::topology::{ExternalBroker, Federation, LinkUser, Shape, Topology, UpstreamSettings};

/// The file, with what is not a default.
pub(super) fn render(topology: &Topology, sources: &[Source]) -> String {
    let mut text = "# yaml-language-server: $schema=regions.schema.json\n\
         #\n\
         # Made from what the brokers hold, by `fedctl import`. What is on them is not the topology's yet:\n\
         #\n\
         #   fedctl plan --adopt      what taking it over would change; nothing is changed\n\
         #   fedctl up --adopt        takes it over\n"
        .to_owned();
    if sources.iter().any(|source| source.from_file) {
        text +=
            "#\n# The definitions do not say how the brokers are reached: look at every `broker` first.\n";
    }
    let Topology { name, master, .. } = topology;
    write!(text, "name: {}\nmaster: {master}\nregions:\n", quoted(name)).ok();
    for region in &topology.regions {
        writeln!(text, "  - name: {}", region.name).ok();
        if let Some(known) = &region.broker {
            broker(&mut text, known);
        }
    }
    federation(&mut text, &topology.federation);
    text
}

fn broker(text: &mut String, broker: &ExternalBroker) {
    text.push_str("    broker:\n");
    let mut line = |indent: usize, key: &str, value: Option<&String>| {
        if let Some(value) = value {
            writeln!(text, "{:indent$}{key}: {}", "", quoted(value)).ok();
        }
    };
    let ExternalBroker { management, amqp, advertise, vhost, cluster_name, user, .. } = broker;
    line(6, "management", Some(management));
    line(6, "amqp", Some(amqp));
    line(6, "advertise", advertise.as_ref());
    line(6, "vhost", Some(vhost));
    line(6, "cluster-name", cluster_name.as_ref());
    line(6, "user", Some(user));
    line(6, "password", broker.password.as_ref());
    line(6, "password-file", broker.password_file.as_ref());
    line(6, "ca-file", broker.ca_file.as_ref());
    if let Some(LinkUser { name, password, password_file }) = &broker.link_user {
        text.push_str("      link-user:\n");
        let mut line = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                writeln!(text, "        {key}: {}", quoted(value)).ok();
            }
        };
        line("name", Some(name));
        line("password", password.as_ref());
        line("password-file", password_file.as_ref());
    }
}

fn federation(text: &mut String, federation: &Federation) {
    let Federation { shape, hub, one_way, pairs, allow_duplicates, upstream, policies } = federation;
    write!(text, "federation:\n  shape: {}\n", shape.as_str()).ok();
    if let Some(hub) = hub.as_ref().filter(|_| *shape == Shape::HubAndSpoke) {
        writeln!(text, "  hub: {hub}").ok();
    }
    if *one_way {
        text.push_str("  one-way: true\n");
    }
    if !pairs.is_empty() {
        text.push_str("  pairs:\n");
    }
    for pair in pairs {
        writeln!(text, "    - {{upstream: {}, downstream: {}}}", pair.upstream, pair.downstream).ok();
    }
    if *allow_duplicates {
        text.push_str("  # messages reach some regions by several paths, and so more than once\n");
        text.push_str("  allow-duplicates: true\n");
    }
    let settings = given(upstream);
    if !settings.is_empty() {
        text.push_str("  upstream:\n");
    }
    for (key, value) in &settings {
        if key == "resource-cleanup-mode" {
            text.push_str(
                "    # links delete their queues when they restart, with what waits in them: leave it out when none wait,\n",
            );
            text.push_str("    # and `fedctl up` changes that\n");
        }
        writeln!(text, "    {key}: {}", scalar(value)).ok();
    }
    text.push_str("  policies:\n");
    for policy in policies {
        writeln!(text, "    - name: {}", quoted(&policy.name)).ok();
        writeln!(text, "      pattern: {}", quoted(&policy.pattern)).ok();
        writeln!(text, "      apply-to: {}", policy.apply_to.as_str()).ok();
        if policy.priority != 0 {
            writeln!(text, "      priority: {}", policy.priority).ok();
        }
        if !policy.definition.is_empty() {
            text.push_str("      definition:\n");
        }
        for (key, value) in &policy.definition {
            writeln!(text, "        {}: {}", quoted(key), scalar(value)).ok();
        }
    }
}

/// The settings that are not those of a new topology.
fn given(settings: &UpstreamSettings) -> Map<String, Value> {
    let all = |settings: &UpstreamSettings| match serde_json::to_value(settings) {
        Ok(Value::Object(all)) => all,
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            Map::new()
        }
    };
    let usual = all(&UpstreamSettings::default());
    all(settings)
        .into_iter()
        .filter(|(key, value)| !value.is_null() && usual.get(key) != Some(value))
        .collect()
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), quoted)
}

/// Text as YAML has it: as it is where it cannot be anything else, or in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:".contains(character);
    let begins = text.chars().next().is_some_and(|first| first.is_ascii_alphabetic());
    let is_word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_word = is_word.iter().any(|word| text.eq_ignore_ascii_case(word));
    if begins && text.chars().all(is_plain) && !text.ends_with(':') && !is_word {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        Value::String(text.to_owned()).to_string()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
