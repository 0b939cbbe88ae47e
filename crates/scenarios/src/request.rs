//! What a scenario asks of services.

use serde_json::Value;

use fedctl_engine::endpoint::{Answer, Endpoint, EndpointError};

/// A request to a service.
pub enum Request<'r> {
    Get,
    /// `POST` of JSON; of nothing for `null`.
    Post(&'r Value),
    PostForm(&'r [(&'r str, &'r str)]),
    Delete,
}

impl Request<'_> {
    pub async fn send(&self, endpoint: &Endpoint, path: &str) -> Result<Answer, EndpointError> {
        match self {
            Self::Get => endpoint.get(path).await,
            Self::Post(body) => endpoint.post(path, body).await,
            Self::PostForm(fields) => endpoint.post_form(path, fields).await,
            Self::Delete => endpoint.delete(path).await,
        }
    }

    pub fn described(&self, path: &str) -> String {
        match self {
            Self::Get => format!("GET {path}"),
            Self::Post(Value::Null) => format!("POST {path}"),
            Self::Post(body) => format!("POST {path} {body}"),
            Self::PostForm(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("POST {path} {}", fields.join("&"))
            }
            Self::Delete => format!("DELETE {path}"),
        }
    }
}
