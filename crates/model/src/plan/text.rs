//! A plan as text and as data.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Cause, Change, Operation, Plan, Planned, Step, blocked::BlockedForm};
use crate::{counted::counted, topology::RegionName};

/// The version of a plan's serialised form. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// What a step does to its subject, as a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It makes something.
    Add,
    /// It changes something.
    Change,
    /// It removes something.
    Remove,
    /// It waits.
    Wait,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sign::Add => "+",
            Sign::Change => "~",
            Sign::Remove => "-",
            Sign::Wait => ".",
        })
    }
}

/// A step as text. Each operation and change is described here, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it works on; steps on one subject are shown together.
    pub subject: String,
    /// What it does, in few words.
    pub action: String,
    /// The state once it is done, in few words.
    pub result: String,
    /// The step's sign; if there is none, the cause decides whether it adds or changes.
    sign: Option<Sign>,
    /// What it endangers or exposes; where the cause decides, only a change does.
    risk: Option<&'static str>,
}

impl Description {
    fn new(subject: String, action: impl Into<String>, result: impl Into<String>) -> Self {
        Self { subject, action: action.into(), result: result.into(), sign: None, risk: None }
    }

    fn sign(self, sign: Sign) -> Self {
        Self { sign: Some(sign), ..self }
    }

    fn risk(self, risk: &'static str) -> Self {
        Self { risk: Some(risk), ..self }
    }
}

impl Step {
    /// The step as text.
    #[must_use]
    pub fn describe(&self) -> Description {
        match self {
            Step::Engine(operation) => operation.describe(),
            Step::Broker { region, change } => change.describe(region),
        }
    }
}

impl Operation {
    fn describe(&self) -> Description {
        let image = |reference: &String, action, result| {
            Description::new(format!("image {reference}"), action, result)
        };
        let network = |name: &String, action: &str, result: &str| {
            Description::new(format!("network {name}"), action, result)
        };
        let volume =
            |name: &String, action, result| Description::new(format!("volume {name}"), action, result);
        let container = |name: &String, action: &str, result: &str| {
            Description::new(format!("container {name}"), action, result)
        };
        match self {
            Self::ProvideImage { reference } => image(reference, "pull, or build", "present"),
            Self::ImportServiceImage { reference } => image(reference, "build from this executable", "built"),
            Self::RemoveImage { reference } => image(reference, "remove", "removed").sign(Sign::Remove),
            Self::CreateNetwork(created) => network(&created.name, "create", "created"),
            Self::RemoveNetwork { name } => network(name, "remove", "removed").sign(Sign::Remove),
            Self::CreateVolume(created) => volume(&created.name, "create", "created"),
            Self::RemoveVolume { name } => {
                volume(name, "remove", "removed").sign(Sign::Remove).risk("everything in it is lost")
            }
            Self::CreateContainer(created) if created.exposes_a_secret() => {
                container(&created.name, "create", "created")
                    .sign(Sign::Add)
                    .risk("anyone who can inspect the container can read the broker's password")
            }
            Self::CreateContainer(created) => container(&created.name, "create", "created"),
            Self::UploadFiles(written) => {
                let action = format!("write {}", counted(written.files.len(), "file"));
                container(&written.name, &action, "files written")
            }
            Self::StartContainer { name } => container(name, "start", "started"),
            Self::UnpauseContainer { name } => container(name, "unpause", "started").sign(Sign::Change),
            Self::StopContainer { name } => container(name, "stop", "stopped").sign(Sign::Remove),
            Self::RemoveContainer { name } => container(name, "remove", "removed").sign(Sign::Remove),
            Self::ConnectNetwork { container: name, attachment } => {
                let network = &attachment.network;
                container(name, &format!("connect to {network}"), &format!("connected to {network}"))
            }
            Self::EnablePlugins { container: name, plugins } => {
                let plugins = plugins.iter().map(|plugin| plugin.name()).collect::<Vec<_>>().join(", ");
                container(name, &format!("enable {plugins}"), &format!("{plugins} enabled"))
                    .sign(Sign::Change)
            }
            Self::AwaitService { container: name, .. } => {
                container(name, "wait until it is ready", "ready").sign(Sign::Wait)
            }
        }
    }
}

impl Change {
    fn describe(&self, region: &RegionName) -> Description {
        let broker = |action: String| Description::new(format!("broker {region}"), action.clone(), action);
        match self {
            Self::Await { .. } => Description::new(
                format!("broker {region}"),
                "wait until it accepts connections",
                "accepts connections",
            )
            .sign(Sign::Wait),
            Self::AwaitLinks { upstream } => {
                let upstream = upstream.as_ref().map_or_else(String::new, |upstream| format!("{upstream} → "));
                let subject = format!("links of {upstream}{region}");
                Description::new(subject, "wait until they run", "run").sign(Sign::Wait)
            }
            Self::EnableFeatureFlags => broker("enable all stable feature flags".into())
                .sign(Sign::Change)
                .risk("cannot be undone; a version that lacks one of them no longer starts on the broker's data"),
            Self::PutVhost { name } => broker(format!("virtual host {name}")),
            Self::PutClusterName { name } => broker(format!("cluster name {name}")).sign(Sign::Change),
            Self::PutUser { name, .. } => broker(format!("user {name}")),
            Self::PutPermissions { user, .. } => broker(format!("permissions of {user}")),
            Self::PutUpstream { name, .. } => broker(format!("upstream {name}"))
                .risk("restarts this upstream's links; queued messages are kept"),
            Self::PutPolicy { name, policy } => broker(format!("policy {name} on {}", policy.apply_to))
                .risk("restarts the links of what it matches; queued messages are kept"),
            Self::RecordOwnership { .. } => broker("record what the project owns".into()),
            Self::DeleteUser { name } => broker(format!("user {name}")).sign(Sign::Remove),
            Self::DeleteUpstream { name } => broker(format!("upstream {name}")).sign(Sign::Remove),
            Self::DeletePolicy { name } => broker(format!("policy {name}")).sign(Sign::Remove),
            Self::RestartLink { upstream, resource } => {
                broker(format!("restart link of {} from {upstream}", resource.name())).sign(Sign::Change)
            }
            Self::DeleteExchange { name } => broker(format!("exchange {name}")).sign(Sign::Remove),
            Self::DeleteEmptyQueue { name } => broker(format!("empty queue {name}")).sign(Sign::Remove),
            Self::DeleteQueue { name, messages } => {
                broker(format!("queue {name} with {}", counted(*messages, "message")))
                    .sign(Sign::Remove)
                    .risk("the messages in it are lost")
            }
        }
    }
}

impl Planned {
    /// What the step does to its subject.
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.step.describe().sign.unwrap_or_else(|| self.cause.sign())
    }

    /// What the step endangers or exposes, if anything.
    #[must_use]
    pub fn risk(&self) -> Option<&'static str> {
        let Description { sign, risk, .. } = self.step.describe();
        let risk = if self.loses_backlog {
            Some(
                "restarts this upstream's links, and their queues are deleted: what is published meanwhile is lost",
            )
        } else {
            risk
        };
        risk.filter(|_| sign.is_some() || self.cause.sign() == Sign::Change)
    }
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Description { subject, action, .. } = self.step.describe();
        let mut step = serializer.serialize_struct("Step", 6)?;
        step.serialize_field("sign", &self.sign().to_string())?;
        step.serialize_field("subject", &subject)?;
        step.serialize_field("action", &action)?;
        step.serialize_field("cause", &self.cause.to_string())?;
        step.serialize_field("risk", &self.risk())?;
        step.serialize_field("after", &self.after)?;
        step.end()
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("Plan", 4)?;
        plan.serialize_field("version", &FORMAT_VERSION)?;
        plan.serialize_field("provisional", &self.provisional)?;
        plan.serialize_field("steps", &self.steps)?;
        let blocked: Vec<BlockedForm<'_>> = self.blocked.iter().map(Into::into).collect();
        plan.serialize_field("blocked", &blocked)?;
        plan.end()
    }
}

impl Cause {
    /// Whether a step with this cause adds something or changes something that exists.
    fn sign(&self) -> Sign {
        match self {
            Cause::Differs(_)
            | Cause::Adopted(_)
            | Cause::Adopts(_)
            | Cause::PasswordDiffers
            | Cause::Stopped(_)
            | Cause::CredentialsNotPropagated
            | Cause::ChangeInterrupted
            | Cause::LinksPaused => Sign::Change,
            Cause::NotFound
            | Cause::Duplicate
            | Cause::NeverStarted
            | Cause::Paused
            | Cause::NotReady(_)
            | Cause::LockedOut
            | Cause::Unknown
            | Cause::ConfigChanged
            | Cause::ImageChanged
            | Cause::TakenOver
            | Cause::Replaced
            | Cause::BindingsNotPropagated
            | Cause::LinkNotStarted
            | Cause::Follows
            | Cause::NotInTopology
            | Cause::NotFederated
            | Cause::PluginDisabled
            | Cause::Requested => Sign::Add,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NotFound => f.write_str("not found"),
            Cause::Duplicate => f.write_str("duplicate name; keeping one"),
            Cause::NeverStarted => f.write_str("was never started"),
            Cause::Stopped(status) => write!(f, "not running: {status}"),
            Cause::Paused => f.write_str("paused"),
            Cause::NotReady(reason) => f.write_str(reason),
            Cause::LockedOut => f.write_str("rejects the fedctl admin user (restored on restart)"),
            Cause::LinkNotStarted => f.write_str("its links were not started"),
            Cause::CredentialsNotPropagated => f.write_str("links still use the old credentials"),
            Cause::ChangeInterrupted => f.write_str("an earlier change was interrupted"),
            Cause::BindingsNotPropagated => f.write_str("bindings not propagated upstream"),
            Cause::Unknown => f.write_str("unreachable; will be compared once it is up"),
            Cause::Differs(difference) => difference.fmt(f),
            Cause::Adopted(differing) => write!(f, "adopted: {differing}"),
            Cause::Adopts(names) => write!(f, "adopts {}", names.join(", ")),
            Cause::PasswordDiffers => f.write_str("password differs"),
            Cause::ConfigChanged => f.write_str("configuration changed"),
            Cause::ImageChanged => f.write_str("image changed"),
            Cause::TakenOver => f.write_str("taken over from another topology file"),
            Cause::Replaced => f.write_str("its network or volume is missing"),
            Cause::Follows => f.write_str("follows"),
            Cause::NotInTopology => f.write_str("not in the topology"),
            Cause::NotFederated => f.write_str("left from a link that is not in the topology"),
            Cause::PluginDisabled => f.write_str("not enabled"),
            Cause::LinksPaused => f.write_str("its links are paused"),
            Cause::Requested => f.write_str("requested"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.steps {
            let Description { subject, action, .. } = planned.step.describe();
            write!(f, "{} {subject}: {action}", planned.sign())?;
            if planned.cause != Cause::Follows {
                write!(f, " ({})", planned.cause)?;
            }
            if let Some(risk) = planned.risk() {
                write!(f, " [{risk}]")?;
            }
            writeln!(f)?;
        }
        for blocked in &self.blocked {
            writeln!(f, "! {blocked}; {}", blocked.help.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}
