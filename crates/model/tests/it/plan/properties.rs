//! What holds for every topology and every damage.

use fedctl_model::{
    desired::Desired,
    federation::{Downstream, internal_queue},
    names,
    observed::{Container, ContainerState, Definitions},
    pattern::Pattern,
    plan::{Plan, plan},
    secret::Secret,
    topology::{ApplyTo, Federation, FederationPolicy, Region, RegionName, Service, Topology},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select, subsequence},
};
use serde_json::json;

use super::{World, wanted_of};

const REGIONS: [&str; 5] = ["africa", "america", "asia", "europe", "oceania"];

prop_compose! {
    fn region(name: &'static str)(
        own in subsequence(vec!["products", "indexer", "taxes"], 0..=3),
        other in any::<bool>(),
        amqp_uri_in_environment in any::<bool>(),
        replicas in 1u16..4,
    ) -> Region {
        let service = |name: &str, image: Option<&str>| Service {
            name: name.into(),
            image: image.map(Into::into),
            command: vec![],
            environment: [].into(),
            ports: vec![],
            readiness: None,
            user: None,
            memory: None,
            replicas,
            amqp_uri_in_environment,
        };
        let own = own.into_iter().map(|name| service(name, None));
        let other = other.then(|| service("crawler", Some("crawler:1")));
        Region { name: RegionName::new(name), broker: None, ports: <_>::default(), services: own.chain(other).collect() }
    }
}

prop_compose! {
    fn policy()(name in select(vec!["events", "fed", "orders"]), queues in any::<bool>(), priority in 0..3)
        -> FederationPolicy
    {
        FederationPolicy {
            name: name.into(),
            pattern: format!("^{name}{priority}"),
            apply_to: if queues { ApplyTo::Queues } else { ApplyTo::Exchanges },
            priority,
            definition: <_>::default(),
        }
    }
}

fn topology() -> impl Strategy<Value = Topology> {
    let regions = subsequence(REGIONS.to_vec(), 1..=5)
        .prop_flat_map(|names| names.into_iter().map(region).collect::<Vec<_>>());
    (regions, vec(policy(), 1..4)).prop_map(|(regions, mut policies)| {
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        policies.dedup_by(|one, other| one.name == other.name);
        Topology {
            service_image: None,
            name: "shop".into(),
            master: regions[0].name.clone(),
            broker: <_>::default(),
            regions,
            federation: Federation { policies, ..Federation::default() },
            tests: Vec::new(),
        }
    })
}

/// What may happen behind fedctl's back.
#[derive(Debug, Clone, Copy)]
enum Damage {
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RemoveImage,
    Container(fn(&mut Container)),
    NeverStarted,
    Broker(fn(&mut Definitions)),
    Silence,
    LockOut,
}

const DAMAGE: &[Damage] = &[
    Damage::RemoveContainer,
    Damage::RemoveNetwork,
    Damage::RemoveVolume,
    Damage::RemoveImage,
    Damage::Silence,
    Damage::LockOut,
    Damage::NeverStarted,
    Damage::Container(|container| container.state = ContainerState::Stopped),
    Damage::Container(|container| container.state = ContainerState::Paused),
    Damage::Container(|container| container.state = ContainerState::Restarting),
    Damage::Container(|container| drop(container.labels.remove(names::CONFIG_LABEL))),
    Damage::Container(|container| container.image_id = "older".into()),
    Damage::Container(|container| container.networks.clear()),
    Damage::Broker(|broker| *broker = Definitions::default()),
    Damage::Broker(|broker| broker.cluster_name = "other".into()),
    Damage::Broker(|broker| broker.owned = None),
    Damage::Broker(|broker| drop(broker.users.pop_first())),
    Damage::Broker(|broker| broker.users.values_mut().for_each(|hash| *hash = "other".into())),
    Damage::Broker(|broker| drop(broker.permissions.pop_last())),
    Damage::Broker(|broker| broker.permissions.values_mut().for_each(|found| found.read = "other".into())),
    Damage::Broker(|broker| drop(broker.policies.pop_first())),
    Damage::Broker(|broker| broker.policies.values_mut().for_each(|policy| policy.priority += 1)),
    Damage::Broker(|broker| drop(broker.upstreams.pop_first())),
    Damage::Broker(|broker| {
        for upstream in broker.upstreams.values_mut() {
            upstream.uri = Secret::new("amqp://link:hunter2@mars");
        }
    }),
    Damage::Broker(|broker| {
        for upstream in broker.upstreams.values_mut() {
            upstream.settings.insert("prefetch-count".into(), json!(7));
        }
    }),
];

impl Damage {
    fn inflict(self, world: &mut World, at: Index) {
        let containers: Vec<String> =
            world.engine.containers.iter().map(|found| found.name.clone()).collect();
        let regions: Vec<String> = world.brokers.keys().map(ToString::to_string).collect();
        let one = |names: &[String]| (!names.is_empty()).then(|| at.get(names).clone());
        let (container, region) = (one(&containers), one(&regions));
        match (self, container, region) {
            (Self::RemoveContainer, Some(container), _) => world.remove_container(&container),
            (Self::NeverStarted, Some(container), _) => {
                world.container(&container).state = ContainerState::Created;
                world.forget_files(&container);
            }
            (Self::Container(change), Some(container), _) => {
                let found = world.container(&container);
                // one that was never started cannot have stopped, either
                if found.state != ContainerState::Created {
                    change(found);
                }
            }
            (Self::Broker(change), _, Some(region)) => change(world.broker(&region)),
            (Self::Silence, _, Some(region)) => world.silence(&region),
            (Self::LockOut, _, Some(region)) => world.lock(&region),
            (Self::RemoveNetwork, ..) => {
                let names: Vec<_> = world.engine.networks.iter().map(|found| found.name.clone()).collect();
                if let Some(name) = one(&names) {
                    world.remove_network(&name);
                }
            }
            (Self::RemoveVolume, ..) => {
                let names: Vec<_> = world.engine.volumes.iter().map(|found| found.name.clone()).collect();
                if let Some(name) = one(&names) {
                    world.remove_volume(&name);
                }
            }
            (Self::RemoveImage, ..) => drop(world.engine.images.pop_first()),
            _ => {}
        }
    }
}

/// What links leave on their upstreams.
fn with_internal(world: &mut World, messages: u64) {
    let regions: Vec<RegionName> = world.brokers.keys().cloned().collect();
    for (upstream, broker) in &mut world.brokers {
        for downstream in regions.iter().filter(|region| *region != upstream) {
            let name = internal_queue("orders.events", &Downstream::new(downstream.as_str(), None));
            broker.exchanges.push(format!("{name} A"));
            broker.queues.push(super::queue(name, messages));
        }
    }
}

/// A world that matched one topology, was then damaged, and should match another.
fn checked(before: &Topology, damage: &[(Damage, Index)], after: &Topology, messages: u64) -> Plan {
    let mut world = World::of(&wanted_of(before));
    with_internal(&mut world, messages);
    for (damage, at) in damage {
        damage.inflict(&mut world, *at);
    }
    let wanted = wanted_of(after);
    let first = plan(&wanted, &world.look());
    let mut planned = first.clone();
    for _ in 0..4 {
        if !planned.blocked.is_empty() {
            return first;
        }
        world.apply(&planned);
        let again = plan(&wanted, &world.look());
        if !planned.provisional {
            assert_eq!(again.to_string(), "", "left to do after\n{planned}");
            return first;
        }
        planned = again;
    }
    panic!("still provisional:\n{planned}");
}

/// No more steps than everything there is can need.
fn bound(before: &Desired, after: &Desired) -> usize {
    let of = |desired: &Desired| {
        let links: usize = desired.brokers.iter().map(|broker| broker.upstreams.len()).sum();
        let policies: usize = desired.brokers.iter().map(|broker| broker.policies.len()).sum();
        let objects = desired.networks.len() + desired.volumes.len();
        objects + 10 * desired.containers.len() + 5 * desired.brokers.len() + policies + 5 * links
    };
    of(before) + of(after)
}

proptest! {
    #[test]
    fn what_was_damaged_is_whole_after_one_plan_and_the_next_is_empty(
        topology in topology(), damage in vec((select(DAMAGE), any::<Index>()), 0..8),
    ) {
        let plan = checked(&topology, &damage, &topology, 1);
        let wanted = wanted_of(&topology);
        prop_assert!(plan.steps.len() <= bound(&wanted, &wanted), "{} steps", plan.steps.len());
    }

    #[test]
    fn a_topology_becomes_any_other_in_spite_of_damage(
        before in topology(), after in topology(), damage in vec((select(DAMAGE), any::<Index>()), 0..4),
    ) {
        let plan = checked(&before, &damage, &after, 0);
        prop_assert!(plan.steps.len() <= bound(&wanted_of(&before), &wanted_of(&after)));
    }

    #[test]
    fn messages_that_wait_are_never_lost(before in topology(), after in topology()) {
        let stays = |region: &&Region| after.region(&region.name).is_some();
        let federated = after.federation.policies.iter().any(|policy| {
            policy.apply_to == ApplyTo::Exchanges
                && Pattern::new(&policy.pattern).is_ok_and(|pattern| pattern.matches("orders.events"))
        });
        let left = before.regions.iter().filter(stays).any(|upstream| {
            let downstreams = before.regions.iter().filter(|region| region.name != upstream.name);
            downstreams.into_iter().any(|downstream| !federated || !stays(&downstream))
        });
        let plan = checked(&before, &[], &after, 1);
        prop_assert_eq!(left, !plan.blocked.is_empty(), "{}", plan);
    }

    #[test]
    fn a_step_comes_after_those_it_depends_on_and_no_password_is_shown(
        before in topology(), after in topology(), damage in vec((select(DAMAGE), any::<Index>()), 0..8),
    ) {
        let plan = checked(&before, &damage, &after, 0);
        for (number, planned) in plan.steps.iter().enumerate() {
            prop_assert!(planned.after.iter().all(|before| *before < number), "{}", plan);
        }
        let shown = format!("{plan}{plan:?}");
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }
}
