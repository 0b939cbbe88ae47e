//! Keys of upstreams and policies, and the internal queues that are declared with them.

use fedctl_model::{
    desired::{Desired, Leftovers},
    federation::{Downstream, internal_queue},
    observed::Definitions,
    plan::{link, plan},
};
use serde_json::{Map, Value, json};

use super::{TWO, World, X, check_plan, queue, region, wanted};

/// Two regions whose upstreams have these keys too.
fn with_keys(keys: &str) -> Desired {
    wanted(&format!("{TWO}federation: {{upstream: {{{keys}}}}}\n"))
}

/// A queue of a link to `asia` in `europe`, with these arguments.
fn with_queue(world: &mut World, exchange: &str, arguments: Value, messages: u64) {
    let name = internal_queue(exchange, &Downstream::new("asia", None));
    let Value::Object(arguments) = arguments else { panic!("{arguments} is no table") };
    let europe: &mut Definitions = world.broker("europe");
    europe.queues.push(queue(name.clone(), messages));
    europe.internal.insert(name, arguments);
}

/// What blocks the plan for these keys where such a queue is.
fn blocked(keys: &str, arguments: Value, messages: u64) -> Vec<String> {
    let mut world = World::of(&wanted(TWO));
    with_queue(&mut world, X, arguments, messages);
    plan(&with_keys(keys), &world.look()).blocked.iter().map(ToString::to_string).collect()
}

#[test]
fn keys_that_the_topology_does_not_set_are_not_sent() {
    let keys = |desired: &Desired| -> Vec<String> {
        desired.brokers[0].upstreams["asia"].settings.keys().cloned().collect()
    };
    let always = ["ack-mode", "max-hops", "prefetch-count", "reconnect-delay", "resource-cleanup-mode"];
    assert_eq!(keys(&wanted(TWO)), always, "another one restarts every link of every project");
    assert_eq!(keys(&with_keys("trust-user-id: false, expires: null")), always);
    let all =
        with_keys("expires: 1, message-ttl: 2, queue-type: quorum, trust-user-id: true, bind-nowait: true");
    assert_eq!(
        json!(all.brokers[0].upstreams["asia"].settings),
        json!({"ack-mode": "on-confirm", "bind-nowait": true, "expires": 1, "max-hops": 1, "message-ttl": 2,
            "prefetch-count": 1000, "queue-type": "quorum", "reconnect-delay": 1,
            "resource-cleanup-mode": "never", "trust-user-id": true})
    );
}

#[test]
fn keys_of_links_without_a_queue_are_put() {
    let mut world = World::of(&wanted(TWO));
    let risk = "[restarts this upstream's links; queued messages are kept]";
    check_plan(
        &with_keys("message-ttl: 600000"),
        &mut world,
        &[
            &format!("~ broker europe: upstream asia (message-ttl none → 600000) {risk}"),
            &format!("~ broker asia: upstream europe (message-ttl none → 600000) {risk}"),
        ],
    );
}

#[test]
fn a_queue_that_would_be_declared_otherwise_blocks_the_plan() {
    let name = "queue `federation: x.events -> asia` in `europe`: exists, and cannot be declared anew for";
    let classic = json!({"x-queue-type": "classic", "x-internal-purpose": "federation"});
    for (keys, arguments, messages, expected) in [
        ("message-ttl: 600000", classic.clone(), 3, "message-ttl none → 600000: 3 messages wait in it"),
        ("expires: 600000", classic.clone(), 1, "expires none → 600000: 1 message waits in it"),
        ("queue-type: quorum", json!({}), 0, "queue-type none → quorum: it is empty now"),
        ("", json!({"x-message-ttl": 5}), 0, "message-ttl 5 → none: it is empty now"),
        ("expires: 1", json!({"x-expires": 2}), 0, "expires 2 → 1: it is empty now"),
    ] {
        assert_eq!(blocked(keys, arguments, messages), [format!("{name} {expected}")], "{keys}");
    }
    let fits = [
        ("", classic.clone()),
        ("", json!({})),
        ("queue-type: classic", json!({})),
        ("trust-user-id: true, prefetch-count: 7", classic),
        ("message-ttl: 5, queue-type: quorum", json!({"x-message-ttl": 5.0, "x-queue-type": "quorum"})),
    ];
    for (keys, arguments) in fits {
        assert_eq!(blocked(keys, arguments, 3), [""; 0], "{keys}");
    }
}

#[test]
fn only_queues_of_links_that_there_will_be_are_in_the_way() {
    let mut world = World::of(&wanted(TWO));
    for exchange in ["fedctl.probe.abcdefgh.events", "not.federated"] {
        with_queue(&mut world, exchange, json!({}), 0);
    }
    let theirs = "federation: x.events -> mars".to_owned();
    world.broker("europe").queues.push(queue(theirs.clone(), 9));
    world.broker("europe").internal.insert(theirs, Map::new());
    assert_eq!(plan(&with_keys("message-ttl: 600000"), &world.look()).blocked, []);
}

#[test]
fn a_queue_is_deleted_only_on_demand_and_while_its_link_is_away() {
    let mut world = World::of(&wanted(TWO));
    with_queue(&mut world, X, json!({"x-queue-type": "classic"}), 3);
    let mut wanted = with_keys("message-ttl: 600000");
    wanted.leftovers = Leftovers::Keep;
    assert_eq!(plan(&wanted, &world.look()).blocked.len(), 1, "it cannot be kept");
    wanted.leftovers = Leftovers::Discard;
    let queue = "queue federation: x.events -> asia with 3 messages";
    check_plan(
        &wanted,
        &mut world,
        &[
            "- broker asia: upstream europe (message-ttl none → 600000)",
            &format!("- broker europe: {queue} (message-ttl none → 600000) [the messages in it are lost]"),
            "~ broker europe: upstream asia (message-ttl none → 600000) [restarts this upstream's links; queued messages are kept]",
            "+ broker asia: upstream europe",
        ],
    );
    assert!(world.broker("europe").queues.is_empty());
}

#[test]
fn a_link_that_is_down_for_its_queue_already_is_mended_on_demand() {
    let mut wanted = with_keys("message-ttl: 600000");
    let mut world = World::of(&wanted);
    with_queue(&mut world, X, json!({}), 0);
    assert_eq!(plan(&wanted, &world.look()).blocked.len(), 1);
    wanted.leftovers = Leftovers::Discard;
    check_plan(
        &wanted,
        &mut world,
        &[
            "- broker asia: upstream europe (message-ttl none → 600000)",
            "- broker europe: queue federation: x.events -> asia with 0 messages (message-ttl none → 600000) [the messages in it are lost]",
            "+ broker asia: upstream europe",
        ],
    );
}

#[test]
fn a_change_waits_for_an_upstream_that_is_silent_and_then_for_its_queue() {
    let mut world = World::of(&wanted(TWO));
    with_queue(&mut world, X, json!({}), 3);
    world.silence("europe");
    let wanted = with_keys("message-ttl: 600000");
    let first = plan(&wanted, &world.look());
    assert!(first.provisional && first.blocked.is_empty(), "{first}");
    assert!(!first.to_string().contains("upstream europe"), "{first}");
    world.apply(&first);
    assert_eq!(plan(&wanted, &world.look()).blocked.len(), 1);
}

#[test]
fn a_change_is_not_made_without_a_look_at_the_upstream() {
    let mut world = World::of(&wanted(TWO));
    with_queue(&mut world, X, json!({}), 3);
    let mut found = world.look();
    found.brokers.remove(&region("europe"));
    let only = |keys| with_keys(keys).only(&[region("asia")]);
    let plan = plan(&only("message-ttl: 600000"), &found);
    let blocked: Vec<String> = plan.blocked.iter().map(ToString::to_string).collect();
    let what = "message-ttl none → 600000 needs the queues in `europe` to be declared anew";
    assert_eq!(blocked, [format!("upstream `europe` in `asia`: {what}")]);
    assert_eq!(super::plan(&only("prefetch-count: 7"), &found).blocked, [], "it needs no other queue");
}

#[test]
fn a_key_that_a_brokers_version_does_not_know_is_refused() {
    let refused = |version: Option<&str>, image: Option<&str>, keys: &str| -> Vec<String> {
        let mut world = World::of(&wanted(TWO));
        for broker in world.brokers.values_mut() {
            broker.version = version.map(Into::into);
        }
        let id = world.engine.images["rabbitmq:4-management"].clone();
        world.engine.rabbitmq_versions.extend(image.map(|image| (id, image.to_owned())));
        plan(&with_keys(keys), &world.look()).blocked.iter().map(ToString::to_string).collect()
    };
    let expected = |version: &str| {
        ["europe", "asia"].map(|region| {
            format!("broker `{region}`: RabbitMQ {version} does not know `queue-type` of upstreams")
        })
    };
    assert_eq!(refused(Some("3.10.8"), None, "queue-type: quorum"), expected("3.10.8"));
    assert_eq!(refused(None, Some("3.13.0"), "queue-type: classic"), expected("3.13.0"));
    assert_eq!(refused(Some("3.13.1"), Some("4.0.5"), "queue-type: quorum"), [""; 0]);
    assert_eq!(refused(Some("3.10.8"), None, "message-ttl: 600000"), [""; 0]);
    assert_eq!(refused(None, None, "queue-type: quorum"), [""; 0], "it is not known");
}

#[test]
fn a_queue_of_paused_links_is_in_the_way_too() {
    let mut world = World::of(&wanted(TWO));
    with_queue(&mut world, X, json!({}), 3);
    let broker = world.broker("asia");
    broker.upstreams.clear();
    broker.owned.as_mut().unwrap().paused.insert("europe".into());
    let mut wanted = with_keys("message-ttl: 600000");
    let planned = plan(&wanted, &world.look()).blocked;
    assert_eq!(planned.len(), 1);
    let (europe, asia) = (&wanted.brokers[0], &wanted.brokers[1]);
    let resumed = link::in_the_way(asia, europe, world.broker("europe"));
    assert_eq!(resumed, planned);
    wanted.leftovers = Leftovers::Discard;
    world.up(&wanted);
    let (europe, asia) = (&wanted.brokers[0], &wanted.brokers[1]);
    assert_eq!(link::in_the_way(asia, europe, world.broker("europe")), []);
    assert!(world.broker("europe").queues.is_empty());
    assert!(world.broker("asia").upstreams.is_empty(), "they stay paused");
}

#[test]
fn other_keys_of_a_policy_are_put_beside_its_upstreams_and_compared_by_value() {
    let wanted_with = |definition: &str| {
        let policy = format!("{{name: fed, pattern: '^fed\\.', apply-to: queues{definition}}}");
        wanted(&format!("{TWO}federation: {{policies: [{policy}]}}\n"))
    };
    let mut world = World::of(&wanted_with(""));
    let with_keys = wanted_with(", definition: {max-length: 5, overflow: reject-publish}");
    let risk = "[restarts the links of what it matches; queued messages are kept]";
    check_plan(
        &with_keys,
        &mut world,
        &[
            &format!("~ broker europe: policy fed on queues (max-length none → 5) {risk}"),
            &format!("~ broker asia: policy fed on queues (max-length none → 5) {risk}"),
        ],
    );
    let definition = &mut world.broker("asia").policies.get_mut("fed").unwrap().definition;
    assert_eq!(
        json!(definition),
        json!({"federation-upstream-set": "all", "max-length": 5, "overflow": "reject-publish"})
    );
    definition.insert("max-length".into(), json!(5.0));
    assert!(plan(&with_keys, &world.look()).is_empty());
    world.broker("asia").policies.get_mut("fed").unwrap().definition.remove("overflow");
    let text = plan(&with_keys, &world.look()).to_string();
    assert_eq!(
        text,
        format!("~ broker asia: policy fed on queues (overflow none → reject-publish) {risk}\n")
    );
}
