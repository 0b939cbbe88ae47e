//! Commands to hosts: one host creates a machine, all of them are asked for the rest.

use serde_json::{Value, json};

use super::{
    shop::fresh_id,
    watch::{Asked, Request, Watch},
};
use crate::{
    proof::{Expectation, about},
    topology::RegionName,
};

pub(super) const COMPUTE: &str = "compute";
/// The exchange of commands.
pub(super) const EXCHANGE: &str = "computing";
pub(super) const HOST: &str = crate::topology::COMPUTE_HOST;
const IMAGE: &str = "debian";

/// From each region: creates a machine somewhere, starts, lists and deletes it everywhere, and asks for one that
/// no host can make.
pub(super) async fn play(watch: &mut Watch<'_>) {
    for origin in watch.regions_of(COMPUTE) {
        let name = format!("vm-{}-{origin}", fresh_id());
        let machine = json!({"name": name, "image": IMAGE, "cpus": 1});
        let Some(created) = watch.ask((&origin, COMPUTE), "/vms", Request::Post(&machine), 201).await else {
            return;
        };
        let host = created.body.pointer("/response/host").and_then(Value::as_str).unwrap_or_default();
        watch.note(&origin, created.cause, format!("host {host} has created {name}"));
        expect(watch, &created, &["vm_created"], "created it", 1);
        let started = Request::Post(&Value::Null);
        everywhere(watch, &origin, &format!("/vms/{name}/start"), started, 1).await;
        everywhere(watch, &origin, "/vms", Request::Get, hosts(watch)).await;
        everywhere(watch, &origin, &format!("/vms/{name}"), Request::Delete, 1).await;
    }
    if let Some(origin) = watch.regions_of(COMPUTE).first() {
        let machine = json!({"name": "none", "image": "nobody-has-it", "cpus": 1});
        if let Some(refused) = watch.ask((origin, COMPUTE), "/vms", Request::Post(&machine), 409).await {
            let reason = refused.body.pointer("/execution-info/reason").cloned().unwrap_or_default();
            watch.note(origin, refused.cause, format!("no host takes it: {reason}"));
        }
    }
    watch.lines().await;
}

/// Asks all hosts: each must answer, and so many of them with success.
async fn everywhere(
    watch: &mut Watch<'_>,
    origin: &RegionName,
    path: &str,
    request: Request<'_>,
    successes: usize,
) {
    let Some(asked) = watch.ask((origin, COMPUTE), path, request, 200).await else { return };
    let answers = asked.body["answers"].as_array().cloned().unwrap_or_default();
    let succeeded =
        answers.iter().filter(|answer| answer.pointer("/execution-info/status") == Some(&json!("success")));
    let (succeeded, hosts) = (succeeded.count(), hosts(watch));
    let told = format!("{} of {hosts} hosts answered, {succeeded} with success", answers.len());
    watch.note(origin, asked.cause, told.clone());
    if answers.len() != hosts || succeeded != successes {
        let missing = format!("after {path} in `{origin}` {told}; no answer from {}", asked.body["missing"]);
        watch.fail(missing, Vec::new());
    }
    expect(watch, &asked, &["command_answered"], "answered", hosts);
}

fn expect(
    watch: &mut Watch<'_>,
    asked: &Asked,
    events: &'static [&'static str],
    meaning: &str,
    times: usize,
) {
    let Some(id) = &asked.id else { return };
    watch.expect(Expectation {
        line: about(events, id),
        meaning: meaning.into(),
        times,
        way: None,
        cause: asked.cause,
        region: None,
        service: HOST.into(),
    });
}

/// How many hosts the topology has.
fn hosts(watch: &Watch<'_>) -> usize {
    let services = watch.topology().regions.iter().flat_map(|region| &region.services);
    services.filter(|service| service.name == HOST).map(|service| usize::from(service.replicas)).sum()
}
