//! Desired × observed → plan. Decides everything, does nothing, cannot fail.

use std::collections::{BTreeMap, BTreeSet};

use super::{Blocked, Cause, Plan, Step, brokers};
use crate::{
    desired::{BROKER, CONFIG_LABEL, Container, Desired, PROJECT_LABEL},
    observed::{self, ContainerState, Observed},
    topology::RegionName,
};

/// Plans what turns `observed` into `desired`.
///
/// A broker that does not answer is only waited for, unless its volume is new and therefore empty:
/// what it holds is compared once it answers, by planning again.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan { blocked: foreign(desired, observed), ..Plan::default() };
    let removed = remove_containers(&mut plan, desired, observed);
    let objects = create_objects(&mut plan, desired, observed);
    let containers = reconcile_containers(&mut plan, desired, observed, &objects);
    let ready = brokers::reconcile(&mut plan, desired, observed, &containers, &removed);
    await_services(&mut plan, desired, observed, &containers, &ready);
    remove_networks(&mut plan, desired, observed, &removed);
    plan
}

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
struct Objects {
    networks: BTreeMap<String, usize>,
    volumes: BTreeMap<String, usize>,
}

fn is_ours(labels: &BTreeMap<String, String>, project: &str) -> bool {
    labels.get(PROJECT_LABEL).is_some_and(|label| label == project)
}

fn foreign(desired: &Desired, observed: &Observed) -> Vec<Blocked> {
    let engine = &observed.engine;
    let project = &desired.project;
    let blocked = |kind: &str, name: &str| Blocked {
        subject: format!("{kind} `{name}`"),
        cause: format!("exists and is not project `{project}`'s"),
        hint: format!("give the project another name, or remove it: docker {kind} rm {name}"),
    };
    let networks = desired.networks.iter().filter_map(|wanted| {
        let found = engine.networks.iter().find(|found| found.name == wanted.name)?;
        (!is_ours(&found.labels, project)).then(|| blocked("network", &wanted.name))
    });
    let volumes = desired.volumes.iter().filter_map(|wanted| {
        let found = engine.volumes.iter().find(|found| found.name == wanted.name)?;
        (!is_ours(&found.labels, project)).then(|| blocked("volume", &wanted.name))
    });
    let containers = desired.containers.iter().filter_map(|wanted| {
        let found = engine.containers.iter().find(|found| found.name == wanted.name)?;
        (!is_ours(&found.labels, project)).then(|| blocked("container", &wanted.name))
    });
    networks.chain(volumes).chain(containers).collect()
}

/// Containers of this project that the topology does not have any more, by name, with the step that
/// removes them. Their volumes stay.
fn remove_containers(plan: &mut Plan, desired: &Desired, observed: &Observed) -> BTreeMap<String, usize> {
    if !desired.whole {
        return BTreeMap::new();
    }
    let wanted: BTreeSet<&str> = desired.containers.iter().map(|container| container.name.as_str()).collect();
    observed
        .engine
        .containers
        .iter()
        .filter(|found| is_ours(&found.labels, &desired.project) && !wanted.contains(found.name.as_str()))
        .map(|found| (found.name.clone(), remove_container(plan, found, &Cause::NotInTopology)))
        .collect()
}

/// Stops a container if it runs, and removes it; the index of the removal.
pub(super) fn remove_container(plan: &mut Plan, found: &observed::Container, cause: &Cause) -> usize {
    let stopped = match found.state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
            Some(plan.push(Step::StopContainer { name: found.name.clone() }, cause.clone(), []))
        }
        ContainerState::Created | ContainerState::Stopped => None,
    };
    plan.push(Step::RemoveContainer { name: found.name.clone() }, cause.clone(), stopped)
}

fn create_objects(plan: &mut Plan, desired: &Desired, observed: &Observed) -> Objects {
    let engine = &observed.engine;
    let mut objects = Objects::default();
    for network in &desired.networks {
        if !engine.networks.iter().any(|found| found.name == network.name) {
            let step = plan.push(Step::CreateNetwork(network.clone()), Cause::NotFound, []);
            objects.networks.insert(network.name.clone(), step);
        }
    }
    for volume in &desired.volumes {
        if !engine.volumes.iter().any(|found| found.name == volume.name) {
            let step = plan.push(Step::CreateVolume(volume.clone()), Cause::NotFound, []);
            objects.volumes.insert(volume.name.clone(), step);
        }
    }
    objects
}

fn reconcile_containers(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    objects: &Objects,
) -> Touched {
    let mut images = BTreeMap::new();
    let mut touched =
        Touched { new_volumes: objects.volumes.keys().cloned().collect(), ..Touched::default() };
    // brokers first: they take longest, and everything else waits for them
    let (brokers, services): (Vec<_>, Vec<_>) =
        desired.containers.iter().partition(|container| container.service == BROKER);
    // where it is not known whether their user is there, the next plan brings the services
    let unknown = brokers::unknown(desired, observed, &touched);
    let services = services.into_iter().filter(|service| !unknown.contains(&service.region));
    for wanted in brokers.into_iter().chain(services) {
        let found = observed.engine.containers.iter().find(|found| found.name == wanted.name);
        let fate = found.map_or(Fate::Make(None), |found| fate(wanted, found, observed, objects));
        let remains = found.filter(|_| !matches!(fate, Fate::Make(_)));
        let started = match fate {
            Fate::Keep => None,
            Fate::Step(step, cause) => Some(plan.push(step, cause, [])),
            Fate::Restart(cause) => {
                let name = wanted.name.clone();
                let stopped = plan.push(Step::StopContainer { name: name.clone() }, cause, []);
                Some(plan.push(Step::StartContainer { name }, Cause::Follows, [stopped]))
            }
            Fate::Finish => Some(upload_and_start(plan, wanted, &Cause::NeverStarted, None)),
            Fate::Make(cause) => {
                let removed =
                    found.zip(cause.as_ref()).map(|(found, cause)| remove_container(plan, found, cause));
                let image = image_step(plan, &mut images, desired, observed, &wanted.image);
                let needs = [
                    removed,
                    image,
                    objects.networks.get(&wanted.network.network).copied(),
                    objects.volumes.get(&wanted.volume.volume).copied(),
                ];
                let cause = cause.unwrap_or(Cause::NotFound);
                let created = Step::CreateContainer(Box::new(wanted.clone()));
                let created = plan.push(created, cause, needs.into_iter().flatten());
                Some(upload_and_start(plan, wanted, &Cause::Follows, Some(created)))
            }
        };
        connect(plan, &mut touched, wanted, remains, started, objects);
        touched.running.extend(started.map(|step| (wanted.name.clone(), step)));
    }
    touched
}

/// What has to happen to a container.
enum Fate {
    Keep,
    Step(Step, Cause),
    /// Start it anew: its process ends again and again.
    Restart(Cause),
    /// Write its files and start it: somebody was interrupted after making it.
    Finish,
    /// Make it, after removing the one that is there for the cause given.
    Make(Option<Cause>),
}

fn fate(wanted: &Container, found: &observed::Container, observed: &Observed, objects: &Objects) -> Fate {
    let name = wanted.name.clone();
    let lost_network = [Some(&wanted.network), wanted.wan.as_ref()]
        .into_iter()
        .flatten()
        .any(|attachment| objects.networks.contains_key(&attachment.network));
    let image = observed.engine.images.get(&wanted.image);
    if found.labels.get(CONFIG_LABEL) != wanted.labels.get(CONFIG_LABEL) {
        Fate::Make(Some(Cause::MadeFromOther))
    } else if image.is_some_and(|id| *id != found.image_id) {
        Fate::Make(Some(Cause::ImageChanged))
    } else if lost_network || objects.volumes.contains_key(&wanted.volume.volume) {
        Fate::Make(Some(Cause::Replaced))
    } else {
        match found.state {
            ContainerState::Running => Fate::Keep,
            ContainerState::Created => Fate::Finish,
            ContainerState::Paused => Fate::Step(Step::UnpauseContainer { name }, Cause::Paused),
            ContainerState::Restarting => Fate::Restart(Cause::Stopped(found.status.clone())),
            ContainerState::Stopped => {
                Fate::Step(Step::StartContainer { name }, Cause::Stopped(found.status.clone()))
            }
        }
    }
}

fn image_step(
    plan: &mut Plan,
    images: &mut BTreeMap<String, usize>,
    desired: &Desired,
    observed: &Observed,
    reference: &str,
) -> Option<usize> {
    if observed.engine.images.contains_key(reference) {
        return None;
    }
    let step = *images.entry(reference.to_owned()).or_insert_with(|| {
        let reference = reference.to_owned();
        let step = if reference == desired.service_image {
            Step::ImportServiceImage { reference }
        } else {
            Step::ProvideImage { reference }
        };
        plan.push(step, Cause::NotFound, [])
    });
    Some(step)
}

fn upload_and_start(plan: &mut Plan, wanted: &Container, cause: &Cause, created: Option<usize>) -> usize {
    let uploaded = plan.push(Step::UploadFiles(Box::new(wanted.clone())), cause.clone(), created);
    plan.push(Step::StartContainer { name: wanted.name.clone() }, cause.clone(), [uploaded])
}

/// Attaches a container to its networks. One that is made anew already is in its region's own.
fn connect(
    plan: &mut Plan,
    touched: &mut Touched,
    wanted: &Container,
    remains: Option<&observed::Container>,
    started: Option<usize>,
    objects: &Objects,
) {
    let lan = remains.is_some().then_some(&wanted.network);
    for attachment in lan.into_iter().chain(&wanted.wan) {
        let network = &attachment.network;
        if remains.is_some_and(|found| found.networks.contains(network)) {
            continue;
        }
        let cause = if remains.is_some() { Cause::NotFound } else { Cause::Follows };
        let step = Step::ConnectNetwork { container: wanted.name.clone(), attachment: attachment.clone() };
        let needs = [started, objects.networks.get(network).copied()];
        let connected = plan.push(step, cause, needs.into_iter().flatten());
        if Some(attachment) == wanted.wan.as_ref() {
            touched.connected.insert(wanted.name.clone(), connected);
        }
    }
}

/// Waits for the services whose broker is known; one that is not may refuse their password until the next
/// plan puts it.
fn await_services(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    touched: &Touched,
    ready: &BTreeMap<RegionName, usize>,
) {
    let known: BTreeSet<&RegionName> = desired
        .brokers
        .iter()
        .filter(|broker| {
            observed.brokers.contains_key(&broker.region) || touched.new_volumes.contains(&broker.container)
        })
        .map(|broker| &broker.region)
        .collect();
    for container in own_services(desired).filter(|container| known.contains(&container.region)) {
        let Some(running) = touched.running.get(&container.name) else { continue };
        let ready = ready.get(&container.region).copied();
        let needs = [Some(*running), ready].into_iter().flatten();
        plan.push(Step::AwaitService { container: container.name.clone() }, Cause::Follows, needs);
    }
}

/// Waits for every service, after plans that could not: they were provisional.
#[must_use]
pub fn await_every_service(desired: &Desired) -> Plan {
    let mut plan = Plan::default();
    for container in own_services(desired) {
        plan.push(Step::AwaitService { container: container.name.clone() }, Cause::Follows, []);
    }
    plan
}

/// fedctl's own services say themselves when their consumers are attached; other images are only run.
fn own_services(desired: &Desired) -> impl Iterator<Item = &Container> {
    desired
        .containers
        .iter()
        .filter(|container| container.service != BROKER && container.image == desired.service_image)
}

fn remove_networks(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    removed: &BTreeMap<String, usize>,
) {
    if !desired.whole {
        return;
    }
    let wanted: BTreeSet<&str> = desired.networks.iter().map(|network| network.name.as_str()).collect();
    for found in &observed.engine.networks {
        if is_ours(&found.labels, &desired.project) && !wanted.contains(found.name.as_str()) {
            let step = Step::RemoveNetwork { name: found.name.clone() };
            plan.push(step, Cause::NotInTopology, removed.values().copied());
        }
    }
}
