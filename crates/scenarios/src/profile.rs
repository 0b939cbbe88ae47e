//! A user's name, given in one region and stored in every one.

use serde_json::json;

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::{
    log::event,
    profile::{UPDATED_KEY, UPDATES, USERS_PATH},
    program::Program,
};
use fedctl_model::{observed::Resource, status::LinkRef};

use super::{
    Scenario,
    poison::PoisonTarget,
    request::Request,
    run::{Reply, Run, Source},
    shop::fresh_id,
};

pub static SCENARIO: Scenario = Scenario {
    name: "profile",
    claim: "a name set in one region is stored once in every region's own store",
    starts_at: Program::Profile,
    run: |run| Box::pin(rename(run)),
    poison: PoisonTarget {
        exchange: UPDATES,
        key: UPDATED_KEY,
        consumer: Program::Profile,
        events: &[event::PROFILE_UPDATED],
    },
};

const USERS: Source = Source { reader: Program::Profile, writer: Program::Profile, exchange: UPDATES };

/// Gives a name in each region in turn: every region must store it, once, and answer the last. An event that
/// no queue is bound for must be reported.
async fn rename(run: &mut Run<'_>) {
    let regions = run.regions_of(Program::Profile);
    let user = fresh_id();
    let path = format!("{USERS_PATH}/{user}");
    let mut last = None;
    for origin in &regions {
        let name = format!("Ada of {origin}");
        let form = [("full_name", name.as_str())];
        let place = (origin, Program::Profile);
        let Some(Reply { cause, id: Some(id), body, .. }) =
            run.request(place, &path, Request::PostForm(&form), 201).await
        else {
            return;
        };
        if body != json!({"full_name": name}) {
            run.fail(format!("POST {path} in `{origin}` answered {body}"), Vec::new());
        }
        for region in &regions {
            run.expect(Expectation {
                line: LogMatcher::about(&[event::PROFILE_UPDATED, event::STALE_SKIPPED], &id),
                meaning: format!("received the name {name}"),
                times: 1,
                link: LinkRef::between(origin, region, Resource::Exchange(UPDATES.into())),
                cause,
                region: Some(region.clone()),
                service: Program::Profile.name().into(),
            });
        }
        last = Some((cause, name));
    }
    let unbound = format!("{path}/events/avatar.update");
    let form = Request::PostForm(&[("full_name", "Ada")]);
    if let Some(origin) = regions.first()
        && let Some(Reply { cause, body, .. }) =
            run.request((origin, Program::Profile), &unbound, form, 500).await
    {
        run.record(origin, cause, format!("rejected as unroutable: {}", body["error"]));
    }
    if let Some((cause, name)) = last {
        let stored = json!({"id": user, "full_name": name});
        run.await_answer(&path, &stored, cause, &USERS).await;
    }
    run.await_logs().await;
}
