//! A plan in words.

use std::fmt;

use super::{Cause, Plan, Planned, Step};

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

impl Step {
    /// What the step works on; steps on one subject are shown together.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Step::ProvideImage { reference }
            | Step::ImportServiceImage { reference }
            | Step::RemoveImage { reference } => format!("image {reference}"),
            Step::CreateNetwork(network) => format!("network {}", network.name),
            Step::RemoveNetwork { name } => format!("network {name}"),
            Step::CreateVolume(volume) => format!("volume {}", volume.name),
            Step::RemoveVolume { name } => format!("volume {name}"),
            Step::CreateContainer(container) | Step::UploadFiles(container) => {
                format!("container {}", container.name)
            }
            Step::StartContainer { name }
            | Step::UnpauseContainer { name }
            | Step::StopContainer { name }
            | Step::RemoveContainer { name }
            | Step::ConnectNetwork { container: name, .. }
            | Step::AwaitService { container: name } => format!("container {name}"),
            Step::AwaitBroker { region, .. }
            | Step::PutClusterName { region, .. }
            | Step::PutUser { region, .. }
            | Step::PutPermissions { region, .. }
            | Step::PutUpstream { region, .. }
            | Step::PutPolicy { region, .. }
            | Step::PutOwned { region, .. }
            | Step::DeleteUser { region, .. }
            | Step::DeleteUpstream { region, .. }
            | Step::DeletePolicy { region, .. }
            | Step::RestartLink { region, .. }
            | Step::DeleteExchange { region, .. }
            | Step::DeleteEmptyQueue { region, .. } => format!("broker {region}"),
        }
    }

    /// What the step does, in few words.
    #[must_use]
    pub fn action(&self) -> String {
        match self {
            Step::ProvideImage { .. } => "pull, or build".into(),
            Step::ImportServiceImage { .. } => "make from this executable".into(),
            Step::CreateNetwork(_) | Step::CreateVolume(_) | Step::CreateContainer(_) => "create".into(),
            Step::UploadFiles(container) => format!("write {} files", container.files.len()),
            Step::StartContainer { .. } => "start".into(),
            Step::UnpauseContainer { .. } => "unpause".into(),
            Step::ConnectNetwork { attachment, .. } => format!("connect to {}", attachment.network),
            Step::StopContainer { .. } => "stop".into(),
            Step::RemoveContainer { .. }
            | Step::RemoveNetwork { .. }
            | Step::RemoveVolume { .. }
            | Step::RemoveImage { .. } => "remove".into(),
            Step::AwaitBroker { .. } => "wait until it accepts connections".into(),
            Step::AwaitService { .. } => "wait until its consumers are attached".into(),
            Step::PutClusterName { name, .. } => format!("cluster name {name}"),
            Step::PutUser { user, .. } => format!("user {}", user.name),
            Step::PutPermissions { user, .. } => format!("permissions of {}", user.name),
            Step::PutUpstream { upstream, .. } => format!("upstream {}", upstream.name),
            Step::PutPolicy { policy, .. } => {
                format!("policy {} on {}", policy.name, policy.apply_to.as_str())
            }
            Step::PutOwned { .. } => "record what is ours".into(),
            Step::DeleteUser { name, .. } => format!("user {name}"),
            Step::DeleteUpstream { name, .. } => format!("upstream {name}"),
            Step::DeletePolicy { name, .. } => format!("policy {name}"),
            Step::RestartLink { upstream, resource, .. } => {
                format!("restart link of {} from {upstream}", resource.name())
            }
            Step::DeleteExchange { name, .. } => format!("exchange {name}"),
            Step::DeleteEmptyQueue { name, .. } => format!("empty queue {name}"),
        }
    }

    /// What is so when the step is done, in few words.
    #[must_use]
    pub fn result(&self) -> String {
        match self {
            Step::ProvideImage { .. } => "here".into(),
            Step::ImportServiceImage { .. } => "made".into(),
            Step::CreateNetwork(_) | Step::CreateVolume(_) | Step::CreateContainer(_) => "created".into(),
            Step::UploadFiles(_) => "files written".into(),
            Step::StartContainer { .. } | Step::UnpauseContainer { .. } => "started".into(),
            Step::ConnectNetwork { attachment, .. } => format!("connected to {}", attachment.network),
            Step::StopContainer { .. } => "stopped".into(),
            Step::RemoveContainer { .. }
            | Step::RemoveNetwork { .. }
            | Step::RemoveVolume { .. }
            | Step::RemoveImage { .. } => "removed".into(),
            Step::AwaitBroker { .. } => "accepts connections".into(),
            Step::AwaitService { .. } => "consumers attached".into(),
            definition => definition.action(),
        }
    }
}

impl Planned {
    /// The step's sign.
    #[must_use]
    pub fn sign(&self) -> Sign {
        match &self.step {
            Step::AwaitBroker { .. } | Step::AwaitService { .. } => Sign::Wait,
            Step::StopContainer { .. }
            | Step::RemoveContainer { .. }
            | Step::RemoveNetwork { .. }
            | Step::RemoveVolume { .. }
            | Step::RemoveImage { .. }
            | Step::DeleteUser { .. }
            | Step::DeleteUpstream { .. }
            | Step::DeletePolicy { .. }
            | Step::DeleteExchange { .. }
            | Step::DeleteEmptyQueue { .. } => Sign::Remove,
            Step::PutClusterName { .. } | Step::UnpauseContainer { .. } | Step::RestartLink { .. } => {
                Sign::Change
            }
            _ => match self.cause {
                Cause::Differs { .. } | Cause::PasswordDiffers | Cause::Stopped(_) | Cause::Untold => {
                    Sign::Change
                }
                _ => Sign::Add,
            },
        }
    }

    /// What the step endangers or exposes, where it does.
    #[must_use]
    pub fn risk(&self) -> Option<&'static str> {
        match (&self.step, &self.cause) {
            (Step::PutUpstream { .. }, Cause::Differs { .. } | Cause::PasswordDiffers) => {
                Some("restarts this upstream's links; what waits for them is kept")
            }
            (Step::PutPolicy { .. }, Cause::Differs { .. }) => {
                Some("restarts the links of what it matches; what waits for them is kept")
            }
            (Step::CreateContainer(container), _) if container.environment.contains_key("AMQP_URI") => {
                Some("whoever may inspect the container can read the broker's password")
            }
            (Step::RemoveVolume { .. }, _) => Some("everything in it is lost"),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NotFound => f.write_str("not found"),
            Cause::Twice => f.write_str("there are several of that name, of which one is left"),
            Cause::NeverStarted => f.write_str("was never started"),
            Cause::Stopped(status) => write!(f, "not running: {status}"),
            Cause::Paused => f.write_str("paused"),
            Cause::NotReady(reason) => f.write_str(reason),
            Cause::LockedOut => f.write_str("refuses fedctl's administrator, whom its start puts back"),
            Cause::Unstarted => f.write_str("its links have not been started"),
            Cause::Untold => f.write_str("its links have not been told of it"),
            Cause::Deaf => f.write_str("bindings do not cross it"),
            Cause::Unknown => f.write_str("does not answer; what it holds is compared when it does"),
            Cause::Differs { key, found, wanted } => {
                let show = |value: &Option<serde_json::Value>| match value {
                    None => "none".to_owned(),
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(value) => value.to_string(),
                };
                write!(f, "{key} {} → {}", show(found), show(wanted))
            }
            Cause::PasswordDiffers => f.write_str("password differs"),
            Cause::MadeFromOther => f.write_str("made from other settings"),
            Cause::ImageChanged => f.write_str("made from an older image of that name"),
            Cause::Replaced => f.write_str("its network or volume is gone"),
            Cause::Follows => f.write_str("follows"),
            Cause::NotInTopology => f.write_str("not in the topology"),
            Cause::Removal => f.write_str("asked for"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.steps {
            write!(f, "{} {}: {}", planned.sign(), planned.step.subject(), planned.step.action())?;
            if planned.cause != Cause::Follows {
                write!(f, " ({})", planned.cause)?;
            }
            if let Some(risk) = planned.risk() {
                write!(f, " [{risk}]")?;
            }
            writeln!(f)?;
        }
        for blocked in &self.blocked {
            writeln!(f, "! {}: {}; {}", blocked.subject, blocked.cause, blocked.hint)?;
        }
        Ok(())
    }
}
