//! What a probe asks of a broker and puts on it for a while.

use std::time::Duration;

use serde_json::json;

use super::{Broker, Result, answer, health::LINK_COLUMNS};
use fedctl_model::{
    federation::{Downstream, internal_exchanges, internal_queue},
    observed::{Reported, Resource},
};

/// Below every other policy's: one that already applies to what the probe uses has to go on applying.
const LOWEST_PRIORITY: i32 = -1000;

impl Broker {
    /// Of which of these downstreams this broker, the upstream, knows the binding of an exchange with a key.
    pub async fn bound_downstreams<R>(
        &self,
        exchange: &str,
        key: &str,
        downstreams: impl IntoIterator<Item = (R, Downstream)>,
    ) -> Result<Vec<R>> {
        let path = ["exchanges", self.site.vhost.as_str(), exchange, "bindings", "source"];
        let bindings = self.get::<Vec<answer::Binding>>(path, "").await?;
        let is_bound = |downstream: &Downstream| {
            let internal = internal_exchanges(&internal_queue(exchange, downstream));
            bindings
                .iter()
                .any(|binding| internal.contains(&binding.destination) && binding.routing_key == key)
        };
        let bound = downstreams.into_iter().filter(|(_, downstream)| is_bound(downstream));
        Ok(bound.map(|(region, _)| region).collect())
    }

    /// The state of each link that this broker, the downstream, reports for one of these exchanges and queues, with the
    /// link's upstream.
    pub async fn link_states(
        &self,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, Resource, String)>> {
        let (links, now) = self.links(Reported::All, LINK_COLUMNS).await?;
        let links = links.into_iter().filter_map(|link| link.into_link(now));
        let wanted = links.filter(|link| is_wanted(link.resource.name()));
        Ok(wanted.map(|link| (link.upstream, link.resource, link.status)).collect())
    }

    /// The names of all exchanges and queues.
    pub async fn exchanges_and_queues(&self) -> Result<Vec<Resource>> {
        let vhost = self.site.vhost.as_str();
        let (exchanges, queues) = tokio::try_join!(
            self.get::<Vec<answer::Name>>(["exchanges", vhost], "columns=name"),
            self.queues(),
        )?;
        let exchanges = exchanges.into_iter().map(|exchange| Resource::Exchange(exchange.name));
        Ok(exchanges.chain(queues.into_iter().map(|queue| Resource::Queue(queue.name))).collect())
    }

    /// Puts a policy by which queues expire when they have had no consumer for a while, unless another policy applies to
    /// them.
    pub async fn let_expire(&self, policy: &str, pattern: &str, unused: Duration) -> Result<()> {
        let unused = u64::try_from(unused.as_millis()).unwrap_or(u64::MAX);
        let body = json!({
            "pattern": pattern,
            "apply-to": "queues",
            "priority": LOWEST_PRIORITY,
            "definition": {"expires": unused},
        });
        self.put(&["policies", &self.site.vhost, policy], &body).await
    }

    /// The names of all policies.
    pub async fn policy_names(&self) -> Result<Vec<String>> {
        let path = ["policies", self.site.vhost.as_str()];
        let policies = self.get::<Vec<answer::Name>>(path, "").await?;
        Ok(policies.into_iter().map(|policy| policy.name).collect())
    }
}
