//! Objects that exist on a broker before the topology does: whose they are, and what becomes of them.

use fedctl_model::{
    desired::{Desired, Leftovers},
    observed::{Definitions, Owned, Queue},
    plan::plan,
    secret::Secret,
};
use serde_json::json;

use super::{World, check_plan, external, wanted};

const RIGHTS: [&str; 2] = ["monitoring", "policymaker"];

/// Two brokers that were federated by hand, just as the topology says.
fn by_hand() -> (Desired, World) {
    let wanted = wanted(external::OTHERS);
    let mut world = external::empty([("europe", "europe"), ("asia", "tokyo")], &RIGHTS);
    world.up(&wanted);
    for region in ["europe", "asia"] {
        world.broker(region).owned = None;
    }
    (wanted, world)
}

fn adopting(wanted: &Desired) -> Desired {
    Desired { adopt: true, ..wanted.clone() }
}

fn recorded(world: &mut World, region: &str) -> Owned {
    world.broker(region).owned.clone().expect("a record")
}

#[test]
fn what_is_there_and_equal_is_used_and_stays_its_makers() {
    let (wanted, mut world) = by_hand();
    check_plan(
        &wanted,
        &mut world,
        &[
            "+ broker europe: record what the project owns (not found)",
            "+ broker asia: record what the project owns (not found)",
        ],
    );
    let owned = recorded(&mut world, "asia");
    assert!(owned.policies.is_empty() && owned.upstreams.is_empty(), "{owned:?}");
    let pairs = "federation: {shape: pairs, pairs: [{upstream: asia, downstream: europe}]}\n";
    let less = super::wanted(&format!("{}{pairs}", external::OTHERS));
    let text = plan(&less, &world.look()).to_string();
    assert!(!text.contains("upstream europe"), "it is not this project's to remove:\n{text}");
}

#[test]
fn what_is_there_and_equal_is_adopted_by_a_record_alone() {
    let (wanted, mut world) = by_hand();
    check_plan(
        &adopting(&wanted),
        &mut world,
        &[
            "~ broker europe: record what the project owns (adopts upstream asia, policy events, policy fed)",
            "~ broker asia: record what the project owns (adopts upstream europe, policy events, policy fed)",
        ],
    );
    assert_eq!(plan(&wanted, &world.look()).to_string(), "", "it is the project's from now on");
}

#[test]
fn what_only_leaves_out_defaults_is_equal() {
    let (wanted, mut world) = by_hand();
    let upstream = world.upstream("asia", "europe");
    for key in ["ack-mode", "max-hops", "prefetch-count"] {
        upstream.settings.remove(key);
    }
    upstream.uri = Secret::new("amqps://li%2Fnk:hunter2-europe-li%2Fnk@eu.example.com:5671?heartbeat=5");
    let text = plan(&adopting(&wanted), &world.look()).to_string();
    assert!(text.lines().all(|line| line.contains("record what the project owns")), "{text}");
    world.upstream("asia", "europe").settings.remove("reconnect-delay");
    let text = plan(&adopting(&wanted), &world.look()).to_string();
    assert!(text.contains("upstream europe (adopted: reconnect-delay 5 → 1)"), "{text}");
}

#[test]
fn what_differs_is_adopted_step_by_step_with_every_difference_in_words() {
    let (wanted, mut world) = by_hand();
    let upstream = world.upstream("asia", "europe");
    upstream.settings["prefetch-count"] = json!(500);
    upstream.uri = Secret::new("amqps://other:secret@eu.example.com/%2F?heartbeat=7");
    world.broker("asia").policies.get_mut("fed").unwrap().priority = 3;
    let found = external::blocked(&plan(&wanted, &world.look()));
    let uri = |heartbeat, rest| format!("amqps://eu.example.com/%2F?heartbeat={heartbeat}{rest}");
    let differing = format!(
        "prefetch-count 500 → 1000, uri {} → {}, password differs",
        uri(7, ""),
        uri(5, "&connection_timeout=5000")
    );
    let text = |what: &str, differing: &str| {
        format!("FED0502 {what} in `asia` exists, differs ({differing}), and was not created by this project")
    };
    assert_eq!(found, [text("policy `fed`", "priority 3 → 0"), text("upstream `europe`", &differing)]);
    let restarts = |what: &str| format!("[restarts {what}; queued messages are kept]");
    check_plan(
        &adopting(&wanted),
        &mut world,
        &[
            "~ broker europe: record what the project owns (adopts upstream asia, policy events, policy fed)",
            "~ broker asia: record what the project owns (adopts upstream europe, policy events, policy fed)",
            &format!(
                "~ broker asia: policy fed on queues (adopted: priority 3 → 0) {}",
                restarts("the links of what it matches")
            ),
            &format!(
                "~ broker asia: upstream europe (adopted: {differing}) {}",
                restarts("this upstream's links")
            ),
        ],
    );
}

#[test]
fn a_user_of_others_keeps_its_password_until_it_is_adopted() {
    let mut world = external::tenants(&["administrator"]);
    let tenants = wanted(external::TENANTS);
    let link = "link-shop-asia-europe";
    world.broker("asia").users.insert(link.into(), "hash".into());
    world.broker("asia").lacks_vhost = false;
    let found = external::blocked(&plan(&tenants, &world.look()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("FED0502 user `{link}` in `asia` exists, differs (password differs"))
    );
    let plan = plan(&adopting(&tenants), &world.look());
    assert!(
        plan.to_string().contains(&format!("~ broker asia: user {link} (adopted: password differs")),
        "{plan}"
    );
    world.apply(&plan);
    assert!(recorded(&mut world, "asia").users.contains(link));
}

fn of_another(names: &[&str], vhost: Option<&str>) -> (String, Owned) {
    let names = || names.iter().copied().map(str::to_owned).collect();
    let owned = Owned { users: names(), upstreams: names(), policies: names(), ..Owned::default() };
    ("billing".into(), Owned { vhost: vhost.map(str::to_owned), ..owned })
}

#[test]
fn what_another_topology_has_recorded_is_never_taken_over() {
    let (wanted, mut world) = by_hand();
    world.broker("asia").others.push(of_another(&["events"], Some("/")));
    for wanted in [&wanted, &adopting(&wanted)] {
        let found = external::blocked(&plan(wanted, &world.look()));
        let text = "FED0531 policy `events` in `asia` belongs to project `billing`, another topology";
        assert_eq!(found, [text], "though it is equal");
    }
    world.broker("asia").others = vec![of_another(&["events"], Some("/other"))];
    assert_eq!(plan(&wanted, &world.look()).blocked, [], "it is in another virtual host");
    world.broker("asia").others = vec![of_another(&["europe"], Some("/elsewhere"))];
    assert_eq!(plan(&wanted, &world.look()).blocked, [], "of the same name");
}

#[test]
fn upstreams_of_another_topology_in_the_same_virtual_host_block_the_plan() {
    let (wanted, mut world) = by_hand();
    let theirs = world.upstream("asia", "europe").clone();
    world.broker("asia").upstreams.insert("mars".into(), theirs);
    world.broker("asia").others.push(of_another(&["mars"], Some("/")));
    let found = external::blocked(&plan(&wanted, &world.look()));
    assert_eq!(found, ["FED0532 broker `asia` virtual host `/` has upstream `mars` of project `billing`"]);
}

#[test]
fn what_two_topologies_have_recorded_is_removed_by_the_last_of_them() {
    let (wanted, mut world) = by_hand();
    world.up(&adopting(&wanted));
    world.broker("asia").others.push(of_another(&["europe", "events", "fed"], Some("/")));
    assert_eq!(plan(&wanted, &world.look()).to_string(), "", "as long as it is equal");
    let less = super::wanted(&format!(
        "{}federation: {{policies: [{{name: fed, pattern: '^fed\\.', apply-to: queues}}]}}\n",
        external::OTHERS
    ));
    let plan = plan(&less, &world.look());
    assert!(!plan.to_string().contains("- broker asia: policy events"), "{plan}");
    assert!(plan.to_string().contains("- broker europe: policy events"), "{plan}");
}

#[test]
fn a_record_of_another_virtual_host_is_another_topology_s() {
    let (wanted, mut world) = by_hand();
    world.up(&wanted);
    let mut owned = recorded(&mut world, "asia");
    assert_eq!(owned.vhost.as_deref(), Some("/"));
    owned.vhost = Some("orders".into());
    world.broker("asia").owned = Some(owned);
    let found = external::blocked(&plan(&wanted, &world.look()));
    assert_eq!(
        found,
        ["FED0533 broker `asia` project `shop` has the region in virtual host `orders` and not in `/`"]
    );
}

#[test]
fn an_upstream_that_deletes_its_backlog_is_not_changed_while_messages_wait() {
    let (wanted, mut world) = by_hand();
    world.upstream("asia", "europe").settings.remove("resource-cleanup-mode");
    let queue = |messages| Queue {
        name: "federation: x.events -> tokyo".into(),
        messages,
        unacknowledged: 0,
        is_stream: false,
    };
    world.broker("europe").queues = vec![queue(3)];
    let text = "FED0530 upstream `europe` in `asia` 3 messages wait for its links, which delete their queues when they \
                restart";
    assert_eq!(external::blocked(&plan(&adopting(&wanted), &world.look())), [text]);
    let discarding = Desired { leftovers: Leftovers::Discard, ..adopting(&wanted) };
    assert_eq!(plan(&discarding, &world.look()).blocked, []);
    world.broker("europe").queues = vec![queue(0)];
    let plan = plan(&adopting(&wanted), &world.look());
    let changed = plan.to_string().lines().last().unwrap().to_owned();
    assert_eq!(
        changed,
        "~ broker asia: upstream europe (adopted: resource-cleanup-mode default → never) [restarts this upstream's links, and \
         their queues are deleted: what is published meanwhile is lost]"
    );
    let kept = super::wanted(&format!(
        "{}federation: {{upstream: {{resource-cleanup-mode: default}}}}\n",
        external::OTHERS
    ));
    world.upstream("europe", "asia").settings.remove("resource-cleanup-mode");
    let text = super::plan(&adopting(&kept), &world.look()).to_string();
    assert!(!text.contains("upstream europe ("), "it can be left as it is:\n{text}");
}

#[test]
fn what_a_plan_that_was_cut_short_has_made_is_known_for_its_own() {
    let tenants = wanted(external::TENANTS);
    let mut world = external::tenants(&["administrator"]);
    let whole = plan(&tenants, &world.look());
    for steps in 0..whole.steps.len() {
        let mut cut = whole.clone();
        cut.steps.truncate(steps);
        let mut world = world.clone();
        world.apply(&cut);
        let other =
            wanted(&format!("{}federation: {{upstream: {{prefetch-count: 7}}}}\n", external::TENANTS));
        assert_eq!(plan(&other, &world.look()).blocked, [], "after {steps} steps");
    }
    world.apply(&whole);
    let nothing = Definitions::default();
    assert_ne!(world.broker("asia").upstreams, nothing.upstreams);
}
