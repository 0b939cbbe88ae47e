//! `compose.yaml`, in what both docker-compose 1.29 and Docker's own `compose` understand.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Parts, SECRETS};
use crate::desired::{Attachment, Container, Desired, LOG_LIMITS, NETWORK_OPTION, PIDS_LIMIT, TMPFS};
use crate::site::{ADMINISTRATOR, LOOPBACK};

pub(super) fn compose(desired: &Desired, containers: &[Parts]) -> String {
    let mut text = head(desired);
    text.push_str("\nx-hardened: &hardened\n");
    block(&hardened(), 2, &mut text);
    text.push_str("\nservices:\n");
    for parts in containers {
        writeln!(text, "  {}:\n    <<: *hardened", desired.short(&parts.container.name)).ok();
        for (key, value) in service(desired, parts) {
            block(&json!({ key: value }), 4, &mut text);
        }
    }
    let (option, value) = NETWORK_OPTION;
    let network = json!({"driver": "bridge", "driver_opts": {option: value}});
    let networks = desired.networks.iter().map(|found| (desired.short(&found.name), network.clone()));
    let volumes = desired.volumes.iter().map(|found| (desired.short(&found.name), json!({})));
    let [networks, volumes]: [Map<_, _>; 2] = [networks.collect(), volumes.collect()];
    for (kind, objects) in [("networks", networks), ("volumes", volumes)] {
        text.push('\n');
        block(&json!({ kind: objects }), 0, &mut text);
    }
    text
}

impl Desired {
    /// A name without the project's, which Compose puts before every name itself.
    fn short(&self, name: &str) -> String {
        name.strip_prefix(&format!("{}_", self.project)).unwrap_or(name).to_owned()
    }
}

fn head(desired: &Desired) -> String {
    let mut text = format!(
        "# The topology `{}` for Docker Compose. Made by `fedctl export compose`: change regions.yaml and run\n\
         # that again rather than change this.\n\
         #\n\
         #   sh secrets.sh            makes passwords, in {SECRETS}; again, it changes nothing\n\
         #   docker-compose up -d     or `docker compose up -d`\n\
         #   docker-compose ps        shows the ports, which are published to this host only\n\
         #   docker-compose down      keeps the data; `down -v` does not\n\
         #\n\
         # Each broker's management UI knows the user `{ADMINISTRATOR}`, by the password in\n\
         # {SECRETS}/passwords/REGION/{ADMINISTRATOR}.\n",
        desired.project
    );
    let image = &desired.service_image;
    if desired.containers.iter().any(|container| container.image == *image) {
        writeln!(
            text,
            "#\n# The image of fedctl's own services comes out of fedctl, once:\n\
             #\n#   fedctl export service-image | docker import - {image}"
        )
        .ok();
    }
    for other in desired.containers.iter().filter(|container| container.init) {
        writeln!(
            text,
            "#\n# `{}` is of an image of its own, whose user may read {} but write only what that image\n\
             # lets it write there.",
            desired.short(&other.name),
            other.volume.path
        )
        .ok();
    }
    text
}

fn hardened() -> Value {
    let (path, options) = TMPFS;
    json!({
        "read_only": true,
        "tmpfs": [format!("{path}:{options}")],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": PIDS_LIMIT,
        "logging": {"driver": "json-file", "options": Map::from_iter(LOG_LIMITS.map(entry))},
        "restart": "unless-stopped",
    })
}

fn entry((key, value): (&str, &str)) -> (String, Value) {
    (key.to_owned(), value.into())
}

/// In the order in which a person looks for them.
fn service(desired: &Desired, parts: &Parts) -> Vec<(&'static str, Value)> {
    let container = parts.container;
    let memory = format!("{}m", container.memory);
    let command = (!container.command.is_empty()).then(|| ("command", json!(container.command)));
    let env_file = parts.env_file.as_ref().map(|path| ("env_file", json!([path])));
    let open_files =
        container.open_files.map(|limit| ("ulimits", json!({"nofile": {"soft": limit, "hard": limit}})));
    [
        Some(("image", json!(container.image))),
        command,
        Some(("user", json!(container.user))),
        Some(("hostname", json!(container.hostname))),
        Some(("environment", json!(parts.environment))),
        env_file,
        Some(("volumes", json!(volumes(desired, parts)))),
        Some(("networks", json!(networks(desired, container)))),
        Some(("ports", json!(ports(container)))),
        Some(("mem_limit", json!(memory))),
        Some(("memswap_limit", json!(memory))),
        open_files,
        Some(("init", json!(container.init))),
        Some(("stop_grace_period", json!(format!("{}s", container.stop_timeout)))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// In the long form a missing file is an error; in the short one the engine makes a directory of its name.
fn volumes(desired: &Desired, parts: &Parts) -> Vec<Value> {
    let volume = &parts.container.volume;
    let named = json!({"type": "volume", "source": desired.short(&volume.volume), "target": volume.path});
    let file = |(source, target): &(String, String)| json!({"type": "bind", "source": format!("./{source}"), "target": target, "read_only": true});
    [named].into_iter().chain(parts.mounts.iter().map(file)).collect()
}

fn networks(desired: &Desired, container: &Container) -> Map<String, Value> {
    let attachment = |to: &Attachment| (desired.short(&to.network), json!({"aliases": [to.alias]}));
    [&container.network].into_iter().chain(&container.wan).map(attachment).collect()
}

fn ports(container: &Container) -> Vec<String> {
    let port = |port: &crate::topology::Port| {
        let host = port.host.map_or_else(String::new, |host| host.to_string());
        format!("{LOOPBACK}:{host}:{}", port.container)
    };
    container.ports.iter().map(port).collect()
}

/// Writes a value as YAML in block style; what has no entries is written as JSON, which is YAML too.
fn block(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let mut inner = String::new();
                block(value, indent + 2, &mut inner);
                let gap = if has_entries(value) { "\n" } else { " " };
                let inner = if has_entries(value) { inner.as_str() } else { inner.trim_start() };
                write!(text, "{pad}{key}:{gap}{inner}").ok();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(item, indent + 2, &mut inner);
                write!(text, "{pad}- {}", inner.trim_start()).ok();
            }
        }
        // Compose takes `$` for the start of a variable unless it is doubled
        scalar => {
            writeln!(text, "{pad}{}", scalar.to_string().replace('$', "$$")).ok();
        }
    }
}

fn has_entries(value: &Value) -> bool {
    value.as_object().is_some_and(|entries| !entries.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_block_style_with_dollars_doubled() {
        let value = json!({"a": {"b": ["x: #", "$HOME"], "c": {}}, "d": [{"e": 1, "f": true}]});
        let mut text = String::new();
        block(&value, 0, &mut text);
        let wanted = "a:\n  b:\n    - \"x: #\"\n    - \"$$HOME\"\n  c: {}\nd:\n  - e: 1\n    f: true\n";
        assert_eq!(text, wanted);
    }
}
