//! A model of an engine and its brokers: it carries out a plan, and rejects what a real one would reject.

use std::collections::{BTreeMap, BTreeSet};

use fedctl_model::{
    definition::Upstream,
    desired::{self, Attachment, Desired, Network, Volume},
    federation::of_queue,
    names::{self, BROKER},
    observed::{
        self, Container, ContainerState, Definitions, EngineState, Object, Observed, Plugin, Snapshot,
    },
    password,
    plan::{Change, Operation, Plan, Step, plan},
    site::Unavailable,
    topology::RegionName,
};

/// How often `up` plans again while a plan is provisional.
const ROUNDS: usize = 4;

/// An engine, and what is in the volumes of its brokers.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub engine: EngineState,
    pub brokers: BTreeMap<RegionName, Definitions>,
    /// Why running services are not ready.
    pub not_ready: BTreeMap<String, String>,
    /// Brokers that were waited for since they started.
    answering: BTreeSet<RegionName>,
    /// Brokers that reject fedctl's administrator until they are restarted.
    locked: BTreeSet<RegionName>,
    /// Brokers that lack a plugin.
    pub without_plugin: BTreeSet<RegionName>,
    /// Brokers that run elsewhere.
    pub elsewhere: BTreeSet<RegionName>,
    /// Containers whose files are in their volume.
    uploaded: BTreeSet<String>,
    /// The volume of each container.
    mounts: BTreeMap<String, String>,
    project: String,
}

impl World {
    /// Everything in its desired state.
    pub fn of(wanted: &Desired) -> Self {
        let mut world = Self { project: wanted.project.clone(), ..Self::default() };
        world.up(wanted);
        world
    }

    /// What a look at it finds.
    pub fn look(&self) -> Snapshot<Definitions> {
        let brokers = self.brokers.iter().map(|(region, broker)| {
            let answers = self.answering.contains(region) && self.is_up(region);
            let answer = match (answers, self.locked.contains(region)) {
                (false, _) => Err(Unavailable::Unreachable("connection refused".into())),
                (true, true) => Err(Unavailable::Unauthorized),
                (true, false) if self.without_plugin.contains(region) => {
                    Err(Unavailable::PluginDisabled(Plugin::Federation))
                }
                (true, false) => Ok(broker.clone()),
            };
            (region.clone(), Observed { site: None, answer })
        });
        Snapshot {
            engine: self.engine.clone(),
            brokers: brokers.collect(),
            not_ready: self.not_ready.clone(),
        }
    }

    /// Plans and applies, and again while brokers answer that did not before.
    pub fn up(&mut self, wanted: &Desired) {
        self.project.clone_from(&wanted.project);
        for _ in 0..ROUNDS {
            let plan = plan(wanted, &self.look());
            assert_eq!(plan.blocked, []);
            self.apply(&plan);
            if !plan.provisional {
                return;
            }
        }
        panic!("brokers that were waited for still do not answer");
    }

    /// Takes the steps in the order that suits the plan least: the last of those that may begin.
    pub fn apply(&mut self, plan: &Plan) {
        let mut left: BTreeSet<usize> = (0..plan.steps.len()).collect();
        while !left.is_empty() {
            let may_begin =
                |number: &&usize| plan.steps[**number].after.iter().all(|before| !left.contains(before));
            let next = *left.iter().rfind(may_begin).expect("steps that wait for each other");
            self.step(&plan.steps[next].step);
            left.remove(&next);
        }
        self.engine.networks.sort_by(|one, other| one.name.cmp(&other.name));
        self.engine.volumes.sort_by(|one, other| one.name.cmp(&other.name));
        self.engine.containers.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Engine(operation) => self.operate(operation),
            Step::Broker { region, change: Change::Await { container } } => {
                if let Some(container) = container {
                    assert!(self.runs(container), "`{container}` was waited for and does not run");
                }
                assert!(container.is_some() || self.elsewhere.contains(region), "`{region}` has no broker");
                self.brokers.entry(region.clone()).or_insert_with(|| Definitions {
                    cluster_name: region.to_string(),
                    ..Definitions::default()
                });
                self.answering.insert(region.clone());
            }
            Step::Broker { change: Change::AwaitLinks { .. }, .. } => {
                for region in self.brokers.keys().cloned().collect::<Vec<_>>() {
                    if self.engine.container(&self.name_of(&region)).is_some() {
                        self.asked(&region);
                    }
                }
            }
            Step::Broker { region, change } => self.change(region, change),
        }
    }

    fn operate(&mut self, operation: &Operation) {
        match operation {
            Operation::ProvideImage { reference } | Operation::ImportServiceImage { reference } => {
                self.engine.images.insert(reference.clone(), format!("id of {reference}"));
            }
            Operation::RemoveImage { reference } => {
                drop(self.engine.images.remove(reference).expect("an image"));
            }
            Operation::CreateNetwork(Network { name, labels }) => {
                self.engine.networks.retain(|found| found.name != *name);
                self.engine.networks.push(Object { name: name.clone(), labels: labels.clone() });
            }
            Operation::CreateVolume(Volume { name, labels }) => {
                self.engine.volumes.push(Object { name: name.clone(), labels: labels.clone() });
            }
            Operation::RemoveNetwork { name } => {
                let attached = |container: &Container| container.networks.contains_key(name);
                assert!(!self.engine.containers.iter().any(attached), "`{name}` is in use");
                self.remove_network(name);
            }
            Operation::RemoveVolume { name } => {
                assert!(!self.mounts.values().any(|volume| volume == name), "`{name}` is in use");
                self.remove_volume(name);
            }
            Operation::CreateContainer(wanted) => self.create(wanted),
            Operation::UploadFiles(wanted) => {
                self.container(&wanted.name);
                self.uploaded.insert(wanted.name.clone());
            }
            Operation::StartContainer { name } => self.start(name),
            Operation::UnpauseContainer { name } => self.container(name).state = ContainerState::Running,
            Operation::StopContainer { name } => self.container(name).state = ContainerState::Stopped,
            Operation::RemoveContainer { name } => {
                let state = self.container(name).state;
                assert!(
                    matches!(state, ContainerState::Created | ContainerState::Stopped),
                    "`{name}` is {state:?}"
                );
                self.remove_container(name);
            }
            Operation::EnablePlugins { container, .. } => {
                assert!(self.runs(container), "`{container}` does not run");
                self.without_plugin
                    .retain(|region| names::container(&self.project, region, BROKER) != *container);
            }
            Operation::ConnectNetwork { container, attachment } => self.connect(container, attachment),
            Operation::AwaitService { container, .. } => self.await_service(container),
        }
    }

    fn start(&mut self, name: &str) {
        assert!(self.uploaded.contains(name), "`{name}` was started without its files");
        assert!(!self.runs(name), "`{name}` was started twice");
        self.container(name).state = ContainerState::Running;
        let other = |region: &RegionName| names::container(&self.project, region, BROKER) != *name;
        self.answering.retain(other);
        self.locked.retain(other);
    }

    fn connect(&mut self, container: &str, Attachment { network, .. }: &Attachment) {
        assert!(self.engine.networks.iter().any(|found| found.name == *network), "no `{network}`");
        let networks = &mut self.container(container).networks;
        let before = networks.insert(network.clone(), String::new());
        assert_eq!(before, None, "`{container}` is in `{network}` already");
    }

    /// A link cannot declare its queue again with another time to live.
    fn declare_queues(&self, region: &RegionName, name: &str, upstream: &Upstream) {
        let Some(above) = self.brokers.get(&RegionName::new(name)) else { return };
        let ttl = upstream.settings.get("message-ttl");
        let is_own = |queue: &str| of_queue(queue).is_some_and(|found| found.downstream == region.as_str());
        let queues = above.queues.iter().map(|queue| &queue.name).filter(|queue| is_own(queue));
        for queue in queues {
            let declared = above.internal.get(queue).map(|arguments| arguments.get("x-message-ttl"));
            assert!(declared.is_none_or(|declared| declared == ttl), "PRECONDITION_FAILED for `{queue}`");
        }
    }

    fn change(&mut self, region: &RegionName, change: &Change) {
        if let Change::PutUpstream { name, upstream } = change {
            self.declare_queues(region, name, upstream);
        }
        let broker = self.asked(region);
        match change {
            Change::Await { .. } | Change::AwaitLinks { .. } | Change::EnableFeatureFlags => {}
            Change::PutVhost { .. } => broker.lacks_vhost = false,
            Change::PutClusterName { name } => broker.cluster_name.clone_from(name),
            Change::PutUser { name, password } => {
                broker.users.insert(name.clone(), password::hash_with_salt(password, [1, 2, 3, 4]));
            }
            Change::PutPermissions { user, permissions } => {
                assert!(broker.users.contains_key(user), "no user `{user}` in `{region}`");
                broker.permissions.insert(user.clone(), permissions.clone());
            }
            Change::PutUpstream { name, upstream } => {
                broker.upstreams.insert(name.clone(), upstream.clone());
            }
            Change::PutPolicy { name, policy } => {
                broker.policies.insert(name.clone(), policy.clone());
            }
            Change::RecordOwnership { owned, .. } => broker.owned = Some(owned.clone()),
            Change::DeleteUser { name } => {
                broker.users.remove(name);
                broker.permissions.remove(name);
            }
            Change::DeleteUpstream { name } => drop(broker.upstreams.remove(name)),
            Change::DeletePolicy { name } => drop(broker.policies.remove(name)),
            Change::RestartLink { .. } => panic!("the model has no links"),
            Change::DeleteExchange { name } => broker.exchanges.retain(|found| found != name),
            Change::DeleteQueue { name, .. } => broker.queues.retain(|queue| queue.name != *name),
            Change::DeleteEmptyQueue { name } => {
                let queue = |queue: &observed::Queue| queue.name == *name;
                let found = broker.queues.iter().find(|found| queue(found)).expect("a queue");
                assert_eq!(found.messages, 0, "`{name}` is not empty");
                broker.queues.retain(|found| !queue(found));
            }
        }
    }

    fn create(&mut self, wanted: &desired::Container) {
        let desired::Container { name, image, network, volume, labels, .. } = wanted;
        assert!(!self.engine.containers.iter().any(|found| found.name == *name), "`{name}` is there");
        assert!(self.engine.networks.iter().any(|found| found.name == network.network), "no {network:?}");
        assert!(self.engine.volumes.iter().any(|found| found.name == volume.volume), "no {volume:?}");
        self.mounts.insert(name.clone(), volume.volume.clone());
        self.uploaded.remove(name);
        self.engine.containers.push(Container {
            name: name.clone(),
            labels: labels.clone(),
            state: ContainerState::Created,
            status: "Exited (137) 2 seconds ago".into(),
            image_id: self.engine.images.get(image).expect("the image").clone(),
            networks: [(network.network.clone(), String::new())].into(),
            ports: BTreeMap::new(),
        });
    }

    /// A service's consumers are attached once its broker knows its user.
    fn await_service(&mut self, name: &str) {
        assert!(self.runs(name), "`{name}` was waited for and does not run");
        let region = RegionName::new(&self.container(name).labels[names::REGION_LABEL]);
        let permissions = &self.asked(&region).permissions;
        assert!(permissions.contains_key(names::APPLICATION), "`{name}` can never connect");
        self.not_ready.remove(name);
    }

    /// The broker of a region, which must have been waited for.
    fn asked(&mut self, region: &RegionName) -> &mut Definitions {
        let name = self.name_of(region);
        assert!(
            self.is_up(region) && self.answering.contains(region),
            "`{name}` was asked and does not answer"
        );
        assert!(!self.without_plugin.contains(region), "`{name}` lacks a plugin");
        self.brokers.get_mut(region).expect("a broker that answers")
    }

    fn name_of(&self, region: &RegionName) -> String {
        names::container(&self.project, region, BROKER)
    }

    fn is_up(&self, region: &RegionName) -> bool {
        self.elsewhere.contains(region) || self.runs(&self.name_of(region))
    }

    fn runs(&self, name: &str) -> bool {
        self.engine
            .containers
            .iter()
            .any(|container| container.name == name && container.state == ContainerState::Running)
    }
}

/// What a test does to it.
impl World {
    pub fn container(&mut self, name: &str) -> &mut Container {
        let found = self.engine.containers.iter_mut().find(|container| container.name == name);
        found.unwrap_or_else(|| panic!("no container `{name}`"))
    }

    pub fn broker(&mut self, region: &str) -> &mut Definitions {
        self.brokers.get_mut(&RegionName::new(region)).expect("a broker")
    }

    pub fn upstream(&mut self, region: &str, upstream: &str) -> &mut Upstream {
        self.broker(region).upstreams.get_mut(upstream).expect("an upstream")
    }

    pub fn remove_container(&mut self, name: &str) {
        self.engine.containers.retain(|container| container.name != name);
        self.mounts.remove(name);
    }

    pub fn remove_network(&mut self, name: &str) {
        self.engine.networks.retain(|network| network.name != name);
    }

    /// Removes a volume and, if it is a broker's, what that broker holds.
    pub fn remove_volume(&mut self, name: &str) {
        self.engine.volumes.retain(|volume| volume.name != name);
        let project = &self.project;
        self.brokers.retain(|region, _| names::container(project, region, BROKER) != name);
    }

    pub fn forget_files(&mut self, name: &str) {
        self.uploaded.remove(name);
    }

    /// Makes a broker reject fedctl's administrator.
    pub fn lock(&mut self, region: &str) {
        self.locked.insert(RegionName::new(region));
    }

    /// Adds a broker that runs elsewhere.
    pub fn add_elsewhere(&mut self, region: &str, held: Definitions) {
        let region = RegionName::new(region);
        self.elsewhere.insert(region.clone());
        self.answering.insert(region.clone());
        self.brokers.insert(region, held);
    }

    /// Makes a broker unreachable until it is waited for.
    pub fn silence(&mut self, region: &str) {
        self.answering.remove(&RegionName::new(region));
    }
}
