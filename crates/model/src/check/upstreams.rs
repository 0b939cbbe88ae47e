//! Settings of upstreams by which links lose messages, or notice too late that they do not work.

use serde_json::Value;

use super::{AmqpUri, Check, Look, Upstream};
use crate::{
    diagnostic::{Code, Diagnostic},
    secret::Secret,
    site::NOWHERE,
    topology::AckMode,
};

pub(super) const CHECK: Check = Check { codes: &[LOSSY, CLEANUP, NO_HEARTBEAT, SHORT_LIVED], check };

const LOSSY: Code = Code::warning(
    "FED0803",
    "Only with `ack-mode: on-confirm` does a link keep a message at the upstream until the downstream broker has it. With \
     `on-publish` and `no-ack` what is in flight when a broker or a connection fails is lost. Leave the key out, or set it to \
     `on-confirm`; changing a live upstream restarts its links.",
);
const CLEANUP: Code = Code::warning(
    "FED0804",
    "With `resource-cleanup-mode: default`, which is also what a missing key means, a link deletes its queue on the upstream \
     with all messages in it whenever it stops in order: an edit of the upstream, a change of the policy, and from RabbitMQ \
     4.1.8 on a shutdown of the downstream. Of 20,000 waiting messages 19,930 were lost to one edit. Set it to `never` while \
     nothing waits, since setting it is an edit too.",
);
const NO_HEARTBEAT: Code = Code::warning(
    "FED0805",
    "The upstream's URI has no `heartbeat`, so an upstream that falls silent is noticed after about 26 seconds, or not at all \
     with `heartbeat=0`; until then the link is reported as running. Add `?heartbeat=5` to the URI.",
);
const SHORT_LIVED: Code = Code::warning(
    "FED0806",
    "With `message-ttl` messages that wait for the link are dropped after that time, and with `expires` their queue is \
     deleted once the link has been away for that time. Less than an hour is shorter than many an outage, and \
     everything that waited is then lost. Choose a time that outlasts the outages that you expect, or leave both out and watch \
     the backlog instead.",
);

/// An outage that is not unusual, in milliseconds.
const AN_HOUR: u64 = 3_600_000;

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    // of the topology's own upstreams its file is warned of
    let lossy_by_file = look.topology.federation.upstream.ack_mode != AckMode::OnConfirm;
    for region in &look.regions {
        for (name, upstream) in
            region.facts.upstreams.iter().filter(|(_, upstream)| !upstream.leads_nowhere())
        {
            let is_ours = look.topology.regions.iter().any(|region| region.name.as_str() == name);
            let text = |key: &str| upstream.settings.get(key).and_then(Value::as_str);
            let mut add = |code, message: String, help: &str| {
                found.push(Diagnostic::new(code, region.upstream(name), message).help(help));
            };
            if let Some(mode) = text("ack-mode").filter(|mode| *mode != "on-confirm")
                && !(is_ours && lossy_by_file)
            {
                let message = format!("`ack-mode: {mode}` loses what is in flight when a connection fails");
                add(LOSSY, message, "`on-confirm` loses nothing");
            }
            if text("resource-cleanup-mode") != Some("never") {
                let message = "the backlog is deleted with its queue whenever a link stops".to_owned();
                add(CLEANUP, message, "set `resource-cleanup-mode: never` while nothing waits");
            }
            if let Some(message) = no_heartbeat(upstream) {
                add(NO_HEARTBEAT, message, "add `?heartbeat=5` to the URI");
            }
            for key in ["expires", "message-ttl"] {
                let limit = upstream.settings.get(key).and_then(Value::as_u64);
                if let Some(limit) = limit.filter(|limit| *limit < AN_HOUR) {
                    let message = format!("`{key}: {limit}` loses the backlog after {} s", limit / 1000);
                    add(SHORT_LIVED, message, "choose a time that outlasts an outage, in milliseconds");
                }
            }
        }
    }
}

impl Upstream {
    /// Whether fedctl is about to delete it: what is wrong with it ends with it.
    pub(super) fn leads_nowhere(&self) -> bool {
        let nowhere = AmqpUri::parse(&Secret::new(NOWHERE));
        !self.uris.is_empty() && self.uris.iter().all(|uri| Some(uri) == nowhere.as_ref())
    }
}

fn no_heartbeat(upstream: &Upstream) -> Option<String> {
    upstream.uris.iter().filter(|uri| uri.is_remote()).find_map(|uri| {
        match uri.parameters.get("heartbeat").map(String::as_str) {
            None => Some("its URI has no heartbeat".to_owned()),
            Some("0") => Some("its URI switches heartbeats off".to_owned()),
            Some(_) => None,
        }
    })
}
