//! `up` interrupted at every stage, or run twice at once: another one finishes what was begun.

use std::time::{Duration, Instant};

use fedctl_engine::docker::Engine;
use serde_json::{Value, json};

use crate::support::{
    Project,
    engine::{broker_image, docker, run},
    ran::Running,
};

/// Reads on until an event of `--progress json` has these fields.
fn until(up: Running, fields: &[(&str, &str)]) -> Running {
    up.until_it_reports(|event| fields.iter().all(|(name, value)| event[name] == *value))
}

fn until_image(up: Running) -> Running {
    until(up, &[("event", "step-started"), ("action", "build from this executable")])
}

fn until_container(up: Running) -> Running {
    let creates = |event: &Value| event["event"] == "step-started" && event["action"] == "create";
    up.until_it_reports(|event| {
        creates(event) && event["subject"].as_str().is_some_and(|subject| subject.starts_with("container "))
    })
}

fn until_booting(up: Running) -> Running {
    until(up, &[("event", "step-started"), ("action", "wait until it accepts connections")])
}

/// What is in flight gets two seconds; a busy machine a little more.
const SOON: Duration = Duration::from_secs(5);

/// So that the next `up` has a broker to wait for.
fn remove_brokers(project: &Project) {
    for region in ["europe", "asia"] {
        run(&["rm", "--force", &project.container(region, "broker")]);
    }
}

pub fn an_interrupt_while_an_image_is_imported(project: &Project) {
    let image = project.service_image();
    project.fedctl(&["down", "--volumes", "--confirm", &project.name]).exits(0);
    docker(&["rmi", &image]);
    let mut up = until_image(project.begin_up());
    up.signal("INT");
    up.end().exits(130).says("interrupted").says("run `fedctl up` again to continue");
}

pub fn a_termination_while_containers_are_made(project: &Project) {
    let mut up = until_container(project.begin_up());
    up.signal("TERM");
    up.end().exits(143).says("fedctl up");
}

pub fn a_kill_while_brokers_boot(project: &Project) {
    remove_brokers(project);
    let mut up = until_booting(project.begin_up());
    up.signal("KILL");
    up.end().exits(137);
}

/// What a killed `up` has asked the engine to start may run only after it was looked at.
pub fn a_container_that_started_meanwhile_is_stopped_and_removed() {
    let image = broker_image();
    let options = ["--label", "io.fedctl.test=1", "--stop-timeout", "1", "--entrypoint", "sleep"];
    let id = docker(&[&["run", "--detach"], &options[..], &[&image, "600"]].concat()).trim().to_owned();
    let remove = async { Engine::connect(None).await?.remove_container(&id).await };
    tokio::runtime::Runtime::new().unwrap().block_on(remove).unwrap();
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("id={id}")]), "");
}

pub fn a_container_killed_for_lack_of_memory_is_known() {
    let limits = ["--memory", "20m", "--memory-swap", "20m", "--label", "io.fedctl.test=1"];
    let eats =
        ["--entrypoint", "sh", &broker_image(), "-c", "a=x; while :; do a=$a$a; done"].map(str::to_owned);
    let eats: Vec<&str> = eats.iter().map(String::as_str).collect();
    let id = docker(&[&["run", "--detach"], &limits[..], &eats].concat()).trim().to_owned();
    docker(&["wait", &id]);
    let look = async { Engine::connect(None).await?.liveness(&id).await };
    let found = tokio::runtime::Runtime::new().unwrap().block_on(look).unwrap();
    docker(&["rm", &id]);
    assert_eq!((found.running, found.out_of_memory), (false, true));
}

/// Each `up` continues where the one before was killed, and is killed a few steps later.
pub fn a_kill_after_any_step_is_finished_by_another_up(project: &Project) {
    let mut kills = 0;
    while let Some(mut up) = steps_done(project.begin_up(), 3 * kills) {
        up.signal("KILL");
        up.end().exits(137);
        kills += 1;
    }
    assert!(kills >= 4, "killed only {kills} times");
    project.up();
    project.fedctl(&["status"]).exits(0);
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

/// An `up` that has done this many steps; none where it ended before.
fn steps_done(up: Running, steps: usize) -> Option<Running> {
    (0..steps).try_fold(up, |up, _| up.try_until(|event| event["event"] == "step-done"))
}

pub fn an_interrupt_while_brokers_boot(project: &Project) {
    remove_brokers(project);
    let mut up = until_booting(project.begin_up());
    let signalled = Instant::now();
    up.signal("INT");
    up.end().exits(130);
    assert!(signalled.elapsed() < SOON, "took {:?}", signalled.elapsed());
}

pub fn a_second_interrupt_leaves_at_once(project: &Project) {
    remove_brokers(project);
    let mut up = until_booting(project.begin_up());
    let signalled = Instant::now();
    // two that come together count as one, so the signal is repeated until it takes effect
    crate::support::until("it leaves", || {
        let runs = up.runs();
        if runs {
            up.signal("INT");
        }
        (!runs).then_some(())
    });
    assert!(signalled.elapsed() < Duration::from_secs(1), "ran {:?} on", signalled.elapsed());
    up.end().exits(130);
}

pub fn a_second_up_is_refused_while_the_first_runs(project: &Project) {
    remove_brokers(project);
    let first = until_booting(project.begin_up());
    for change in [&["up"][..], &["down"]] {
        project.fedctl(change).exits(73).says("another fedctl is changing this project");
    }
    project.fedctl(&["plan"]).exits(0);
    project.fedctl(&["status"]).exits(4);
    first.end().exits(0);
    project.fedctl(&["demo"]).exits(0);
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

pub fn a_link_that_cannot_run_is_named_when_time_runs_out_or_up_is_interrupted(project: &Project) {
    // a queue of the name that the link will want for its own, and with other arguments
    let internal = "/queues/%2F/federation:%20odd.events%20-%3E%20asia";
    let exchange = "/exchanges/%2F/odd.events";
    project.broker("europe").put(internal, &json!({"durable": true, "arguments": {"x-max-length": 5}}));
    for region in ["europe", "asia"] {
        project.broker(region).put(exchange, &json!({"type": "topic", "durable": true}));
    }
    let ran = project.fedctl(&["up", "--timeout", "8s"]).exits(75).within(Duration::from_secs(8) + SOON);
    ran.says("europe → asia (odd.events)")
        .says("inequivalent arg 'x-max-length'")
        .says("`fedctl up` again is safe");

    let mut up = until(project.begin_up(), &[("event", "links")]);
    up.signal("INT");
    up.end().exits(130);
    for region in ["europe", "asia"] {
        project.broker(region).delete(exchange);
    }
    project.broker("europe").delete(internal);
    project.up();
}

pub fn an_exchange_of_another_type_is_reported_by_the_services_that_need_it(project: &Project) {
    let services = ["products", "indexer"].map(|service| project.container("asia", service));
    for service in &services {
        docker(&["stop", service]);
    }
    let (broker, exchange) = (project.broker("asia"), "/exchanges/%2F/products.events");
    broker.delete(exchange);
    broker.put(exchange, &json!({"type": "fanout", "durable": true}));
    let ran = project.fedctl(&["up", "--timeout", "5s"]).exits(75);
    ran.says(&services[1]).says("inequivalent arg 'type' for exchange 'products.events'");

    broker.delete(exchange);
    // Europe's link to it is left without bindings, and its broker does not see that
    project.up();
    project.fedctl(&["demo"]).exits(0);
}
