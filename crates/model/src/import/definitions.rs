//! Definitions as RabbitMQ exports them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Found;
use crate::{
    definition::{Policy, Upstream},
    names::recorded_project,
    observed::Owned,
    secret::Secret,
};

/// The parts that are about federation. An export of one virtual host does not name it.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    vhosts: Vec<Named>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default)]
    global_parameters: Vec<Global>,
    #[serde(default)]
    policies: Vec<OfVhost>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(default)]
    vhost: Option<String>,
    component: String,
    name: String,
    value: Value,
}

#[derive(Deserialize)]
struct Global {
    name: String,
    value: Value,
}

#[derive(Deserialize)]
struct OfVhost {
    #[serde(default)]
    vhost: Option<String>,
    name: String,
    #[serde(flatten)]
    policy: Policy,
}

/// Reads what an exported file says of a virtual host.
///
/// # Errors
///
/// If it is no such file, or has no such virtual host.
pub fn read(text: &str, vhost: &str) -> Result<Found, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let is_known = file.vhosts.is_empty() || file.vhosts.iter().any(|known| known.name == vhost);
    if !is_known {
        let known = file.vhosts.iter().map(|known| known.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(format!("it has no virtual host `{vhost}`, only {known}"));
    }
    let is_here = |own: &Option<String>| own.as_deref().is_none_or(|own| own == vhost);
    let mut found = Found::default();
    for parameter in file.parameters.into_iter().filter(|found| is_here(&found.vhost)) {
        match parameter.value {
            Value::Object(value) if parameter.component == "federation-upstream" => {
                found.upstreams.insert(parameter.name, upstream(value));
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => found.add_parameter(&parameter.component, parameter.name),
        }
    }
    for policy in file.policies.into_iter().filter(|found| is_here(&found.vhost)) {
        found.policies.insert(policy.name, policy.policy);
    }
    for Global { name, value } in file.global_parameters {
        if let Some(project) = recorded_project(&name) {
            let owned = serde_json::from_value::<Owned>(value).ok();
            let here = owned.filter(|owned| owned.vhost.as_deref() == Some(vhost));
            found.recorded.extend(here.map(|owned| (project.to_owned(), owned)));
        } else if name == "cluster_name" {
            found.cluster_name = value.as_str().map(str::to_owned);
        }
    }
    Ok(found)
}

fn upstream(mut settings: Map<String, Value>) -> Upstream {
    let uri = match settings.remove("uri") {
        Some(Value::String(uri)) => uri,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Upstream { uri: Secret::new(uri), settings }
}
