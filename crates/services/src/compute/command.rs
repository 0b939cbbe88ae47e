//! Commands to hosts and their answers, as they travel.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fields::{Fields, Invalid};
use crate::settings::Settings;
use fedctl_contract::compute::{
    COMMAND_HEADER, COMMANDS, CREATE_QUEUE, CREATE_VM, DELETE_VM, LIST_VMS, START_VM, STOP_VM, host_queue,
    replies,
};
use fedctl_contract::environment::COMPUTE_HOSTS;
use fedctl_messaging::{Binding, Declarations, Exchange, ExchangeKind, Message};

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
        host_queue(&self.region, &self.instance)
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

/// The known hosts, as `COMPUTE_HOSTS` lists them; none if it is not set.
///
/// # Errors
/// The first entry that is wrong: not `<region>/<instance>`, of an unknown region, or listed twice.
pub fn known_hosts(settings: &Settings) -> anyhow::Result<Vec<Host>> {
    let list = settings.option(COMPUTE_HOSTS).unwrap_or_default();
    let mut hosts: Vec<Host> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let host: Host = entry.parse().with_context(|| format!("`{COMPUTE_HOSTS}` is `{list}`"))?;
        if !settings.regions.contains(&host.region) {
            bail!("`{COMPUTE_HOSTS}` lists `{host}`, whose region is not among `REGIONS`");
        }
        if hosts.contains(&host) {
            bail!("`{COMPUTE_HOSTS}` lists `{host}` twice");
        }
        hosts.push(host);
    }
    Ok(hosts)
}

/// The known hosts from the view of one of them: it must be known itself, or no command would reach it.
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
        bail!("`{COMPUTE_HOSTS}` does not list this host, `{own}` (`REGION` and `INSTANCE`)");
    }
    Ok(hosts)
}

/// The exchange and the federated queues of the contract. Every service declares all of them, so that the order
/// of starts does not matter and a command can wait, in any region, for any host.
#[must_use]
pub fn declarations(regions: &[String], hosts: &[Host]) -> Declarations {
    let bind = |queue: &str, verb: Verb| Binding {
        queue: queue.to_owned(),
        exchange: COMMANDS.to_owned(),
        key: verb.name().to_owned(),
    };
    let own: Vec<String> = hosts.iter().map(Host::queue).collect();
    let to_all = own.iter().flat_map(|queue| Verb::TO_ALL.map(|verb| bind(queue, verb)));
    Declarations {
        exchanges: vec![Exchange { name: COMMANDS.to_owned(), kind: ExchangeKind::Direct }],
        bindings: std::iter::once(bind(CREATE_QUEUE, Verb::Create)).chain(to_all).collect(),
        queues: std::iter::once(CREATE_QUEUE.to_owned())
            .chain(own.iter().cloned())
            .chain(regions.iter().map(|region| replies(region)))
            .collect(),
    }
}

/// A command to hosts.
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
    /// List the machines.
    List,
}

impl Verb {
    /// The commands to every host.
    pub const TO_ALL: [Self; 4] = [Self::Start, Self::Stop, Self::Delete, Self::List];

    /// The command, which is also its key on [`COMMANDS`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => CREATE_VM,
            Self::Start => START_VM,
            Self::Stop => STOP_VM,
            Self::Delete => DELETE_VM,
            Self::List => LIST_VMS,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Create].into_iter().chain(Self::TO_ALL).find(|verb| verb.name() == name)
    }
}

/// A machine to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VmSpec {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub image: String,
    /// How many processors it takes, from 1.
    pub cpus: i64,
}

impl VmSpec {
    /// Reads a machine to create.
    pub fn read(json: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(json)?;
        let cpus = |value: &Value| value.as_i64().filter(|cpus| *cpus > 0);
        let spec = Self {
            name: text(&mut fields, "name"),
            image: text(&mut fields, "image"),
            cpus: fields.field("cpus", "Not a positive integer.", cpus),
        };
        fields.finish(spec)
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
    Create(VmSpec),
    /// Start, stop or delete the machine of this name.
    Change(Verb, String),
    /// List the machines.
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
            Verb::Create => Ok(Self::Create(VmSpec::read(&body)?)),
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
            Self::Create(spec) => Some(&spec.name),
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
    /// Its result, or why it was not done.
    pub result: Result<Map<String, Value>, String>,
}

impl Answer {
    /// Reads an answer.
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

    /// Its status: whether it was done.
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

/// What a host lacks, so that it leaves a machine to another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shortage {
    /// The machine's image.
    Image,
    /// Enough free processors.
    Capacity,
}

impl Shortage {
    /// Its word in [`DECLINED_HEADER`](fedctl_contract::compute::DECLINED_HEADER).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Capacity => "capacity",
        }
    }
}

/// Who has declined to create a machine, and why, as [`DECLINED_HEADER`](fedctl_contract::compute::DECLINED_HEADER) lists it from host to host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declined(Vec<(Host, Shortage)>);

impl Declined {
    /// Reads the header's entries; entries that are not hosts are skipped.
    #[must_use]
    pub fn read(entries: &[String]) -> Self {
        let entry = |entry: &String| {
            let (host, shortage) = entry.trim().split_once('=').unwrap_or((entry.trim(), ""));
            // Without a reason, the host may well have the image: nothing is said about that.
            let shortage =
                if shortage == Shortage::Image.name() { Shortage::Image } else { Shortage::Capacity };
            Some((host.parse().ok()?, shortage))
        };
        Self(entries.iter().filter_map(entry).collect())
    }

    /// Adds a host, once.
    #[must_use]
    pub fn and(mut self, host: &Host, shortage: Shortage) -> Self {
        self.0.retain(|(declined, _)| declined != host);
        self.0.push((host.clone(), shortage));
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

    /// Why no host creates the machine, when there is no next.
    #[must_use]
    pub fn verdict(&self, spec: &VmSpec) -> String {
        if self.0.iter().all(|(_, shortage)| *shortage == Shortage::Image) {
            format!("no host has image `{}`", spec.image)
        } else {
            format!("no host has capacity for {} cpus with image `{}`", spec.cpus, spec.image)
        }
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> =
            self.0.iter().map(|(host, shortage)| format!("{host}={}", shortage.name())).collect();
        f.write_str(&entries.join(","))
    }
}

#[cfg(test)]
mod tests;
