//! How a broker and its links are.

use reqwest::Method;
use serde_json::Value;

use super::{Broker, Result, answer};
use fedctl_model::observed::{BrokerHealth, Consumer, Link, LinkDefinitions, Plugin, Queue, QueueDetails};

/// How often the links are asked for before a broker's internal error is reported.
const LISTING_ATTEMPTS: usize = 3;

impl Broker {
    /// The health of the broker and its links.
    pub async fn health(&self) -> Result<BrokerHealth> {
        let vhost = self.site.vhost.as_str();
        let binding = "columns=source,destination,routing_key";
        // what takes longest is asked first
        let (queues, bindings, links, exchanges, alarms, nodes, consumers, version) = tokio::try_join!(
            self.queues(),
            self.get::<Vec<answer::Binding>>(["bindings", vhost], binding),
            self.listed_links(),
            self.get::<Vec<answer::Name>>(["exchanges", vhost], "columns=name"),
            self.alarms(),
            self.get::<Vec<Value>>(["nodes"], "columns=uptime,mem_used"),
            self.consumers(),
            self.version(),
        )?;
        let node = answer::Node::of(nodes);
        Ok(BrokerHealth {
            version,
            uptime_ms: node.uptime,
            memory_used: node.mem_used,
            alarms,
            exchanges: exchanges.into_iter().map(|exchange| exchange.name).collect(),
            queues,
            bindings: bindings.into_iter().map(Into::into).collect(),
            links,
            consumers,
            definitions: None,
        })
    }

    /// What the broker holds for its links.
    pub async fn link_definitions(&self) -> Result<LinkDefinitions> {
        let vhost = self.site.vhost.as_str();
        let (policies, upstreams, owned) = tokio::try_join!(
            self.get::<Vec<answer::Policy>>(["policies", vhost], ""),
            self.get::<Vec<answer::Name>>(["parameters", "federation-upstream", vhost], "columns=name"),
            self.owned(),
        )?;
        Ok(LinkDefinitions {
            policies: policies.into_iter().map(|found| (found.name, found.policy)).collect(),
            upstreams: upstreams.into_iter().map(|upstream| upstream.name).collect(),
            paused: owned.unwrap_or_default().paused,
        })
    }

    /// The links that the broker reports, or which plugin it lacks to report them.
    async fn listed_links(&self) -> Result<std::result::Result<Vec<Link>, Plugin>> {
        match self.links("columns=exchange,queue,upstream,status,error,timestamp,uri").await {
            Ok((links, now)) => Ok(Ok(links.into_iter().filter_map(|link| link.into_link(now)).collect())),
            Err(error) if error.is_unknown_resource() => self.missing_plugin().await.map(Err),
            Err(error) => Err(error),
        }
    }

    /// Which plugin is not enabled where links cannot be listed: the one that links are brings an exchange type.
    pub(super) async fn missing_plugin(&self) -> Result<Plugin> {
        let overview: answer::Overview =
            self.get(["overview"], "columns=rabbitmq_version,exchange_types").await?;
        let federates =
            overview.exchange_types.iter().any(|exchange| exchange.name == "x-federation-upstream");
        Ok(if federates { Plugin::FederationManagement } else { Plugin::Federation })
    }

    /// Alarms in effect. The health check says at once, whether or not the broker collects metrics.
    async fn alarms(&self) -> Result<Option<Vec<String>>> {
        let path = ["health", "checks", "alarms"];
        let answer = self.request(Method::GET, &path, "", None).await?;
        Ok(self.read::<answer::Alarms>(Method::GET, &path, &answer)?.into_names())
    }

    /// Consumers, which a broker that collects no metrics refuses to list.
    async fn consumers(&self) -> Result<Option<Vec<Consumer>>> {
        let columns = "columns=queue.name,channel_details.user,channel_details.peer_host";
        match self.get::<Vec<answer::Consumer>>(["consumers", &self.site.vhost], columns).await {
            Ok(consumers) => Ok(Some(consumers.into_iter().map(Into::into).collect())),
            Err(error) if error.is_bad_request() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// RabbitMQ's version: asked for alone from 4.0.5 on, which costs a quarter of the overview.
    pub(super) async fn version(&self) -> Result<String> {
        match self.get::<String>(["version"], "").await {
            Err(error) if error.is_not_found() => {
                let overview = self
                    .get::<answer::Overview>(&["overview"], "disable_stats=true&columns=rabbitmq_version");
                Ok(overview.await?.rabbitmq_version)
            }
            version => version,
        }
    }

    /// Every queue, and how it moves: depths as of now, consumers and growth as of the broker's last count.
    pub async fn queue_details(&self) -> Result<Vec<QueueDetails>> {
        let vhost = self.site.vhost.as_str();
        let counted = "columns=name,consumers,messages_details.rate";
        let now = "disable_stats=true&enable_queue_totals=true";
        let (counted, now) = tokio::try_join!(
            self.get::<Vec<answer::QueueCounts>>(["queues", vhost], counted),
            self.get::<Vec<answer::QueueDepth>>(["queues", vhost], now),
        )?;
        Ok(answer::queue_details(counted, now))
    }

    pub(super) async fn queues(&self) -> Result<Vec<Queue>> {
        Ok(self.listed_queues().await?.into_iter().map(Into::into).collect())
    }

    /// The queues with their depths as of now, and nothing that the broker counts now and then.
    pub(super) async fn listed_queues(&self) -> Result<Vec<answer::Queue>> {
        let query = "disable_stats=true&enable_queue_totals=true";
        self.get(["queues", &self.site.vhost], query).await
    }

    /// The links, and the broker's clock. While links start and stop the broker may fail, because it looks up
    /// processes that have just ended (rabbitmq-server #13701): it is asked again.
    pub(super) async fn links(&self, query: &str) -> Result<(Vec<answer::Link>, Option<jiff::Timestamp>)> {
        let vhost = self.site.vhost.as_str();
        let mut left = LISTING_ATTEMPTS;
        loop {
            left -= 1;
            match self.get_at(&["federation-links", vhost], query).await {
                Err(error) if error.is_internal() && left > 0 => {}
                links => return links,
            }
        }
    }
}
