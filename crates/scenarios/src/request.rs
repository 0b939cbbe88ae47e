//! What a scenario asks of services.

use serde_json::Value;

/// A request to a service.
pub enum Request<'r> {
    /// `GET`.
    Get,
    /// `POST` of JSON; of nothing for `null`.
    Post(&'r Value),
    /// `POST` of a form.
    PostForm(&'r [(&'r str, &'r str)]),
    /// `DELETE`.
    Delete,
}

impl Request<'_> {
    /// In words.
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
