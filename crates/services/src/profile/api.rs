//! The profile service's endpoints.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::User;
use super::users::Users;
use crate::fields::Invalid;
use crate::http::{Failure, LARGEST_BODY, outgoing, publish};
use fedctl_contract::log::field;
use fedctl_contract::profile::{UPDATE, UPDATES, USERS_PATH, key};
use fedctl_messaging::Publisher;

const LONGEST_ACTION: usize = 100;

/// What the endpoints need.
#[derive(Clone)]
pub struct Api {
    /// Where changes are announced.
    pub publisher: Publisher,
    /// Where users are read.
    pub users: Users,
}

/// `POST /users/{id}`, `GET /users/{id}` and `POST /users/{id}/events/{action}`.
pub fn router(api: Api) -> Router {
    Router::new()
        .route(&format!("{USERS_PATH}/{{id}}"), post(change_profile).get(read_user))
        .route(&format!("{USERS_PATH}/{{id}}/events/{{action}}"), post(publish_event))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

/// 201 with the name, and the correlation identifier for `fedctl trace`.
type Created = Result<(StatusCode, HeaderMap, Json<Value>), Failure>;

async fn read_user(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<User>, Failure> {
    let unknown = || Failure::NotFound("User not found".to_owned());
    let id = id.parse().map_err(|_| unknown())?;
    api.users.user(id).await?.map(Json).ok_or_else(unknown)
}

async fn change_profile(State(api): State<Api>, Path(id): Path<String>, form: Bytes) -> Created {
    announce(&api, UPDATE, &id, &form).await
}

/// As a change of the profile, with a key of the caller's choice.
async fn publish_event(
    State(api): State<Api>,
    Path((id, action)): Path<(String, String)>,
    form: Bytes,
) -> Created {
    announce(&api, words(&action)?, &id, &form).await
}

async fn announce(api: &Api, action: &str, id: &str, form: &[u8]) -> Created {
    let user = User::read(&fields(id, form))?;
    let event = outgoing(UPDATES, key(action), &user)
        .with_log_field(field::ID, user.id)
        .with_log_field(field::FULL_NAME, user.full_name.as_str());
    let headers = publish(&api.publisher, event).await?;
    Ok((StatusCode::CREATED, headers, Json(json!({"full_name": user.full_name}))))
}

/// The path and the form as one object, so that all that is wrong is reported at once.
fn fields(id: &str, form: &[u8]) -> Value {
    let id = id.parse().map_or_else(|_| id.into(), |id: i64| id.into());
    let mut fields = Map::from_iter([("id".to_owned(), id)]);
    if let Some((_, name)) = form_urlencoded::parse(form).find(|(field, _)| field == "full_name") {
        fields.insert("full_name".to_owned(), name.into());
    }
    Value::Object(fields)
}

/// An action is words with dots between them: a routing key is at most 255 bytes, and `*` and `#` mean more.
fn words(action: &str) -> Result<&str, Invalid> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let valid = action.len() <= LONGEST_ACTION && action.split('.').all(word);
    valid.then_some(action).ok_or_else(|| Invalid::field("action", "Not a valid routing key."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_field_is_decoded_and_the_path_gives_the_number() {
        let name = |form: &str| fields("-7", form.as_bytes());
        assert_eq!(name("full_name=Ann+Lee"), json!({"id": -7, "full_name": "Ann Lee"}));
        assert_eq!(name("a=b&full_name=Zo%C3%AB&full_name=x"), json!({"id": -7, "full_name": "Zoë"}));
        assert_eq!(name("name=x"), json!({"id": -7}));
        assert_eq!(fields("seven", b""), json!({"id": "seven"}));
    }

    #[test]
    fn an_action_is_words_with_dots() {
        for action in ["avatar", "profile.update", "a-b_c.d"] {
            assert!(words(action).is_ok(), "{action}");
        }
        for action in ["", ".", "a.", "#", "profile.*", "a b", "é", &"a".repeat(101)] {
            assert!(words(action).is_err(), "{action}");
        }
    }
}
