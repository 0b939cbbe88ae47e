//! Users' names, changed in one region and readable in every one.

/// The topic exchange of what happens to users; federated.
pub const UPDATES: &str = "user_updates";
/// The action of a changed profile; its key is [`key`] of it.
pub const UPDATE: &str = "profile.update";
/// The key on [`UPDATES`] of a changed profile.
pub const UPDATED_KEY: &str = "user.profile.update";
/// The binding key of every profile service.
pub const PROFILE_KEYS: &str = "user.profile.*";
/// The path of users, each below it by number.
pub const USERS_PATH: &str = "/users";

/// The key on [`UPDATES`] of an action on a user.
#[must_use]
pub fn key(action: &str) -> String {
    format!("user.{action}")
}

/// The queue of the profile service of `region`: not federated, and stable so that a restart misses nothing.
#[must_use]
pub fn queue(region: &str) -> String {
    format!("profile.{region}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_changed_profile_is_that_of_its_action() {
        assert_eq!(UPDATED_KEY, key(UPDATE));
    }
}
