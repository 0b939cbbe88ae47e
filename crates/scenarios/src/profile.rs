//! A user's name, given in one region and stored in every one.

use serde_json::json;

use super::{
    request::Request,
    shop::fresh_id,
    watch::{Asked, Source, Watch},
};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, about, way},
};

pub(super) const PROFILE: &str = "profile";
pub(super) const USER_UPDATES: &str = "user_updates";
const USERS: Source = Source { front: PROFILE, writer: PROFILE, exchange: USER_UPDATES };

/// Gives a name in each region in turn: every region must store it, once, and answer the last. An event that
/// nobody has asked for must be reported.
pub(super) async fn play(watch: &mut Watch<'_>) {
    let regions = watch.regions_of(PROFILE);
    let user = fresh_id();
    let path = format!("/users/{user}");
    let mut last = None;
    for origin in &regions {
        let name = format!("Ada of {origin}");
        let form = [("full_name", name.as_str())];
        let Some(Asked { cause, id: Some(id), body, .. }) =
            watch.ask((origin, PROFILE), &path, Request::PostForm(&form), 201).await
        else {
            return;
        };
        if body != json!({"full_name": name}) {
            watch.fail(format!("POST {path} in `{origin}` answered {body}"), Vec::new());
        }
        for region in &regions {
            watch.expect(Expectation {
                line: about(&["profile_updated", "stale_skipped"], &id),
                meaning: format!("learned the name {name}"),
                times: 1,
                way: way(origin, region, Resource::Exchange(USER_UPDATES.into())),
                cause,
                region: Some(region.clone()),
                service: PROFILE.into(),
            });
        }
        last = Some((cause, name));
    }
    let nobody = format!("{path}/events/avatar.update");
    if let Some(origin) = regions.first()
        && let Some(Asked { cause, body, .. }) =
            watch.ask((origin, PROFILE), &nobody, Request::PostForm(&[("full_name", "Ada")]), 500).await
    {
        watch.note(origin, cause, format!("was told that nobody takes it: {}", body["error"]));
    }
    if let Some((cause, name)) = last {
        let stored = json!({"id": user, "full_name": name});
        watch.readable(&path, &stored, cause, &USERS).await;
    }
    watch.lines().await;
}
