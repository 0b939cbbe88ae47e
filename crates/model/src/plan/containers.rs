//! The steps for containers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Operation, Plan, removal::remove_container};
use crate::{
    desired::{Container, Desired},
    names::{BROKER, CONFIG_LABEL, container},
    observed::{self, ContainerState, Definitions, Snapshot},
    site::Unavailable,
    topology::RegionName,
};

/// For a container that the plan touches: the steps that others wait for.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The step after which it runs.
    pub running: BTreeMap<String, usize>,
    /// The step after which it is attached to the network between the regions.
    pub connected: BTreeMap<String, usize>,
    /// The volumes that the plan creates.
    pub new_volumes: BTreeSet<String>,
}

/// The steps that create images, networks and volumes, by name.
#[derive(Default)]
pub(super) struct Objects {
    /// Networks.
    pub networks: BTreeMap<String, usize>,
    /// Volumes.
    pub volumes: BTreeMap<String, usize>,
}

/// Provides images that existing brokers are to be made from anew, and nothing else: which version of RabbitMQ is in
/// them, and so whether it starts on their data, is known only when they are there. Whether there are such images.
pub(super) fn provide_broker_images(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
) -> bool {
    let engine = &observed.engine;
    let brokers = desired.containers.iter().filter(|container| container.service == BROKER);
    let missing: BTreeSet<&str> = brokers
        .filter(|wanted| {
            let changes = engine.container(&wanted.name).is_some_and(|found| differs(wanted, found));
            changes && !engine.images.contains_key(&wanted.image)
        })
        .map(|wanted| wanted.image.as_str())
        .collect();
    for reference in &missing {
        plan.push(Operation::ProvideImage { reference: (*reference).to_owned() }, Cause::NotFound, []);
    }
    plan.provisional |= !missing.is_empty();
    !missing.is_empty()
}

/// The containers of a plan while it is made.
pub(super) struct Containers<'a> {
    desired: &'a Desired,
    observed: &'a Snapshot<Definitions>,
    objects: Objects,
    /// The steps that provide images, by reference.
    images: BTreeMap<&'a str, usize>,
    /// The steps so far, by container.
    pub touched: Touched,
}

impl<'a> Containers<'a> {
    pub fn new(desired: &'a Desired, observed: &'a Snapshot<Definitions>, objects: Objects) -> Self {
        let touched =
            Touched { new_volumes: objects.volumes.keys().cloned().collect(), ..Touched::default() };
        Self { desired, observed, objects, images: BTreeMap::new(), touched }
    }

    /// Brokers come first: they take longest, and everything else waits for them. Those that answer and are to be
    /// replaced are returned instead, with the cause.
    pub fn reconcile_brokers(&mut self, plan: &mut Plan) -> Vec<(&'a Container, Cause)> {
        let mut outdated = Vec::new();
        for wanted in self.desired.containers.iter().filter(|container| container.service == BROKER) {
            if let Some((found, cause)) = self.outdated(wanted) {
                self.connect(plan, wanted, Some(found), None);
                outdated.push((wanted, cause));
            } else {
                self.reconcile(plan, wanted, &[], None, None);
            }
        }
        outdated
    }

    /// A broker that answers and was made from another image or configuration. One that rejects the administrator is not
    /// among them: the passwords are new, and no link runs until every region has them.
    fn outdated(&self, wanted: &Container) -> Option<(&'a observed::Container, Cause)> {
        self.observed.answer(&wanted.region)?;
        let found = self.observed.engine.container(&wanted.name)?;
        match self.action(wanted, found) {
            Action::Create(Some(cause))
                if found.state == ContainerState::Running && cause != Cause::Replaced =>
            {
                Some((found, cause))
            }
            Action::Keep | Action::Do(..) | Action::Restart(_) | Action::Finish | Action::Create(_) => None,
        }
    }

    /// Services, and the wait for those that have a readiness check. Where it is unknown whether a region's services
    /// have their user, they are left to the next plan.
    pub fn reconcile_services(
        &mut self,
        plan: &mut Plan,
        ready: &BTreeMap<RegionName, usize>,
        unknown: &BTreeSet<RegionName>,
    ) {
        let services = || {
            self.desired
                .containers
                .iter()
                .filter(|container| container.service != BROKER && !unknown.contains(&container.region))
        };
        let services: Vec<&Container> = services().collect();
        for wanted in &services {
            // after the broker has started to boot, which takes longest
            let broker = container(&self.desired.project, &wanted.region, BROKER);
            let broker = self.touched.running.get(&broker).copied();
            // fedctl's own services wait for their broker themselves; others may not
            let own = wanted.image == self.desired.service_image;
            self.reconcile(plan, wanted, &[], broker, ready.get(&wanted.region).copied().filter(|_| !own));
        }
        for wanted in services {
            let Some(readiness) = wanted.readiness.clone() else { continue };
            let broker = container(&self.desired.project, &wanted.region, BROKER);
            let started = self.touched.running.get(&wanted.name).copied();
            let cause = match self.observed.not_ready.get(&wanted.name) {
                _ if started.is_some() || self.touched.running.contains_key(&broker) => Cause::Follows,
                Some(reason) => Cause::NotReady(reason.clone()),
                None => continue,
            };
            let needs = [started, ready.get(&wanted.region).copied()].into_iter().flatten();
            plan.push(Operation::AwaitService { container: wanted.name.clone(), readiness }, cause, needs);
        }
    }

    fn is_locked_out(&self, wanted: &Container) -> bool {
        wanted.service == BROKER
            && self.observed.unavailable(&wanted.region) == Some(&Unavailable::Unauthorized)
    }

    fn is_used(&self, reference: &str) -> bool {
        let engine = &self.observed.engine;
        let users = self.desired.containers.iter().filter(|wanted| wanted.image == reference);
        users.into_iter().any(|wanted| engine.container(&wanted.name).is_some())
    }

    pub fn reconcile(
        &mut self,
        plan: &mut Plan,
        wanted: &'a Container,
        remove_after: &[usize],
        create_after: Option<usize>,
        start_after: Option<usize>,
    ) {
        let found = self.observed.engine.container(&wanted.name);
        let action = found.map_or(Action::Create(None), |found| self.action(wanted, found));
        let remains = found.filter(|_| !matches!(action, Action::Create(_)));
        let started = match action {
            Action::Keep => None,
            Action::Do(operation, cause) => Some(plan.push(operation, cause, start_after)),
            Action::Restart(cause) => {
                let name = wanted.name.clone();
                let stopped = plan.push(Operation::StopContainer { name: name.clone() }, cause, []);
                let needs = [Some(stopped), start_after].into_iter().flatten();
                Some(plan.push(Operation::StartContainer { name }, Cause::Follows, needs))
            }
            Action::Finish => Some(upload_and_start(plan, wanted, &Cause::NeverStarted, None, start_after)),
            Action::Create(cause) => {
                let removed = found
                    .zip(cause.as_ref())
                    .map(|(found, cause)| remove_container(plan, found, cause, remove_after));
                let before = [removed, create_after].into_iter().flatten();
                let created = self.create(plan, wanted, cause.unwrap_or(Cause::NotFound), before);
                Some(upload_and_start(plan, wanted, &Cause::Follows, Some(created), start_after))
            }
        };
        self.connect(plan, wanted, remains, started);
        self.touched.running.extend(started.map(|step| (wanted.name.clone(), step)));
    }

    fn create(
        &mut self,
        plan: &mut Plan,
        wanted: &'a Container,
        cause: Cause,
        before: impl Iterator<Item = usize>,
    ) -> usize {
        let objects = [
            self.image(plan, &wanted.image),
            self.objects.networks.get(&wanted.network.network).copied(),
            self.objects.volumes.get(&wanted.volume.volume).copied(),
        ];
        let needs = objects.into_iter().flatten().chain(before);
        plan.push(Operation::CreateContainer(Box::new(wanted.clone())), cause, needs)
    }

    fn image(&mut self, plan: &mut Plan, reference: &'a str) -> Option<usize> {
        if self.observed.engine.images.contains_key(reference) {
            return None;
        }
        let packed = self.desired.is_packed(reference);
        // containers that stay may have been created from another image than the one that arrives
        plan.provisional |= !packed && self.is_used(reference);
        let step = self.images.entry(reference).or_insert_with(|| {
            let reference = reference.to_owned();
            let step = if packed {
                Operation::ImportServiceImage { reference }
            } else {
                Operation::ProvideImage { reference }
            };
            plan.push(step, Cause::NotFound, [])
        });
        Some(*step)
    }

    fn action(&self, wanted: &Container, found: &observed::Container) -> Action {
        let name = wanted.name.clone();
        let lost_network = [Some(&wanted.network), wanted.wan.as_ref()]
            .into_iter()
            .flatten()
            .any(|attachment| self.objects.networks.contains_key(&attachment.network));
        let image = self.observed.engine.images.get(&wanted.image);
        // a packed image's reference names its content: packed again, it has another id and the same content
        let packed = self.desired.is_packed(&wanted.image);
        if lost_network || self.objects.volumes.contains_key(&wanted.volume.volume) {
            Action::Create(Some(Cause::Replaced))
        } else if !packed && image.is_some_and(|id| *id != found.image_id) {
            Action::Create(Some(Cause::ImageChanged))
        } else if differs(wanted, found) {
            Action::Create(Some(Cause::ConfigChanged))
        } else {
            match found.state {
                ContainerState::Running if self.is_locked_out(wanted) => Action::Restart(Cause::LockedOut),
                ContainerState::Running => Action::Keep,
                ContainerState::Created => Action::Finish,
                ContainerState::Paused => Action::Do(Operation::UnpauseContainer { name }, Cause::Paused),
                ContainerState::Restarting => Action::Restart(Cause::Stopped(found.status.clone())),
                ContainerState::Stopped => {
                    Action::Do(Operation::StartContainer { name }, Cause::Stopped(found.status.clone()))
                }
            }
        }
    }

    /// Attaches a container to its networks. A new one is already attached to its region's.
    fn connect(
        &mut self,
        plan: &mut Plan,
        wanted: &Container,
        remains: Option<&observed::Container>,
        started: Option<usize>,
    ) {
        let lan = remains.is_some().then_some(&wanted.network);
        for attachment in lan.into_iter().chain(&wanted.wan) {
            let network = &attachment.network;
            if remains.is_some_and(|found| found.networks.contains_key(network)) {
                continue;
            }
            let cause = if remains.is_some() { Cause::NotFound } else { Cause::Follows };
            let step =
                Operation::ConnectNetwork { container: wanted.name.clone(), attachment: attachment.clone() };
            let needs = [started, self.objects.networks.get(network).copied()];
            let connected = plan.push(step, cause, needs.into_iter().flatten());
            if Some(attachment) == wanted.wan.as_ref() {
                self.touched.connected.insert(wanted.name.clone(), connected);
            }
        }
    }
}

/// Whether a container was made from another configuration.
fn differs(wanted: &Container, found: &observed::Container) -> bool {
    found.labels.get(CONFIG_LABEL) != wanted.labels.get(CONFIG_LABEL)
}

/// What is done with a container.
enum Action {
    Keep,
    Do(Operation, Cause),
    /// Restart it: its process keeps exiting, or it rejects the administrator.
    Restart(Cause),
    /// Write its files and start it: a run was interrupted after creating it.
    Finish,
    /// Create it, after removing the existing one for the cause given.
    Create(Option<Cause>),
}

fn upload_and_start(
    plan: &mut Plan,
    wanted: &Container,
    cause: &Cause,
    created: Option<usize>,
    start_after: Option<usize>,
) -> usize {
    let uploaded = plan.push(Operation::UploadFiles(Box::new(wanted.clone())), cause.clone(), created);
    let needs = [Some(uploaded), start_after].into_iter().flatten();
    plan.push(Operation::StartContainer { name: wanted.name.clone() }, cause.clone(), needs)
}
