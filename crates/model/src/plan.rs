//! The difference between the desired and the observed state, as steps in order.

mod adoption;
mod backlog;
mod blocked;
mod brokers;
mod containers;
mod diff;
mod external;
mod leftovers;
pub mod link;
mod ownership;
mod redeclare;
mod removal;
mod repair;
mod rollout;
mod saved;
mod text;
mod upgrade;
mod versions;

pub use diff::plan;
pub use ownership::conflict;
pub use removal::{Removal, remove};
pub use repair::{patience, repair};
pub use saved::SavedPlan;
pub use text::{Description, Sign};
pub(crate) use upgrade::LAST_OF_THREE;

use std::collections::BTreeSet;

use crate::{
    definition::{Difference, Permissions, Policy, Upstream},
    desired::{Attachment, Container, Network, Readiness, UpstreamId, Volume},
    diagnostic::{Code, Diagnostic},
    observed::{Owned, Plugin, Resource},
    secret::Secret,
    topology::RegionName,
};

/// The codes of what blocks a plan.
pub(crate) fn codes() -> impl Iterator<Item = Code> {
    blocked::CODES.into_iter().chain(external::CODES)
}

/// What to do, in order, and what blocks it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps; each comes after those it depends on.
    pub steps: Vec<Planned>,
    /// Changes that would do harm. While there are any, nothing is applied.
    pub blocked: Vec<Diagnostic>,
    /// Whether another plan is due when this one is carried out: a broker that may hold something did not
    /// answer, or an image comes from which there are containers already.
    pub provisional: bool,
}

/// A step, its reason and its place.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What to do.
    pub step: Step,
    /// Why.
    pub cause: Cause,
    /// The indices of the steps that must be done before.
    pub after: Vec<usize>,
    /// Whether links that it restarts delete their queues as they end.
    pub loses_backlog: bool,
}

/// One foreign call, or a wait.
#[derive(Debug, Clone)]
pub enum Step {
    /// At the Docker engine.
    Engine(Operation),
    /// At a region's broker.
    Broker {
        /// The broker's region.
        region: RegionName,
        /// What becomes of it.
        change: Change,
    },
}

/// What is done at an engine.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Pull an image, or build the broker's if no registry answers.
    ProvideImage {
        reference: String,
    },
    /// Make the service image from fedctl's own executable.
    ImportServiceImage {
        reference: String,
    },
    RemoveImage {
        reference: String,
    },
    CreateNetwork(Network),
    RemoveNetwork {
        name: String,
    },
    CreateVolume(Volume),
    /// Remove a volume and what is in it.
    RemoveVolume {
        name: String,
    },
    CreateContainer(Box<Container>),
    /// Write a container's files into its volume.
    UploadFiles(Box<Container>),
    StartContainer {
        name: String,
    },
    UnpauseContainer {
        name: String,
    },
    /// Stop a container cleanly.
    StopContainer {
        name: String,
    },
    /// Remove a stopped container.
    RemoveContainer {
        name: String,
    },
    ConnectNetwork {
        container: String,
        attachment: Attachment,
    },
    /// Enable plugins in a broker's container.
    EnablePlugins {
        container: String,
        plugins: Vec<Plugin>,
    },
    /// Wait until a service is ready.
    AwaitService {
        container: String,
        readiness: Readiness,
    },
}

/// What is done at a broker.
#[derive(Debug, Clone)]
pub enum Change {
    /// Wait until it accepts AMQP connections.
    Await {
        /// None if fedctl did not start it.
        container: Option<String>,
    },
    /// Wait until the links from and to it run, or those that come from `upstream`.
    AwaitLinks {
        upstream: Option<RegionName>,
    },
    /// Enable every stable feature flag: a newer version may require them of the data that it starts on.
    EnableFeatureFlags,
    PutVhost {
        name: String,
    },
    PutClusterName {
        name: String,
    },
    PutUser {
        name: String,
        password: Secret,
    },
    PutPermissions {
        user: String,
        permissions: Permissions,
    },
    PutUpstream {
        name: String,
        upstream: Upstream,
    },
    PutPolicy {
        name: String,
        policy: Policy,
    },
    /// Record what the project owns there.
    RecordOwnership {
        parameter: String,
        owned: Owned,
    },
    DeleteUser {
        name: String,
    },
    DeleteUpstream {
        name: String,
    },
    DeletePolicy {
        name: String,
    },
    RestartLink {
        upstream: RegionName,
        resource: Resource,
    },
    /// Delete an internal exchange of a link that no longer exists.
    DeleteExchange {
        name: String,
    },
    /// Delete an internal queue of a link that no longer exists, if it is empty.
    DeleteEmptyQueue {
        name: String,
    },
    /// Delete such a queue with the messages in it.
    DeleteQueue {
        name: String,
        /// How many were in it when it was looked at.
        messages: u64,
    },
}

impl From<Operation> for Step {
    fn from(operation: Operation) -> Self {
        Self::Engine(operation)
    }
}

impl Change {
    /// This change, at the broker of `region`.
    #[must_use]
    pub fn at(self, region: &RegionName) -> Step {
        Step::Broker { region: region.clone(), change: self }
    }
}

/// Why a step is needed.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    NotFound,
    /// Several objects have that name.
    Duplicate,
    /// Its container was created and never started.
    NeverStarted,
    /// It is not running; with the status that the engine shows.
    Stopped(String),
    Paused,
    /// It runs and is not ready; with the reason that it gives.
    NotReady(String),
    /// It rejects fedctl's administrator, whom a restart restores.
    LockedOut,
    /// The broker does not answer yet, so what it holds is not known.
    Unknown,
    /// It exists and differs.
    Differs(Difference),
    /// It exists and differs, and is taken over; with what differs.
    Adopted(String),
    /// These objects exist, are as they should be, or are about to be, and are taken over.
    Adopts(Vec<String>),
    /// It exists with another password. Passwords are not shown.
    PasswordDiffers,
    /// The container was created with another configuration.
    ConfigChanged,
    /// The image reference now names another image than the one the container was created from.
    ImageChanged,
    /// It belonged to another topology file.
    TakenOver,
    /// Another step removes it, or what it depends on.
    Replaced,
    /// The upstream does not know bindings of the downstream, though the link is reported as running.
    BindingsNotPropagated,
    /// The broker has not started links that its policies and upstreams require.
    LinkNotStarted,
    /// The broker's links still use the credentials that they started with.
    CredentialsNotPropagated,
    /// An `up` that changed it was cut short, and may not have told all of its links.
    ChangeInterrupted,
    /// A step before it needs it.
    Follows,
    NotInTopology,
    /// It is left from a link that the topology no longer has.
    NotFederated,
    /// A plugin that federation needs is not enabled.
    PluginDisabled,
    /// Its links are paused.
    LinksPaused,
    /// It was asked for.
    Requested,
}

impl Plan {
    /// Whether there is nothing to do and nothing is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty()
    }

    /// The upstreams whose links are told of a change. A broker that fails while it tells them has stored the change,
    /// so that nothing but a record of it shows that some may not know.
    #[must_use]
    pub fn changed_upstreams(&self) -> BTreeSet<UpstreamId> {
        let changed = self.steps.iter().filter_map(|planned| match &planned.step {
            Step::Broker { region, change: Change::PutUpstream { name, .. } }
                if planned.cause != Cause::NotFound =>
            {
                Some((region.clone(), name.clone()))
            }
            Step::Broker { .. } | Step::Engine(_) => None,
        });
        changed.collect()
    }

    /// Adds a step and returns its index.
    fn push(&mut self, step: impl Into<Step>, cause: Cause, after: impl IntoIterator<Item = usize>) -> usize {
        let mut after: Vec<usize> = after.into_iter().collect();
        after.sort_unstable();
        after.dedup();
        self.steps.push(Planned { step: step.into(), cause, after, loses_backlog: false });
        self.steps.len() - 1
    }
}
