//! The wire contract of commands to hosts: names and message bodies, nothing else.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Settings;
use crate::contract::{Fields, Invalid};
use fedctl_messaging::{Binding, Declarations, Exchange, ExchangeKind, Message};

/// The direct exchange of commands; not federated, its queues are. The key is the command.
pub const COMPUTING: &str = "computing";
/// The queue from which any one host takes a machine to create; federated.
pub const COMPETING: &str = "computing-competing";
/// The header that lists who has declined to create a machine: `<region>/<instance>`, comma separated, each with
/// `=image` or `=capacity` for the reason.
pub const DECLINED_HEADER: &str = "x-declined";
/// The header that names the command of a message sent straight to one host's own queue, where the key cannot.
pub const COMMAND_HEADER: &str = "x-command";

const HOSTS: &str = "COMPUTE_HOSTS";

/// The queue of the answers to commands from `region`; federated. It is what `reply_to` names.
#[must_use]
pub fn replies(region: &str) -> String {
    format!("computing-replies.{region}")
}

/// A host: `<region>/<instance>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    region: String,
    instance: String,
}

impl Host {
    /// The host that is this instance of this region.
    ///
    /// # Errors
    /// When either is not made of letters, digits, `-` and `_`.
    pub fn new(region: &str, instance: &str) -> anyhow::Result<Self> {
        let plain = |name: &str| {
            let sign = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !name.is_empty() && name.chars().all(sign)
        };
        if !plain(region) || !plain(instance) {
            bail!("`{region}/{instance}` is not `<region>/<instance>` of letters, digits, `-` and `_`");
        }
        Ok(Self { region: region.to_owned(), instance: instance.to_owned() })
    }

    /// Its own queue; federated.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("computing-host.{}.{}", self.region, self.instance)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.instance)
    }
}

impl FromStr for Host {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (region, instance) =
            text.split_once('/').ok_or_else(|| anyhow!("`{text}` is not `<region>/<instance>`"))?;
        Self::new(region, instance)
    }
}

/// The known hosts, as `COMPUTE_HOSTS` lists them; none where it is not set.
///
/// # Errors
/// The first entry that is wrong: not `<region>/<instance>`, of an unknown region, or listed twice.
pub fn known_hosts(settings: &Settings) -> anyhow::Result<Vec<Host>> {
    let list = settings.option(HOSTS).unwrap_or_default();
    let mut hosts: Vec<Host> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let host: Host = entry.parse().with_context(|| format!("`{HOSTS}` is `{list}`"))?;
        if !settings.regions.contains(&host.region) {
            bail!("`{HOSTS}` lists `{host}`, whose region is not among `REGIONS`");
        }
        if hosts.contains(&host) {
            bail!("`{HOSTS}` lists `{host}` twice");
        }
        hosts.push(host);
    }
    Ok(hosts)
}

/// The known hosts from the view of one of them: it must be known itself, or nobody would send it a command.
/// Where none is known, it knows itself.
///
/// # Errors
/// As [`known_hosts`], and when others are listed and `own` is not.
pub fn known_to(own: &Host, settings: &Settings) -> anyhow::Result<Vec<Host>> {
    let mut hosts = known_hosts(settings)?;
    if hosts.is_empty() {
        hosts.push(own.clone());
    }
    if !hosts.contains(own) {
        bail!("`{HOSTS}` does not list this host, `{own}` (`REGION` and `INSTANCE`)");
    }
    Ok(hosts)
}

/// The exchange and the federated queues of the contract. Every service declares all of them, so that the order
/// of starts does not matter and a command can wait, in any region, for any host.
#[must_use]
pub fn declarations(regions: &[String], hosts: &[Host]) -> Declarations {
    let bind = |queue: &str, verb: Verb| Binding {
        queue: queue.to_owned(),
        exchange: COMPUTING.to_owned(),
        key: verb.name().to_owned(),
    };
    let own: Vec<String> = hosts.iter().map(Host::queue).collect();
    let to_all = own.iter().flat_map(|queue| Verb::TO_ALL.map(|verb| bind(queue, verb)));
    Declarations {
        exchanges: vec![Exchange { name: COMPUTING.to_owned(), kind: ExchangeKind::Direct }],
        bindings: std::iter::once(bind(COMPETING, Verb::Create)).chain(to_all).collect(),
        queues: std::iter::once(COMPETING.to_owned())
            .chain(own.iter().cloned())
            .chain(regions.iter().map(|region| replies(region)))
            .collect(),
    }
}

/// What a host can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Create a machine, on any one host.
    Create,
    /// Start a machine.
    Start,
    /// Stop a machine.
    Stop,
    /// Delete a machine.
    Delete,
    /// Tell the machines.
    List,
}

impl Verb {
    /// What every host is told.
    pub const TO_ALL: [Self; 4] = [Self::Start, Self::Stop, Self::Delete, Self::List];

    /// The command, which is also its key on [`COMPUTING`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create-vm",
            Self::Start => "start-vm",
            Self::Stop => "stop-vm",
            Self::Delete => "delete-vm",
            Self::List => "list-vms",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Create].into_iter().chain(Self::TO_ALL).find(|verb| verb.name() == name)
    }
}

/// A machine to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub image: String,
    /// How many processors it takes, from 1.
    pub cpus: i64,
}

impl Wanted {
    /// Reads a machine to create.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let cpus = |value: &Value| value.as_i64().filter(|cpus| *cpus > 0);
        let wanted = Self {
            name: text(&mut fields, "name"),
            image: text(&mut fields, "image"),
            cpus: fields.field("cpus", "Not a positive integer.", cpus),
        };
        fields.finish(wanted)
    }
}

fn text(fields: &mut Fields<'_>, name: &str) -> String {
    fields.field(name, "Not a valid string.", |value| {
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    })
}

/// A command to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create this machine, or let another host.
    Create(Wanted),
    /// Start, stop or delete the machine of this name.
    Change(Verb, String),
    /// Tell the machines.
    List,
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// Why it is none: unknown, not JSON, or with a field that is wrong.
    pub fn read(message: &Message) -> Result<Self, String> {
        let name = message
            .text_header(COMMAND_HEADER)
            .unwrap_or_else(|| message.original_routing_key().into_owned());
        let verb = Verb::from_name(&name).ok_or_else(|| format!("unknown command `{name}`"))?;
        let body: Value =
            serde_json::from_slice(&message.body).map_err(|error| format!("not valid JSON: {error}"))?;
        let read = || match verb {
            Verb::Create => Ok(Self::Create(Wanted::read(&body)?)),
            Verb::List => Ok(Self::List),
            Verb::Start | Verb::Stop | Verb::Delete => {
                let mut fields = Fields::of(&body)?;
                let name = text(&mut fields, "name");
                fields.finish(Self::Change(verb, name))
            }
        };
        read().map_err(|invalid: Invalid| invalid.to_string())
    }

    /// What is to be done.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Change(verb, _) => *verb,
            Self::List => Verb::List,
        }
    }

    /// The machine it is about.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        match self {
            Self::Create(wanted) => Some(&wanted.name),
            Self::Change(_, name) => Some(name),
            Self::List => None,
        }
    }
}

/// A host's answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Who answers.
    pub host: Host,
    /// What came of it, or why it was not done.
    pub result: Result<Map<String, Value>, String>,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(json: &Value) -> Result<Self, String> {
        let text = |pointer| json.pointer(pointer).and_then(Value::as_str);
        let host = text("/response/host").ok_or("no `response.host` in an answer")?;
        let host = host.parse().map_err(|error| format!("`response.host`: {error}"))?;
        let result = match text("/execution-info/status") {
            Some("success") => Ok(json["response"].as_object().cloned().unwrap_or_default()),
            Some("error") => Err(text("/execution-info/reason").unwrap_or_default().to_owned()),
            _ => return Err("`execution-info.status` is neither `success` nor `error` in an answer".into()),
        };
        Ok(Self { host, result })
    }

    /// The word for whether it was done.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.result.is_ok() { "success" } else { "error" }
    }

    /// The answer's body.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut info = json!({"status": self.status()});
        let mut response = json!({});
        match &self.result {
            Ok(result) => response = Value::Object(result.clone()),
            Err(reason) => info["reason"] = json!(reason),
        }
        response["host"] = json!(self.host.to_string());
        json!({"execution-info": info, "response": response})
    }
}

/// What a host has not got, so that it lets another one create a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lack {
    /// The machine's image.
    Image,
    /// Enough free processors.
    Capacity,
}

impl Lack {
    /// Its word in [`DECLINED_HEADER`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Capacity => "capacity",
        }
    }
}

/// Who has declined to create a machine, and why, as [`DECLINED_HEADER`] tells it from host to host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declined(Vec<(Host, Lack)>);

impl Declined {
    /// Reads the header's entries; what is no host is left out.
    #[must_use]
    pub fn read(entries: &[String]) -> Self {
        let entry = |entry: &String| {
            let (host, lack) = entry.trim().split_once('=').unwrap_or((entry.trim(), ""));
            // Without a reason, the host may well have the image: nothing is said about that.
            let lack = if lack == Lack::Image.name() { Lack::Image } else { Lack::Capacity };
            Some((host.parse().ok()?, lack))
        };
        Self(entries.iter().filter_map(entry).collect())
    }

    /// Adds a host, once.
    #[must_use]
    pub fn and(mut self, host: &Host, lack: Lack) -> Self {
        self.0.retain(|(declined, _)| declined != host);
        self.0.push((host.clone(), lack));
        self
    }

    /// Who is asked after `own`: the next one of `known`, around its end, that has not declined. Each is asked
    /// at most once, so this ends; and hosts that are short at the same time do not all ask the same one.
    #[must_use]
    pub fn next<'a>(&self, own: &Host, known: &'a [Host]) -> Option<&'a Host> {
        let place = known.iter().position(|host| host == own).map_or(0, |place| place + 1);
        let declined = |host: &Host| host == own || self.0.iter().any(|(declined, _)| declined == host);
        known[place..].iter().chain(&known[..place]).find(|host| !declined(host))
    }

    /// Why nobody creates `wanted`, when there is no next.
    #[must_use]
    pub fn verdict(&self, wanted: &Wanted) -> String {
        if self.0.iter().all(|(_, lack)| *lack == Lack::Image) {
            format!("no host has image `{}`", wanted.image)
        } else {
            format!("no host has capacity for {} cpus with image `{}`", wanted.cpus, wanted.image)
        }
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> =
            self.0.iter().map(|(host, lack)| format!("{host}={}", lack.name())).collect();
        f.write_str(&entries.join(","))
    }
}

#[cfg(test)]
mod tests;
