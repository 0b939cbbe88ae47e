//! Regions that are added and removed, and one that does not boot.

use serde_json::{Value, json};

use crate::support::{
    Project,
    engine::{broker_image, derive_image, docker, exists, inspect},
    until,
};

const TWO: [&str; 2] = ["europe", "asia"];
const THREE: [&str; 3] = ["europe", "asia", "america"];

pub fn a_broker_that_does_not_boot_is_reported_with_its_log_and_stops_no_other(project: &Project) {
    let volume = project.container("asia", "broker");
    docker(&["volume", "create", "--label", &format!("io.fedctl.project={}", project.name), &volume]);
    in_volume(&volume, "chown rabbitmq /data && touch /data/mnesia");
    let ran = project.fedctl(&["up"]).exits(3);
    ran.says("broker asia")
        .says("its process keeps exiting")
        .says("last log lines")
        .says("Kernel pid terminated");
    for service in ["broker", "products", "indexer", "taxes"] {
        assert!(project.running().contains(&project.container("europe", service)), "{service}");
    }
    project.fedctl(&["status"]).exits(4).says("✓ running");

    in_volume(&volume, "rm /data/mnesia");
    project.up();
    project.fedctl(&["demo"]).exits(0);
}

/// Its name is a built-in service's, and nothing answers on the port that it publishes.
pub fn a_service_with_an_image_of_its_own_comes_up_without_a_readiness_check(project: &Project) {
    let image = broker_image();
    let service =
        format!("name: payment, image: '{image}', command: [sleep, infinity], ports: [{{container: 8000}}]");
    project.edit("{name: taxes}", &format!("{{name: taxes}}, {{{service}}}"));
    project.up();
    assert!(project.running().contains(&project.container("europe", "payment")));
    project.fedctl(&["status"]).exits(0);
    project.write(&project.topology(&["europe"]));
    project.up();
}

/// Does something to what is in a volume.
fn in_volume(volume: &str, script: &str) {
    let mount = format!("{volume}:/data");
    let image = broker_image();
    docker(&["run", "--rm", "--user", "0", "-v", &mount, "--entrypoint", "sh", &image, "-c", script]);
}

pub fn a_region_that_is_added_joins_the_others(project: &Project) {
    project.write(&project.topology(&THREE));
    project.up().says("48 links running");
    project.fedctl(&["demo"]).exits(0);
}

pub fn a_region_is_not_removed_while_messages_wait_for_it(project: &Project) {
    project.write(&project.topology(&THREE));
    project.up();
    let (europe, america) = (project.broker("europe"), project.broker("america"));
    let queue = america.tap("products.events", "farewell");
    europe.await_binding("products.events", "farewell", "america");
    docker(&["network", "disconnect", &project.wan(), &project.container("america", "broker")]);
    assert!(europe.publish("products.events", "farewell", "goodbye"));
    until("the message", || (europe.depth("federation: products.events -> america") == 1).then_some(()));

    project.write(&project.topology(&TWO));
    let backlog = "1 message still queued for `america`";
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(2).says(backlog);
    project
        .fedctl(&["up"])
        .exits(1)
        .says(backlog)
        .says("put back what the topology no longer has until they are delivered");
    assert_eq!(project.running().len(), 12, "nothing was done");
    assert!(europe.names("/users").contains("link-america"));

    project.write(&project.topology(&THREE));
    project.up();
    assert_eq!(
        until("it arrives", || Some(america.take(&queue)).filter(|taken| !taken.is_empty())),
        ["goodbye"]
    );
}

pub fn a_region_that_is_removed_leaves_only_its_data(project: &Project) {
    project.write(&project.topology(&THREE));
    project.up();
    project.write(&project.topology(&TWO));
    project.up();
    assert!(!project.objects("container").iter().any(|name| name.contains("america")));
    assert!(!exists("network", &format!("{}_america_lan", project.name)));
    for service in ["broker", "services"] {
        assert!(exists("volume", &project.container("america", service)), "the data of {service}");
    }
    for region in TWO {
        let broker = project.broker(region);
        assert!(!broker.names("/users").contains("link-america"), "{region}");
        assert!(!broker.names("/parameters/federation-upstream/%2F").contains("america"), "{region}");
        for path in ["/queues/%2F", "/exchanges/%2F"] {
            let left = broker.names(path);
            assert!(!left.iter().any(|name| name.contains("-> america")), "{region}: {left:?}");
        }
    }
    project.fedctl(&["status"]).exits(0);
    project.fedctl(&["demo"]).exits(0);
}

pub fn another_broker_image_goes_region_by_region_and_stops_where_one_does_not_boot(project: &Project) {
    let [broken, newer] = ["broken", "newer"].map(|tag| format!("{}:{tag}", project.name));
    // without its version it may be of another series
    derive_image(&broker_image(), "ENV RABBITMQ_VERSION=", &broken);
    derive_image(&broken, r#"ENTRYPOINT ["false"]"#, &broken);
    derive_image(&broker_image(), "LABEL newer=yes", &newer);
    let [first, second] = TWO.map(|region| project.container(region, "broker"));
    let before = inspect(&second)["State"]["StartedAt"].clone();
    let is_untouched = || inspect(&second)["State"]["StartedAt"] == before;
    // a queue of the name that a link to Europe will want for its own, and with other arguments
    let (asia, exchange) = (project.broker("asia"), "/exchanges/%2F/rolled.events");
    let internal = "/queues/%2F/federation:%20rolled.events%20-%3E%20europe";
    asia.put(internal, &json!({"durable": true, "arguments": {"x-max-length": 5}}));
    for broker in [&asia, &project.broker("europe")] {
        broker.put(exchange, &json!({"type": "topic", "durable": true}));
    }

    project.edit(&broker_image(), &broken);
    let ran = project.fedctl(&["up", "--progress", "json"]).exits(3).says("its process keeps exiting");
    let enabled = at(&ran.stderr, "step-done", "result", "enable all stable feature flags");
    assert!(enabled < at(&ran.stderr, "step-started", "subject", &first), "{ran}");
    project.fedctl(&["up"]).exits(3);
    assert!(is_untouched(), "{ran}");

    project.edit(&broken, &newer);
    let up = project.begin_up().until_it_reports(|event| {
        let waits_for = |text: &str| text.contains("rolled.events");
        event["subject"] == "links of europe" && event["text"].as_str().is_some_and(waits_for)
    });
    assert!(is_untouched(), "a link to the first region does not run");
    asia.delete(internal);
    let ran = up.end().exits(0);
    let booted = at(&ran.stderr, "step-done", "result", "accepts connections");
    let linked = at(&ran.stderr, "step-done", "subject", "links of europe");
    let stopped = at(&ran.stderr, "step-started", "subject", &second);
    assert!(booted < linked && linked < stopped, "{ran}");
    for region in TWO {
        project.broker(region).delete(exchange);
    }
    project.up().says("nothing to do");
}

/// The line of the first event of `--progress json` of this kind and with this field.
#[track_caller]
fn at(events: &str, kind: &str, field: &str, value: &str) -> usize {
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
    let like = |event: &Value| {
        event["event"] == kind && event[field].as_str().is_some_and(|found| found.ends_with(value))
    };
    events.enumerate().find(|(_, event)| like(event)).unwrap_or_else(|| panic!("no {kind} of {value}")).0
}
