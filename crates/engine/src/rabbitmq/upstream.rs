//! Changes of upstreams that reach every one of their links.
//!
//! A broker stores the change first and then stops and starts one link after the other. If a link that waits to
//! reconnect does so between those two, the broker answers 500, and the change is not propagated to the links after
//! it. They keep the old definition, even if the upstream is deleted; and putting or deleting it again does nothing,
//! since what is stored is the same (RabbitMQ 3.10 to 4.3, `rabbit_federation_link_sup:stop/3`
//! and `rabbit_runtime_parameters:set_any0/5`). So another definition is put in between.

use serde_json::json;

use super::{Broker, Result};
use fedctl_model::{definition::Upstream, secret::Secret, site::NOWHERE};

/// How often a change is tried before a broker's 500 is treated as another failure.
const ATTEMPTS: usize = 10;

impl Broker {
    /// Puts an upstream. An equal one restarts nothing.
    pub async fn put_upstream(&self, name: &str, upstream: &Upstream) -> Result<()> {
        for _ in 1..ATTEMPTS {
            if propagated(self.put_definition(name, upstream).await)? {
                return Ok(());
            }
            propagated(self.put_definition(name, &upstream.perturbed()).await)?;
        }
        self.put_definition(name, upstream).await
    }

    /// Deletes an upstream, and with it its links. Its URI is replaced with an unused one first, even if it is already
    /// deleted: another deletion may have been cut short before it was propagated to all links.
    pub async fn delete_upstream(&self, name: &str) -> Result<()> {
        let settings = serde_json::Map::from_iter([("resource-cleanup-mode".to_owned(), json!("never"))]);
        let nowhere = Upstream { uri: Secret::new(NOWHERE), settings };
        let delete =
            async || self.delete(&["parameters", "federation-upstream", &self.site.vhost, name], "").await;
        for _ in 1..ATTEMPTS {
            propagated(self.put_definition(name, &nowhere).await)?;
            if propagated(delete().await)? {
                return Ok(());
            }
        }
        delete().await
    }

    async fn put_definition(&self, name: &str, upstream: &Upstream) -> Result<()> {
        let path = ["parameters", "federation-upstream", &self.site.vhost, name];
        self.put(&path, &json!({ "value": upstream.value() })).await
    }
}

/// Whether a change reached every link.
fn propagated(change: Result<()>) -> Result<bool> {
    match change {
        Err(error) if error.is_internal() => Ok(false),
        change => change.map(|()| true),
    }
}
