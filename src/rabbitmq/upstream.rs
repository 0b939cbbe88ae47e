//! Upstreams, of whose every change each of their links must hear.
//!
//! A broker stores the change first and then has one link after the other stop and start. A link that waits to connect
//! again may begin to between those two: then the broker answers 500, and the links after it never hear of the change.
//! They go on with the old definition, also those of an upstream that is deleted; and to put or delete it once more
//! does nothing, for what is stored is no other (RabbitMQ 3.10 to 4.3, `rabbit_federation_link_sup:stop/3` and
//! `rabbit_runtime_parameters:set_any0/5`). So the upstream is made another one in between.

use serde_json::{Map, Value, json};

use super::{Broker, Result};
use crate::desired::{Upstream, VHOST};

/// How often a change is made before a broker's failure is believed to be of another kind.
const ATTEMPTS: usize = 10;

impl Broker {
    /// Puts an upstream. An equal one restarts nothing.
    ///
    /// # Errors
    ///
    /// If the broker does not answer or refuses.
    pub async fn put_upstream(&self, upstream: &Upstream) -> Result<()> {
        let (name, other) = (&upstream.name, upstream.respelled());
        self.change(name, async || self.put_definition(name, upstream.value()).await, other.value()).await
    }

    /// Deletes an upstream, and with it its links. One that is gone is no error.
    ///
    /// # Errors
    ///
    /// If the broker does not answer or refuses.
    pub async fn delete_upstream(&self, name: &str) -> Result<()> {
        let path = ["parameters", "federation-upstream", VHOST, name];
        let nobody = json!({"uri": "amqp://localhost:1", "resource-cleanup-mode": "never"});
        let Value::Object(nobody) = nobody else { unreachable!("an object literal") };
        self.change(name, async || self.delete(&path, "").await, nobody).await
    }

    async fn change(
        &self,
        name: &str,
        change: impl AsyncFn() -> Result<()>,
        other: Map<String, Value>,
    ) -> Result<()> {
        for _ in 1..ATTEMPTS {
            match change().await {
                Err(error) if error.is_internal() => {}
                changed => return changed,
            }
            match self.put_definition(name, other.clone()).await {
                Err(error) if !error.is_internal() => return Err(error),
                _ => {}
            }
        }
        change().await
    }

    async fn put_definition(&self, name: &str, value: Map<String, Value>) -> Result<()> {
        self.put(&["parameters", "federation-upstream", VHOST, name], &json!({ "value": value })).await
    }
}
