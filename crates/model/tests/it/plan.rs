//! What fedctl decides to do: desired × observed → plan, against a model of the engine and the brokers.

mod adoption;
mod external;
mod import;
mod model;
mod properties;
mod upstreams;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use fedctl_model::{
    definition::Policy,
    desired::{self, Desired, Leftovers, Owner},
    federation::{Downstream, internal_queue},
    names::{self, INSTANCE_LABEL, SERVICE_LABEL},
    observed::{ContainerState, Object, Queue, Resource},
    plan::{Change, Operation, Plan, Removal, Step, link, patience, plan, remove, repair},
    secret::Secret,
    status::{Condition, LinkRef, LinkStatus, Reason},
    topology::{self, RegionName, Topology},
};
use serde_json::json;

use crate::catalogue::catalogue;
use model::World;

const TWO: &str =
    "name: shop\nmaster: europe\nregions:\n- {name: europe, services: [name: taxes]}\n- name: asia\n";
/// An exchange that the default policies federate.
const X: &str = "x.events";
const THREE: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\n";

fn wanted(yaml: &str) -> Desired {
    let (topology, _) = topology::parse(yaml, &catalogue()).expect("a valid topology");
    wanted_of(&topology)
}

/// What a topology asks for. Every password contains `hunter2`.
fn wanted_of(topology: &Topology) -> Desired {
    let mut topology = topology.clone();
    catalogue().complete(&mut topology);
    let given = topology.given_passwords().into_iter().map(|(id, _)| id);
    let passwords = desired::passwords(&topology).into_iter().chain(given).map(|id| {
        let password = Secret::new(format!("hunter2-{}-{}", id.region, id.user));
        (id, password)
    });
    desired::desired(&topology, &catalogue(), &passwords.collect(), "fedctl-service:1")
}

fn region(name: &str) -> RegionName {
    RegionName::new(name)
}

/// The plan for a world that matched `yaml` until something was done to it.
fn plan_after(yaml: &str, damage: impl FnOnce(&mut World)) -> Plan {
    let wanted = wanted(yaml);
    let mut world = World::of(&wanted);
    damage(&mut world);
    plan(&wanted, &world.look())
}

/// Compares the plan for a damaged [`TWO`] with the expected lines, then applies it: nothing may be left to do.
#[track_caller]
fn check(damage: impl FnOnce(&mut World), expected: &[&str]) {
    let wanted = wanted(TWO);
    let mut world = World::of(&wanted);
    damage(&mut world);
    check_plan(&wanted, &mut world, expected);
}

#[track_caller]
fn check_plan(wanted: &Desired, world: &mut World, expected: &[&str]) {
    let plan = plan(wanted, &world.look());
    let text = plan.to_string();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "the plan is\n{text}");
    if plan.blocked.is_empty() {
        world.up(wanted);
        assert_eq!(self::plan(wanted, &world.look()).to_string(), "", "left to do after\n{text}");
    }
}

/// The plan's text, every step with its number and those it comes after.
fn numbered(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, (line, planned)) in plan.to_string().lines().zip(&plan.steps).enumerate() {
        writeln!(text, "{number:>3} {line}  after {:?}", planned.after).unwrap();
    }
    text
}

#[test]
fn a_fresh_project_is_made_from_nothing() {
    let services = "services: [name: products, {name: crawler, image: crawler:1}]";
    let yaml = THREE.replacen("name: europe,", &format!("{{name: europe, {services}}},"), 1);
    let plan = plan(&wanted(&yaml), &World::default().look());
    assert!(!plan.provisional, "new volumes are known to be empty");
    insta::assert_snapshot!(numbered(&plan));
}

#[test]
fn where_everything_is_there_nothing_is_planned() {
    for yaml in [TWO, THREE] {
        let plan = plan_after(yaml, |_| {});
        assert!(plan.is_empty() && !plan.provisional, "{plan}");
    }
}

#[test]
fn a_missing_container_is_made_again() {
    check(
        |world| world.remove_container("shop_europe_taxes"),
        &[
            "+ container shop_europe_taxes: create (not found)",
            "+ container shop_europe_taxes: write 1 file",
            "+ container shop_europe_taxes: start",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn a_stopped_container_is_started_and_a_service_waited_for() {
    check(
        |world| world.container("shop_europe_taxes").state = ContainerState::Stopped,
        &[
            "~ container shop_europe_taxes: start (not running: Exited (137) 2 seconds ago)",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn a_service_that_runs_and_does_not_work_yet_is_waited_for() {
    let not_ready = |world: &mut World| {
        world.not_ready.insert("shop_europe_taxes".into(), "not connected yet".into());
    };
    let wait = ". container shop_europe_taxes: wait until it is ready";
    check(not_ready, &[&format!("{wait} (not connected yet)")]);
}

#[test]
fn services_are_waited_for_when_their_broker_is_recreated() {
    let plan = plan_after(TWO, |world| world.remove_volume("shop_europe_broker"));
    let wait = ". container shop_europe_taxes: wait until it is ready";
    assert_eq!(plan.to_string().lines().last(), Some(wait));
}

#[test]
fn what_a_stopped_broker_holds_is_compared_when_it_answers() {
    let plan = plan_after(TWO, |world| world.container("shop_asia_broker").state = ContainerState::Stopped);
    assert!(plan.provisional);
    check(
        |world| world.container("shop_asia_broker").state = ContainerState::Stopped,
        &[
            "~ container shop_asia_broker: start (not running: Exited (137) 2 seconds ago)",
            ". broker asia: wait until it accepts connections",
        ],
    );
}

#[test]
fn a_paused_container_goes_on() {
    check(
        |world| world.container("shop_europe_taxes").state = ContainerState::Paused,
        &[
            "~ container shop_europe_taxes: unpause (paused)",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn a_container_in_a_restart_loop_is_restarted() {
    check(
        |world| world.container("shop_europe_taxes").state = ContainerState::Restarting,
        &[
            "- container shop_europe_taxes: stop (not running: Exited (137) 2 seconds ago)",
            "+ container shop_europe_taxes: start",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn a_container_that_was_never_started_gets_its_files_first() {
    check(
        |world| {
            world.container("shop_europe_taxes").state = ContainerState::Created;
            world.forget_files("shop_europe_taxes");
        },
        &[
            "+ container shop_europe_taxes: write 1 file (was never started)",
            "+ container shop_europe_taxes: start (was never started)",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn a_container_made_from_other_settings_is_replaced() {
    check(
        |world| {
            let labels = &mut world.container("shop_asia_broker").labels;
            labels.insert(names::CONFIG_LABEL.into(), "other".into());
        },
        &[
            "- container shop_asia_broker: stop (configuration changed)",
            "- container shop_asia_broker: remove (configuration changed)",
            "+ container shop_asia_broker: create (configuration changed)",
            "+ container shop_asia_broker: write 3 files",
            "+ container shop_asia_broker: start",
            "+ container shop_asia_broker: connect to shop_wan",
            ". broker asia: wait until it accepts connections",
        ],
    );
}

#[test]
fn a_container_made_from_an_older_image_is_replaced() {
    check(
        |world| world.container("shop_europe_broker").image_id = "older".into(),
        &[
            ". links of asia: wait until they run",
            "~ broker europe: enable all stable feature flags (image changed) [cannot be undone; a version that lacks one of them no longer starts on the broker's data]",
            "- container shop_europe_broker: stop (image changed)",
            "- container shop_europe_broker: remove (image changed)",
            "+ container shop_europe_broker: create (image changed)",
            "+ container shop_europe_broker: write 3 files",
            "+ container shop_europe_broker: start",
            "+ container shop_europe_broker: connect to shop_wan",
            ". broker europe: wait until it accepts connections",
            ". container shop_europe_taxes: wait until it is ready",
        ],
    );
}

#[test]
fn flags_are_enabled_only_before_another_release_series() {
    let flags_from = |older: &str| {
        let plan = plan_after(TWO, |world| {
            world.container("shop_europe_broker").image_id = "older".into();
            let newer = world.engine.images["rabbitmq:4-management"].clone();
            world.engine.rabbitmq_versions.extend([("older".into(), older.into()), (newer, "4.1.2".into())]);
        });
        assert!(plan.to_string().contains("create (image changed)"), "{plan}");
        plan.to_string().contains("feature flags")
    };
    assert!(!flags_from("4.1.1"));
    assert!(flags_from("4.0.9"));
}

/// Makes every broker's container one of an older image.
fn outdate(world: &mut World) {
    for found in world.engine.containers.iter_mut().filter(|found| found.name.ends_with("_broker")) {
        found.image_id = "older".into();
    }
}

/// The number of the step that stops a region's broker.
fn stop_of(plan: &Plan, region: &str) -> usize {
    let broker = format!("shop_{region}_broker");
    index(plan, |step| matches!(step, Step::Engine(Operation::StopContainer { name }) if *name == broker))
}

/// The number of the step that makes this change at a region's broker.
fn change_at(plan: &Plan, at: &str, like: fn(&Change) -> bool) -> usize {
    index(
        plan,
        |step| matches!(step, Step::Broker { region, change } if region.as_str() == at && like(change)),
    )
}

#[test]
fn a_newer_image_goes_region_by_region_and_flags_are_enabled_before_a_broker_stops() {
    let wanted = wanted(THREE);
    let mut world = World::of(&wanted);
    outdate(&mut world);
    let plan = plan(&wanted, &world.look());
    for region in ["europe", "asia", "america"] {
        let flags = change_at(&plan, region, |change| matches!(change, Change::EnableFeatureFlags));
        assert!(predecessors(&plan, stop_of(&plan, region)).contains(&flags), "{}", numbered(&plan));
    }
    for (one, next) in [("europe", "asia"), ("asia", "america")] {
        let links = change_at(&plan, one, |change| matches!(change, Change::AwaitLinks { .. }));
        let accepts = change_at(&plan, one, |change| matches!(change, Change::Await { .. }));
        assert!(predecessors(&plan, links).contains(&accepts), "{}", numbered(&plan));
        assert!(predecessors(&plan, stop_of(&plan, next)).contains(&links), "{}", numbered(&plan));
    }
    world.up(&wanted);
    assert!(self::plan(&wanted, &world.look()).is_empty());
}

#[test]
fn a_region_is_upgraded_when_the_services_of_the_one_before_are_ready() {
    insta::assert_snapshot!(numbered(&plan_after(TWO, outdate)));
}

#[test]
fn an_upgrade_that_was_interrupted_goes_on_when_the_links_of_the_regions_that_have_it_run() {
    let plan = plan_after(THREE, |world| {
        outdate(world);
        let newer = world.engine.images["rabbitmq:4-management"].clone();
        world.container("shop_europe_broker").image_id = newer;
    });
    let links = change_at(&plan, "europe", |change| matches!(change, Change::AwaitLinks { .. }));
    for region in ["asia", "america"] {
        assert!(predecessors(&plan, stop_of(&plan, region)).contains(&links), "{}", numbered(&plan));
    }
    assert!(!plan.to_string().contains("shop_europe_broker"), "{plan}");
}

#[test]
fn an_upgrade_begins_when_every_broker_answers_and_everything_else_is_done() {
    let silent = plan_after(TWO, |world| {
        outdate(world);
        world.container("shop_europe_broker").state = ContainerState::Stopped;
    });
    assert!(silent.provisional && !silent.to_string().contains("shop_asia_broker"), "{silent}");

    let plan = plan_after(TWO, |world| {
        outdate(world);
        world.broker("asia").policies.remove("fed");
    });
    let put = change_at(&plan, "asia", |change| matches!(change, Change::PutPolicy { .. }));
    assert!(predecessors(&plan, stop_of(&plan, "europe")).contains(&put), "{}", numbered(&plan));
}

#[test]
fn another_configuration_goes_region_by_region_too_but_not_with_lost_passwords() {
    let damage = |world: &mut World| {
        for region in ["europe", "asia"] {
            let labels = &mut world.container(&format!("shop_{region}_broker")).labels;
            labels.insert(names::CONFIG_LABEL.into(), "other".into());
        }
    };
    let plan = plan_after(TWO, damage);
    let links = change_at(&plan, "europe", |change| matches!(change, Change::AwaitLinks { .. }));
    assert!(predecessors(&plan, stop_of(&plan, "asia")).contains(&links), "{}", numbered(&plan));
    assert!(!plan.to_string().contains("feature flags"), "{plan}");

    let locked_out = plan_after(TWO, |world| {
        damage(world);
        world.lock("europe");
        world.lock("asia");
    });
    for region in ["europe", "asia"] {
        assert_eq!(locked_out.steps[stop_of(&locked_out, region)].after, [0; 0]);
    }
}

#[test]
fn a_service_image_that_is_rebuilt_replaces_nothing() {
    check(|world| world.container("shop_europe_taxes").image_id = "other".into(), &[]);
}

#[test]
fn an_image_named_for_the_built_in_services_is_pulled_and_its_changes_count() {
    let named = TWO.replace("regions:", "service-image: example.org/fedctl:1\nregions:");
    let wanted = wanted(&named);
    let fresh = plan(&wanted, &World::default().look()).to_string();
    assert!(fresh.contains("+ image example.org/fedctl:1: pull, or build (not found)"), "{fresh}");
    assert!(!fresh.contains("make from this executable"), "{fresh}");
    let newer = |world: &mut World| world.container("shop_europe_taxes").image_id = "older".into();
    let update = plan_after(&named, newer).to_string();
    assert!(update.contains("container shop_europe_taxes: create (image changed)"), "{update}");
}

#[test]
fn an_image_that_is_gone_is_not_provided_for_a_container_that_runs() {
    check(|world| world.engine.images.clear(), &[]);
}

#[test]
fn with_a_network_its_containers_are_made_again() {
    check(
        |world| world.remove_network("shop_asia_lan"),
        &[
            "+ network shop_asia_lan: create (not found)",
            "- container shop_asia_broker: stop (its network or volume is missing)",
            "- container shop_asia_broker: remove (its network or volume is missing)",
            "+ container shop_asia_broker: create (its network or volume is missing)",
            "+ container shop_asia_broker: write 3 files",
            "+ container shop_asia_broker: start",
            "+ container shop_asia_broker: connect to shop_wan",
            ". broker asia: wait until it accepts connections",
        ],
    );
}

#[test]
fn a_broker_with_a_new_volume_is_filled_from_nothing() {
    check(
        |world| {
            world.remove_container("shop_asia_broker");
            world.remove_volume("shop_asia_broker");
        },
        &[
            "+ volume shop_asia_broker: create (not found)",
            "+ container shop_asia_broker: create (not found)",
            "+ container shop_asia_broker: write 3 files",
            "+ container shop_asia_broker: start",
            "+ container shop_asia_broker: connect to shop_wan",
            ". broker asia: wait until it accepts connections",
            "+ broker asia: record what the project owns (not found)",
            "+ broker asia: user link-europe (not found)",
            "+ broker asia: permissions of link-europe (not found)",
            "+ broker asia: user services (not found)",
            "+ broker asia: permissions of services (not found)",
            "+ broker asia: policy events on exchanges (not found)",
            "+ broker asia: policy fed on queues (not found)",
            "+ broker asia: upstream europe (not found)",
        ],
    );
}

#[test]
fn a_broker_that_left_its_networks_is_attached_again() {
    check(
        |world| world.container("shop_asia_broker").networks.clear(),
        &[
            "+ container shop_asia_broker: connect to shop_asia_lan (not found)",
            "+ container shop_asia_broker: connect to shop_wan (not found)",
        ],
    );
}

#[test]
fn a_service_that_left_its_network_is_attached_again() {
    check(
        |world| world.container("shop_europe_taxes").networks.clear(),
        &["+ container shop_europe_taxes: connect to shop_europe_lan (not found)"],
    );
}

#[test]
fn a_policy_that_was_removed_is_put_back() {
    check(
        |world| drop(world.broker("asia").policies.remove("fed")),
        &["+ broker asia: policy fed on queues (not found)"],
    );
}

#[test]
fn a_policy_that_was_changed_is_put_right() {
    let risk = "[restarts the links of what it matches; queued messages are kept]";
    let line = |change: &str| format!("~ broker asia: policy fed on queues ({change}) {risk}");
    let change = |key: &str, change: fn(&mut Policy)| {
        check(|world| change(world.broker("asia").policies.get_mut("fed").unwrap()), &[&line(key)]);
    };
    change(r"pattern ^x → ^fed\.", |policy| policy.pattern = "^x".into());
    change("apply-to all → queues", |policy| policy.apply_to = "all".into());
    change("priority 3 → 0", |policy| policy.priority = 3);
    change("max-length 7 → none", |policy| drop(policy.definition.insert("max-length".into(), json!(7))));
}

#[test]
fn an_upstream_that_was_removed_is_put_back() {
    check(
        |world| drop(world.broker("asia").upstreams.remove("europe")),
        &["+ broker asia: upstream europe (not found)"],
    );
}

#[test]
fn an_upstream_with_another_prefetch_count_is_corrected_and_the_risk_is_shown() {
    check(
        |world| world.upstream("asia", "europe").settings["prefetch-count"] = json!(500),
        &[
            "~ broker asia: upstream europe (prefetch-count 500 → 1000) [restarts this upstream's links; queued messages are kept]",
        ],
    );
}

#[test]
fn an_upstream_whose_numbers_are_spelled_otherwise_is_left_alone() {
    check(|world| world.upstream("asia", "europe").settings["prefetch-count"] = json!(1000.0), &[]);
}

#[test]
fn an_upstream_at_another_address_shows_no_password() {
    check(
        |world| world.upstream("asia", "europe").uri = Secret::new("amqp://link:hunter2@mars:5672"),
        &[
            "~ broker asia: upstream europe (uri amqp://mars:5672 → amqp://europe:5672/%2F?heartbeat=5&connection_timeout=5000) [restarts this upstream's links; queued messages are kept]",
        ],
    );
}

#[test]
fn a_user_with_another_password_is_put_right_and_no_password_is_shown() {
    check(
        |world| drop(world.broker("asia").users.insert("link-europe".into(), "other".into())),
        &["~ broker asia: user link-europe (password differs)"],
    );
}

#[test]
fn permissions_that_differ_are_put_right() {
    check(
        |world| world.broker("asia").permissions.get_mut("services").unwrap().write = ".*".into(),
        &["~ broker asia: permissions of services (write .* → ^(?!federation: ))"],
    );
}

#[test]
fn a_cluster_name_that_differs_is_put_right() {
    check(
        |world| world.broker("asia").cluster_name = "rabbit@asia".into(),
        &["~ broker asia: cluster name asia (cluster name rabbit@asia → asia)"],
    );
}

#[test]
fn a_broker_has_its_cluster_name_before_anything_starts_its_links() {
    let plan = plan_after(TWO, |world| {
        let broker = world.broker("asia");
        broker.cluster_name = "rabbit@asia".into();
        broker.upstreams.clear();
        broker.policies.clear();
    });
    let named =
        index(&plan, |step| matches!(step, Step::Broker { change: Change::PutClusterName { .. }, .. }));
    for (number, planned) in plan.steps.iter().enumerate() {
        if matches!(
            planned.step,
            Step::Broker { change: Change::PutUpstream { .. } | Change::PutPolicy { .. }, .. }
        ) {
            assert!(predecessors(&plan, number).contains(&named), "{}", numbered(&plan));
        }
    }
}

#[test]
fn an_upstream_is_put_once_its_user_and_its_network_exist() {
    let plan = plan(&wanted(THREE), &World::default().look());
    for (number, planned) in plan.steps.iter().enumerate() {
        let Step::Broker { region: downstream, change: Change::PutUpstream { name, .. } } = &planned.step
        else {
            continue;
        };
        let user = names::link_user(downstream);
        let before = predecessors(&plan, number);
        let comes_before = |wanted: &dyn Fn(&Step) -> bool| before.contains(&index(&plan, wanted));
        let broker = |region: &str| format!("shop_{region}_broker");
        let connected = |name: String| {
            comes_before(
                &|step| matches!(step, Step::Engine(Operation::ConnectNetwork { container, .. }) if *container == name),
            )
        };
        assert!(connected(broker(downstream.as_str())) && connected(broker(name)));
        assert!(comes_before(
            &|step| matches!(step, Step::Broker { region, change: Change::PutPermissions { user: put, .. } }
            if region.as_str() == name && *put == user)
        ));
    }
}

/// The number of the one step that is like this.
fn index(plan: &Plan, like: impl Fn(&Step) -> bool) -> usize {
    plan.steps.iter().position(|planned| like(&planned.step)).expect("such a step")
}

/// The steps that are done before one can begin.
fn predecessors(plan: &Plan, number: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut left = vec![number];
    while let Some(number) = left.pop() {
        left.extend(plan.steps[number].after.iter().filter(|number| found.insert(**number)));
    }
    found
}

#[test]
fn what_others_put_there_under_our_name_is_never_touched() {
    let plan = plan_after(TWO, |world| {
        world.engine.networks[0].labels.insert(names::PROJECT_LABEL.into(), "others".into());
        world.engine.volumes[0].labels.clear();
        world.container("shop_europe_taxes").labels.clear();
    });
    let blocked: Vec<_> = plan.blocked.iter().map(|blocked| blocked.place.to_string()).collect();
    assert_eq!(
        blocked,
        ["network `shop_asia_lan`", "volume `shop_asia_broker`", "container `shop_europe_taxes`"]
    );
    let last = plan.to_string().lines().last().unwrap().to_owned();
    assert_eq!(
        last,
        "! container `shop_europe_taxes`: exists and does not belong to project `shop`; give the project another name, or \
         remove it: docker container rm shop_europe_taxes"
    );
}

#[test]
fn an_upstream_or_policy_of_others_that_differs_blocks_the_plan() {
    let plan = plan_after(TWO, |world| {
        let broker = world.broker("asia");
        broker.owned = None;
        broker.policies.get_mut("fed").unwrap().priority = 3;
        broker.upstreams.get_mut("europe").unwrap().settings["prefetch-count"] = json!(500);
    });
    let blocked: Vec<_> =
        plan.to_string().lines().filter(|line| line.starts_with('!')).map(str::to_owned).collect();
    let help = "take it over with `--adopt`, make the topology match it, or delete it on the broker";
    let blocked_by = |what: &str, differing: &str| {
        format!(
            "! {what} in `asia`: exists, differs ({differing}), and was not created by this project; {help}"
        )
    };
    assert_eq!(
        blocked,
        [
            blocked_by("policy `fed`", "priority 3 → 0"),
            blocked_by("upstream `europe`", "prefetch-count 500 → 1000")
        ]
    );
}

#[test]
fn an_upstream_or_policy_of_others_that_is_equal_becomes_ours() {
    check(
        |world| world.broker("asia").owned = None,
        &["+ broker asia: record what the project owns (not found)"],
    );
}

#[test]
fn what_others_put_on_a_broker_stays() {
    check(
        |world| {
            let broker = world.broker("asia");
            broker.users.insert("guest".into(), "hash".into());
            let theirs = broker.policies["fed"].clone();
            broker.policies.insert("theirs".into(), theirs);
            broker.exchanges.push("federation: theirs -> mars A".into());
            broker.queues.push(queue("federation: theirs -> mars".into(), 0));
        },
        &[],
    );
}

fn queue(name: String, messages: u64) -> Queue {
    Queue { name, messages, unacknowledged: 0, is_stream: false }
}

/// What a link of the exchange to this region leaves on every other broker.
fn with_internal(world: &mut World, exchange: &str, downstream: &str, messages: u64) {
    let name = internal_queue(exchange, &Downstream::new(downstream, None));
    for (region, broker) in &mut world.brokers {
        if region.as_str() != downstream {
            broker.exchanges.extend([format!("{name} A"), format!("{name} B")]);
            broker.queues.push(queue(name.clone(), messages));
        }
    }
}

#[test]
fn a_region_that_left_the_file_goes_and_its_data_stays() {
    let mut world = World::of(&wanted(THREE));
    with_internal(&mut world, X, "america", 0);
    with_internal(&mut world, X, "asia", 0);
    let wanted = wanted(&THREE.replace(", name: america", ""));
    insta::assert_snapshot!(numbered(&plan(&wanted, &world.look())));
    world.up(&wanted);
    assert!(plan(&wanted, &world.look()).is_empty());
    assert!(world.engine.volumes.iter().any(|volume| volume.name == "shop_america_broker"));
    assert_eq!(world.broker("europe").queues.len(), 1, "only asia's is left");
}

#[test]
fn a_region_for_which_messages_wait_does_not_go() {
    let mut world = World::of(&wanted(THREE));
    with_internal(&mut world, X, "america", 19);
    let plan = plan(&wanted(&THREE.replace(", name: america", "")), &world.look());
    let blocked: Vec<_> = plan.blocked.iter().map(ToString::to_string).collect();
    let text = "19 messages still queued for `america`, which is no longer in the topology";
    assert_eq!(
        blocked,
        [
            format!("queue `federation: x.events -> america` in `europe`: {text}"),
            format!("queue `federation: x.events -> america` in `asia`: {text}")
        ]
    );
}

/// The broker that a topology wants in a region.
fn wanted_broker(region: &str) -> desired::Broker {
    wanted(TWO).brokers.into_iter().find(|broker| broker.region.as_str() == region).unwrap()
}

#[test]
fn paused_links_stay_paused_until_they_are_resumed() {
    let mut world = World::of(&wanted(TWO));
    let (asia, europe) = (wanted_broker("asia"), region("europe"));
    let recorded = |world: &mut World| world.broker("asia").owned.clone().unwrap();
    let pause = link::pause(&asia, &europe, recorded(&mut world));
    world.apply(&pause);
    assert!(world.upstream("asia", "europe").is_paused());
    assert!(plan(&wanted(TWO), &world.look()).is_empty(), "it is remembered");

    let by_hand = asia.upstreams["europe"].clone();
    world.broker("asia").upstreams.insert("europe".into(), by_hand);
    let again = plan(&wanted(TWO), &world.look()).to_string();
    let risk = "[restarts this upstream's links; queued messages are kept]";
    assert_eq!(again, format!("~ broker asia: upstream europe (its links are paused) {risk}\n"));
    world.up(&wanted(TWO));
    assert!(world.upstream("asia", "europe").is_paused());

    let resume = link::resume(&asia, &europe, recorded(&mut world));
    world.apply(&resume);
    assert_eq!(world.broker("asia").upstreams["europe"], asia.upstreams["europe"]);
    assert!(plan(&wanted(TWO), &world.look()).is_empty());
}

#[test]
fn a_resumption_that_is_cut_short_is_finished_by_up() {
    let mut world = World::of(&wanted(TWO));
    let (asia, europe) = (wanted_broker("asia"), region("europe"));
    let recorded = |world: &mut World| world.broker("asia").owned.clone().unwrap();
    let pause = link::pause(&asia, &europe, recorded(&mut world));
    world.apply(&pause);
    let mut resume = link::resume(&asia, &europe, recorded(&mut world));
    resume.steps.truncate(1);
    world.apply(&resume);
    world.up(&wanted(TWO));
    assert_eq!(*world.upstream("asia", "europe"), asia.upstreams["europe"]);
}

#[test]
fn a_change_that_was_interrupted_is_told_again_though_nothing_differs() {
    let world = World::of(&wanted(TWO));
    let mut wanted = wanted(TWO);
    wanted.interrupted.insert((region("asia"), "europe".into()));
    let plan = plan(&wanted, &world.look());
    assert_eq!(plan.changed_upstreams(), wanted.interrupted);
    insta::assert_snapshot!(numbered(&plan));
}

#[test]
fn what_was_kept_for_a_region_that_left_is_known_when_it_is_discarded() {
    let mut world = World::of(&wanted(THREE));
    with_internal(&mut world, X, "america", 19);
    let mut wanted = wanted(&THREE.replace(", name: america", ""));
    wanted.leftovers = Leftovers::Keep;
    world.up(&wanted);
    wanted.leftovers = Leftovers::Refuse;
    assert!(plan(&wanted, &world.look()).is_empty(), "what was kept once stays");
    wanted.leftovers = Leftovers::Discard;
    world.up(&wanted);
    assert_eq!(world.broker("europe").queues, []);
    assert!(!world.broker("europe").owned.as_ref().unwrap().downstreams.contains("america"));
}

const NARROWED: &str =
    "federation: {policies: [{name: events, pattern: '\\.published$', apply-to: exchanges}]}\n";

#[test]
fn what_a_narrowed_policy_leaves_behind_is_removed_once_its_links_are_gone() {
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, X, "asia", 0);
    let wanted = wanted(&format!("{TWO}{NARROWED}"));
    insta::assert_snapshot!(numbered(&plan(&wanted, &world.look())));
    world.up(&wanted);
    assert_eq!(world.broker("europe").queues, []);
}

#[test]
fn a_plan_for_some_regions_removes_nothing_of_links_to_the_others() {
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, X, "asia", 0);
    let plan = plan(&wanted(&format!("{TWO}{NARROWED}")).only(&[region("europe")]), &world.look());
    assert!(plan.to_string().contains("policy events"), "{plan}");
    assert!(!plan.to_string().contains("x.events -> asia"), "{plan}");
}

#[test]
fn messages_that_a_narrowed_policy_leaves_behind_need_a_decision() {
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, X, "asia", 50);
    let mut wanted = wanted(&format!("{TWO}{NARROWED}"));
    let refused = plan(&wanted, &world.look()).blocked;
    let text = "queue `federation: x.events -> asia` in `europe`: 50 messages still queued for `asia`, though no policy \
                federates `x.events` any more";
    assert_eq!(refused.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);

    let mut kept = world.clone();
    wanted.leftovers = Leftovers::Keep;
    kept.up(&wanted);
    assert_eq!((kept.broker("europe").queues.len(), kept.broker("europe").exchanges.len()), (1, 0));
    wanted.leftovers = Leftovers::Refuse;
    assert!(plan(&wanted, &kept.look()).is_empty(), "what was kept once stays");

    wanted.leftovers = Leftovers::Discard;
    let discarded = plan(&wanted, &world.look()).to_string();
    assert!(discarded.contains("with 50 messages"), "{discarded}");
    assert!(discarded.contains("[the messages in it are lost]"), "{discarded}");
    world.up(&wanted);
    assert_eq!(world.broker("europe").queues, []);
}

#[test]
fn what_somebody_elses_policy_federates_is_not_left_behind() {
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, "theirs", "asia", 7);
    let mut theirs = world.broker("asia").policies["events"].clone();
    theirs.pattern = "^theirs$".into();
    world.broker("asia").policies.insert("theirs".into(), theirs);
    assert!(plan(&wanted(TWO), &world.look()).is_empty());
}

#[test]
fn what_a_killed_probe_left_is_removed_and_what_a_running_one_uses_stays() {
    let probes = "fedctl.probe.abcdefgh.events";
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, probes, "asia", 3);
    world.broker("asia").exchanges.push(probes.into());
    assert!(plan(&wanted(TWO), &world.look()).is_empty(), "asia has its exchange");

    world.broker("asia").exchanges.retain(|name| name != probes);
    let mut unknown = world.clone();
    unknown.container("shop_asia_broker").state = ContainerState::Paused;
    let wanted = wanted(TWO);
    assert!(!plan(&wanted, &unknown.look()).to_string().contains(probes), "asia may have it");
    let plan = plan(&wanted, &world.look());
    assert_eq!(plan.blocked, []);
    world.up(&wanted);
    assert_eq!((world.broker("europe").queues.len(), world.broker("europe").exchanges.len()), (0, 0));
}

#[test]
fn what_a_silent_downstream_federates_is_not_known_to_be_left_behind() {
    let mut world = World::of(&wanted(TWO));
    with_internal(&mut world, "theirs", "asia", 7);
    world.container("shop_asia_broker").state = ContainerState::Paused;
    assert_eq!(plan(&wanted(TWO), &world.look()).blocked, []);
}

#[test]
fn a_broker_without_a_plugin_is_told_to_enable_it() {
    check(
        |world| {
            world.without_plugin.insert(region("asia"));
        },
        &[
            "~ container shop_asia_broker: enable rabbitmq_federation, rabbitmq_federation_management (not enabled)",
            "- broker asia: policy fed (not enabled)",
            "+ broker asia: policy fed on queues",
            ". broker asia: wait until it accepts connections",
        ],
    );
}

fn owned_by(file: &str, take_over: bool) -> Desired {
    Desired { owner: Some(Owner { file: file.into(), take_over }), ..wanted(TWO) }
}

#[test]
fn a_project_of_another_file_is_left_alone_unless_it_is_taken_over() {
    let mut world = World::of(&owned_by("/a/regions.yaml", false));
    assert!(plan(&owned_by("/a/regions.yaml", false), &world.look()).is_empty());
    let blocked = plan(&owned_by("/b/regions.yaml", false), &world.look()).blocked;
    assert_eq!(
        blocked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["project `shop`: belongs to `/a/regions.yaml`"]
    );
    world.up(&owned_by("/b/regions.yaml", true));
    assert!(plan(&owned_by("/b/regions.yaml", false), &world.look()).is_empty());
    assert_eq!(plan(&owned_by("/a/regions.yaml", false), &world.look()).blocked.len(), 1);
}

#[test]
fn a_project_that_was_renamed_in_its_file_is_noticed_while_it_has_containers() {
    let mut world = World::of(&owned_by("/a/regions.yaml", false));
    let renamed = wanted(&TWO.replace("name: shop", "name: inn"));
    let renamed =
        Desired { owner: Some(Owner { file: "/a/regions.yaml".into(), take_over: false }), ..renamed };
    let blocked = plan(&renamed, &world.look()).blocked;
    assert_eq!(
        blocked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["project `shop`: was this file's project before, and still has 3 containers"]
    );
    for container in ["shop_europe_taxes", "shop_europe_broker", "shop_asia_broker"] {
        world.remove_container(container);
    }
    assert_eq!(plan(&renamed, &world.look()).blocked, []);
}

#[test]
fn a_policy_that_left_the_file_is_deleted() {
    let mut world = World::of(&wanted(TWO));
    let only = "federation: {policies: [{name: events, pattern: '\\.events$', apply-to: exchanges}]}\n";
    let wanted = wanted(&format!("{TWO}{only}"));
    let plan = plan(&wanted, &world.look()).to_string();
    for line in
        ["- broker asia: policy fed (not in the topology)", "+ broker asia: record what the project owns"]
    {
        assert!(plan.lines().any(|found| found == line), "{plan}");
    }
    world.up(&wanted);
    assert!(!world.broker("asia").policies.contains_key("fed"));
}

#[test]
fn a_region_that_is_added_touches_the_others_only_where_it_must() {
    let mut world = World::of(&wanted(&THREE.replace(", name: america", "")));
    let wanted = wanted(THREE);
    insta::assert_snapshot!(numbered(&plan(&wanted, &world.look())));
    world.up(&wanted);
    assert!(plan(&wanted, &world.look()).is_empty());
}

#[test]
fn a_broker_that_does_not_answer_is_waited_for_and_stops_no_other() {
    let damage = |world: &mut World| {
        world.silence("europe");
        world.broker("asia").policies.remove("fed");
    };
    assert!(plan_after(TWO, damage).provisional);
    check(
        damage,
        &[
            ". broker europe: wait until it accepts connections (unreachable; will be compared once it is up)",
            "+ broker asia: policy fed on queues (not found)",
        ],
    );
}

#[test]
fn more_replicas_leave_those_that_run_alone_and_every_host_is_known_to_who_commands_them() {
    let services = |replicas: u8| {
        let services = format!(
            "services: [{{name: compute-host, replicas: {replicas}, environment: {{HOSTS: '${{instances:compute-host}}'}}}}, {{name: worker, image: w, replicas: {replicas}}}]"
        );
        wanted(&THREE.replacen("name: europe,", &format!("{{name: europe, {services}}},"), 1))
    };
    let (one, two) = (services(1), services(2));
    let mut world = World::of(&one);
    let lines = plan(&two, &world.look()).to_string();
    assert!(lines.contains("+ container shop_europe_worker-2: create (not found)"), "{lines}");
    assert!(!lines.contains("shop_europe_worker:"), "the first stays as it is: {lines}");
    world.up(&two);
    let hosts: Vec<&str> = two
        .containers
        .iter()
        .filter(|container| container.service == "compute-host")
        .map(|container| container.environment["HOSTS"].expose())
        .collect();
    assert_eq!(hosts, ["europe/compute-host,europe/compute-host-2"; 2]);
}

#[test]
fn a_built_in_service_knows_its_instances_everywhere_unless_the_topology_says_otherwise() {
    let instances = |services: [&str; 2]| {
        let [europe, asia] = services;
        let regions = [("europe", europe), ("asia", asia)];
        let regions =
            regions.map(|(name, services)| format!("  - {{name: {name}, services: [{services}]}}\n"));
        let desired = wanted(&format!("name: shop\nmaster: europe\nregions:\n{}", regions.concat()));
        let payments = desired.containers.iter().filter(|container| container.service == "payment");
        let known = payments.map(|container| {
            container.environment.get("INSTANCES").map(|instances| instances.expose().to_owned())
        });
        known.collect::<Vec<_>>()
    };
    let both = Some("europe/payment,europe/payment-2,asia/payment".to_owned());
    let all = [both.clone(), both.clone(), both];
    assert_eq!(instances(["{name: payment, replicas: 2}", "{name: payment}"]), all);
    let set = "{name: payment, environment: {INSTANCES: asia/payment}}";
    assert_eq!(instances([set, "{name: payment, image: i}"]), [Some("asia/payment".to_owned()), None]);
}

#[test]
fn a_replica_has_its_service_and_itself_as_labels() {
    let wanted = wanted(&TWO.replace("name: taxes", "{name: taxes, replicas: 2}"));
    let labels = wanted
        .containers
        .iter()
        .map(|container| [SERVICE_LABEL, INSTANCE_LABEL].map(|label| container.labels[label].as_str()));
    let labels: Vec<_> = labels.collect();
    assert_eq!(
        labels,
        [["broker", "broker"], ["taxes", "taxes"], ["taxes", "taxes-2"], ["broker", "broker"]]
    );
}

#[test]
fn a_service_with_an_image_of_its_own_is_waited_for_only_with_a_readiness_check() {
    let waits = |service: &str| {
        let wanted = wanted(&TWO.replace("name: taxes", service));
        plan(&wanted, &World::default().look()).to_string().matches("wait until it is ready").count()
    };
    assert_eq!(waits("name: payment"), 1);
    let own = "name: payment, image: 'mine:1', ports: [{container: 8000}]";
    assert_eq!(waits(&format!("{{{own}}}")), 0);
    assert_eq!(waits(&format!("{{{own}, readiness: {{http: /ready}}}}")), 1);
}

fn failing(resource: Resource, reason: Reason) -> LinkStatus {
    LinkStatus {
        link: LinkRef { upstream: region("europe"), downstream: region("asia"), resource },
        condition: Condition::Failing(reason),
        activity: None,
        age_seconds: None,
        last_known: None,
        growth: None,
        lag_seconds: None,
        waiting: None,
    }
}

#[test]
fn a_stalled_link_is_restarted_or_has_its_policy_or_upstream_put_again() {
    let not_propagated = Reason::BindingNotPropagated { routing_key: "created".into() };
    let deaf = failing(Resource::Exchange("shop.events".into()), not_propagated);
    let missing = failing(Resource::Queue("fed.orders".into()), Reason::NotStarted);
    let refused = failing(Resource::Queue("fed.bills".into()), Reason::AccessRefused);
    let plan = repair([&deaf, &missing, &refused], &wanted(TWO).brokers);
    let upstreams = plan.steps.iter().filter_map(|planned| {
        let Step::Broker { change: Change::PutUpstream { upstream, .. }, .. } = &planned.step else {
            return None;
        };
        Some(upstream.value())
    });
    let upstreams: Vec<_> = upstreams.collect();
    assert_ne!(upstreams[0], upstreams[1]);
    assert_eq!(upstreams[1], wanted(TWO).brokers[1].upstreams["europe"].value());
    let plan = plan.to_string();
    let expected = [
        "~ broker asia: restart link of shop.events from europe (bindings not propagated upstream)",
        "~ broker asia: upstream europe (links still use the old credentials) [restarts this upstream's links; queued messages are kept]",
        "~ broker asia: upstream europe (links still use the old credentials) [restarts this upstream's links; queued messages are kept]",
        "- broker asia: policy fed (its links were not started)",
        "+ broker asia: policy fed on queues",
    ];
    assert_eq!(plan.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_link_is_stalled_by_its_reason_and_by_no_word_of_it() {
    let text = || "the upstream refuses the link's user or password".to_owned();
    let stalled = [
        (Reason::BindingNotPropagated { routing_key: "created".into() }, true),
        (Reason::NotStarted, true),
        (Reason::AccessRefused, true),
        (Reason::RefusedByUpstream { text: text() }, false),
        (Reason::Other { status: text(), error: Some(text()) }, false),
        (Reason::NoRoute, false),
        (Reason::StartingTooLong { seconds: 6 }, false),
        (Reason::NotInTopology, false),
    ];
    for (reason, expected) in stalled {
        let link = failing(Resource::Queue("fed.bills".into()), reason);
        assert_eq!(patience(&link).is_some(), expected, "{}", link.condition);
        assert_eq!(repair([&link], &wanted(TWO).brokers).is_empty(), !expected, "{}", link.condition);
    }
}

#[test]
fn of_two_networks_of_one_name_one_is_left() {
    let wanted = wanted(TWO);
    let mut world = World::of(&wanted);
    let twice = world.engine.networks[0].clone();
    let line = format!("network {}: create (duplicate name; keeping one)", twice.name);
    world.engine.networks.push(twice);
    let first = plan(&wanted, &world.look());
    assert!(first.to_string().contains(&line), "{first}");
    world.apply(&first);
    assert!(plan(&wanted, &world.look()).is_empty());
}

#[test]
fn a_broker_that_rejects_the_administrator_is_restarted() {
    let damage = |world: &mut World| world.lock("europe");
    assert!(plan_after(TWO, damage).provisional);
    check(
        damage,
        &[
            "- container shop_europe_broker: stop (rejects the fedctl admin user (restored on restart))",
            "+ container shop_europe_broker: start",
            ". broker europe: wait until it accepts connections",
        ],
    );
}

#[test]
fn services_wait_for_the_plan_that_knows_whether_their_user_is_there() {
    // as after an interrupt: the volume exists, and no user was created in it
    check(
        |world| {
            world.remove_container("shop_europe_taxes");
            world.remove_container("shop_europe_broker");
            world.broker("europe").users.clear();
            world.broker("europe").permissions.clear();
        },
        &[
            "+ container shop_europe_broker: create (not found)",
            "+ container shop_europe_broker: write 3 files",
            "+ container shop_europe_broker: start",
            "+ container shop_europe_broker: connect to shop_wan",
            ". broker europe: wait until it accepts connections",
        ],
    );
}

#[test]
fn chosen_regions_leave_the_others_as_they_are() {
    let mut world = World::of(&wanted(THREE));
    world.remove_container("shop_europe_broker");
    world.remove_container("shop_asia_broker");
    world
        .engine
        .networks
        .push(Object { name: "shop_old_lan".into(), labels: world.engine.networks[0].labels.clone() });
    let chosen = wanted(THREE).only(&[region("europe")]);
    check_plan(
        &chosen,
        &mut world,
        &[
            "+ container shop_europe_broker: create (not found)",
            "+ container shop_europe_broker: write 3 files",
            "+ container shop_europe_broker: start",
            "+ container shop_europe_broker: connect to shop_wan",
            ". broker europe: wait until it accepts connections",
        ],
    );
}

#[test]
fn down_removes_containers_and_networks_and_keeps_the_data() {
    let mut world = World::of(&wanted(TWO));
    world.engine.networks.push(Object { name: "bridge".into(), labels: BTreeMap::new() });
    let plan = remove("shop", &world.engine, &Removal::default());
    insta::assert_snapshot!(numbered(&plan));
    world.apply(&plan);
    assert_eq!(world.engine.containers, []);
    assert_eq!(world.engine.networks.len(), 1, "what others have stays");
    assert_eq!(world.engine.volumes.len(), 3);
    assert!(remove("shop", &world.engine, &Removal::default()).is_empty());
}

#[test]
fn down_with_volumes_and_images_leaves_nothing() {
    let mut world = World::of(&wanted(TWO));
    let everything = Removal { volumes: true, images: vec!["fedctl-service:1".into(), "gone:1".into()] };
    let plan = remove("shop", &world.engine, &everything);
    insta::assert_snapshot!(numbered(&plan));
    world.apply(&plan);
    assert_eq!(world.engine.volumes, []);
    assert!(!world.engine.images.contains_key("fedctl-service:1"));
    assert!(remove("shop", &world.engine, &everything).is_empty());
}

#[test]
fn what_is_half_gone_is_removed_too() {
    let mut world = World::of(&wanted(TWO));
    world.remove_container("shop_asia_broker");
    world.remove_network("shop_asia_lan");
    world.container("shop_europe_taxes").state = ContainerState::Created;
    world.container("shop_europe_broker").state = ContainerState::Stopped;
    let plan = remove("shop", &world.engine, &Removal::default());
    let lines = [
        "- container shop_europe_broker: remove (requested)",
        "- container shop_europe_taxes: remove (requested)",
        "- network shop_europe_lan: remove (requested)",
        "- network shop_wan: remove (requested)",
    ];
    assert_eq!(plan.to_string().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn the_number_of_steps_grows_with_the_links_and_not_with_their_square() {
    for regions in 1..=12 {
        let names: Vec<_> = (0..regions).map(|n| format!("name: r{n}")).collect();
        let yaml = format!("name: shop\nmaster: r0\nregions: [{}]\n", names.join(", "));
        let links = regions * (regions - 1);
        let steps = plan(&wanted(&yaml), &World::default().look()).steps.len();
        // a link needs a user, its permissions and an upstream; a region everything else; all share an image and a network
        assert_eq!(steps, 3 * links + 12 * regions + 2, "{regions} regions");
    }
}
