//! Every scenario, on the topology that has the services of all of them.

use std::{
    collections::BTreeSet,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    e2e::demo,
    support::{
        Project,
        engine::{broker_image, docker},
        ran::Running,
        until,
    },
};

/// The four that the shipped topology has no services for.
const FOUR: [&str; 4] = ["profile", "rpc", "compute", "checkout"];

/// A project with the topology `systems.yaml`.
pub fn project() -> Project {
    let project = Project::new(&["europe"]);
    project.write(&topology(&project));
    project
}

/// The topology `systems.yaml` under the project's name.
fn topology(project: &Project) -> String {
    let text = include_str!("../../../systems.yaml");
    let named = format!("name: {}\nbroker:\n  image: {}\n", project.name, broker_image());
    assert!(text.contains("name: systems\n"));
    text.replacen("name: systems\n", &named, 1)
}

pub fn up_from_nothing_runs_every_link(project: &Project) {
    project.up().says("all 126 links running");
    project.fedctl(&["status"]).exits(0).says("14 of 14 ready");
}

pub fn every_scenario_passes(project: &Project) {
    project.fedctl(&["demo", "--all"]).exits(0).says("7 of 7 scenarios passed");
    project.fedctl(&["queues"]).exits(0).conceals("!");
}

pub fn logs_of_a_service_are_those_of_all_its_replicas(project: &Project) {
    let both = project.fedctl(&["logs", "-n", "1", "asia", "rpc-worker"]).exits(0);
    assert_eq!(both.stdout.lines().count(), 2, "{both}");
    let second = project.fedctl(&["logs", "-n", "1", "asia", "rpc-worker-2"]).exits(0);
    assert_eq!(second.stdout.lines().count(), 1, "{second}");
    assert!(second.stdout.starts_with(&project.container("asia", "rpc-worker-2")), "{second}");
}

pub fn a_checkout_is_traced_through_its_regions(project: &Project) {
    let proofs = project.fedctl(&["demo", "checkout", "-o", "json"]).exits(0).json();
    let timeline = proofs["scenarios"][0]["story"].as_array().unwrap();
    let id = timeline.iter().find_map(|seen| seen["correlation_id"].as_str()).unwrap();
    let trace = project.fedctl(&["trace", id, "-o", "json"]).exits(0).json();
    let steps = trace["steps"].as_array().unwrap();
    let times = |event: &str| steps.iter().filter(|step| step["event"] == event).count();
    assert_eq!(["stock_reserved", "payment_captured", "notified"].map(times), [1, 1, 3], "{trace:#}");
    let regions: BTreeSet<Option<&str>> = steps.iter().map(|step| step["region"].as_str()).collect();
    assert_eq!(regions.len(), 3, "{trace:#}");
    assert!(steps.is_sorted_by_key(|step| step["at"].as_str()), "{trace:#}");
    project.fedctl(&["trace", "unknown-id"]).exits(1).says("hint:");
}

pub fn an_order_that_cannot_be_paid_gives_its_stock_back(project: &Project) {
    let proved = project.fedctl(&["demo", "checkout"]).exits(0);
    let steps = ["refused the payment", "gave the stock back", "the stock is what it was before"];
    let [refused, returned, restored] = steps.map(|step| proved.stdout.find(step));
    // two containers' lines may be seen in either order, and the stock is asked for when both were
    assert!(refused.is_some() && returned.is_some() && refused.max(returned) < restored, "{proved}");
}

pub fn a_poisoned_message_fails_its_scenario_and_is_found(project: &Project) {
    let ran = project.fedctl(&["demo", "--all", "--poison", "--timeout", "4s"]).exits(5);
    let ran = ran.says("0 of 7 scenarios passed");
    let services = ["indexer", "profile", "rpc-worker", "compute-host", "inventory"];
    let queues = project.fedctl(&["queues"]).exits(4);
    for service in services {
        let dead_letter_queue = format!("dead-letters.{service}");
        assert!(ran.stdout.contains(&dead_letter_queue), "`{dead_letter_queue}` is not in {ran}");
        assert!(
            queues.stdout.lines().any(|line| {
                line.contains(&format!("queue `{dead_letter_queue}` in"))
                    && line.contains("dead-lettered message")
            }),
            "{queues}"
        );
    }
    project.fedctl(&["demo", "--all"]).exits(0);
}

pub fn a_queue_that_grows_faster_than_it_is_consumed_is_reported(project: &Project) {
    let payment = project.container("asia", "payment");
    docker(&["pause", &payment]);
    // ten orders a second, until the sender is dropped
    let (enough, ends) = channel::<()>();
    let broker = project.broker("europe");
    let orders = thread::spawn(move || {
        let mut sent = 0;
        while ends.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            let order = json!({"order_id": format!("growing-{sent}"), "sku": "lamp", "quantity": 1,
                "amount": "9.90", "region": "europe"});
            assert!(broker.publish("checkout.events", "order.europe.created", &order.to_string()));
            sent += 1;
        }
    });
    let watch = Running::of(project.command(&["queues", "--watch"]));
    let mut watch = watch.until_it_prints("its consumers cannot keep up");
    drop(enough);
    orders.join().unwrap();
    watch.signal("INT");
    watch.end().exits(130);
    project.up();
    everything_that_waited_is_processed(project);
}

pub fn a_stopped_service_is_named_and_put_back(project: &Project) {
    for (region, service) in [
        ("america", "profile"),
        ("asia", "rpc-worker"),
        ("asia", "rpc-worker-2"),
        ("asia", "compute-host-2"),
        ("asia", "payment"),
    ] {
        docker(&["stop", &project.container(region, service)]);
    }
    fails(project, "profile").says("region `america` has no running service `profile`");
    fails(project, "rpc").says("\"timeout\"");
    fails(project, "compute").says("no answer from [\"asia/compute-host-2\"]");
    fails(project, "checkout").says("`payment` in `asia` captured the payment 0 times");
    let queues = project.fedctl(&["queues"]);
    assert!(queues.stdout.contains("checkout.payment"), "what waits for the payment is shown: {queues}");
    project.up();
    everything_that_waited_is_processed(project);
    project.fedctl(&["demo", "--all"]).exits(0);
}

pub fn a_region_cut_off_fails_every_scenario_and_names_the_links(project: &Project) {
    docker(&["network", "disconnect", &project.wan(), &project.container("asia", "broker")]);
    fails(project, "profile").says("link europe → asia (user_updates)");
    fails(project, "rpc").says("link europe → asia (python-service-queue)");
    fails(project, "compute").says("link europe → asia (computing-host.asia.compute-host)");
    fails(project, "checkout").says("link europe → asia (checkout.events)");
    project.up();
    until("every scenario passes", || (project.fedctl(&["demo", "--all"]).code == Some(0)).then_some(()));
}

pub fn a_region_with_two_more_hosts_joins_by_an_edit(project: &Project) {
    let africa = "  - name: africa\n    services:\n      - {name: compute, environment: *hosts}\n      \
                  - {name: compute-host, replicas: 2, environment: *hosts}\n";
    project.edit("federation:\n", &format!("{africa}federation:\n"));
    project.up();
    project.fedctl(&["demo", "compute"]).exits(0).says("5 of 5 hosts answered");
}

pub fn a_second_region_with_inventory_and_payment_processes_its_own_orders(project: &Project) {
    let services = "  - name: america\n    services:\n";
    let more = "      - name: inventory\n      - name: payment\n";
    project.edit(services, &format!("{services}{more}"));
    project.edit("      - name: rpc\n", "      - {name: rpc, replicas: 2}\n");
    project.up();
    let proved = project.fedctl(&["demo", "rpc", "checkout", "-o", "json"]).exits(0).json();
    let checkout = &proved["scenarios"][1];
    let reserving = checkout["story"].as_array().unwrap().iter();
    let reserving = reserving.filter(|seen| seen["what"].as_str().unwrap().starts_with("reserved the stock"));
    let regions: Vec<&str> = reserving.filter_map(|seen| seen["region"].as_str()).collect();
    let counts =
        ["europe", "america", "asia"].map(|region| regions.iter().filter(|found| **found == region).count());
    assert_eq!(counts, [3, 1, 0], "america's own, and europe's for the others: {checkout:#}");
}

fn everything_that_waited_is_processed(project: &Project) {
    until("everything that waited is processed", || {
        project.fedctl(&["queues", "-o", "json"]).json()["queues"]
            .as_array()
            .unwrap()
            .iter()
            .all(|queue| {
                queue["dead_letters"] == true || (queue["ready"] == 0 && queue["unacknowledged"] == 0)
            })
            .then_some(())
    });
}

/// A scenario of the four fails in its time.
fn fails(project: &Project, scenario: &str) -> crate::support::ran::Ran {
    assert!(FOUR.contains(&scenario));
    demo::fails(project, &[scenario])
}
