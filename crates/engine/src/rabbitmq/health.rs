//! How a broker and its links are.

use reqwest::Method;
use serde_json::Value;

use super::{Broker, NAMES, Result, answer};
use fedctl_model::observed::{
    BrokerHealth, Consumer, Link, LinkDefinitions, Plugin, Queue, QueueDetails, Reported,
};

/// How often the links are asked for before a broker's internal error is reported.
const LISTING_ATTEMPTS: usize = 3;
/// What is read of a link.
pub(super) const LINK_COLUMNS: &str = "columns=vhost,exchange,queue,upstream,status,error,timestamp,uri";

impl Broker {
    /// The health of the broker and its links, or only of those that do not run: a broker takes a time that grows with the
    /// square of its links to list them all, and lists the others in a moment.
    pub async fn health(&self, reported: Reported) -> Result<BrokerHealth> {
        let binding = "columns=vhost,source,destination,routing_key";
        // what takes longest is asked first
        let (queues, bindings, links, exchanges, alarms, nodes, consumers, version) = tokio::try_join!(
            self.queues(),
            self.list::<answer::Binding>([&["bindings"], &[]], binding),
            self.listed_links(reported),
            self.list::<answer::Name>([&["exchanges"], &[]], NAMES),
            self.alarms(),
            self.get_once::<Vec<Value>>(&["nodes"], "columns=uptime,mem_used"),
            self.consumers(),
            self.version(),
        )?;
        let node = answer::Node::of(nodes);
        Ok(BrokerHealth {
            version,
            uptime_ms: node.uptime,
            memory_used: node.mem_used,
            alarms,
            exchanges: exchanges.0.into_iter().map(|exchange| exchange.name).collect(),
            queues,
            bindings: bindings.0.into_iter().map(Into::into).collect(),
            links,
            reported,
            consumers,
            definitions: None,
        })
    }

    /// What the broker holds for its links.
    pub async fn link_definitions(&self) -> Result<LinkDefinitions> {
        let (policies, upstreams, owned) = tokio::try_join!(
            self.list::<answer::Policy>([&["policies"], &[]], ""),
            self.list::<answer::Name>([&["parameters", "federation-upstream"], &[]], NAMES),
            self.owned(),
        )?;
        Ok(LinkDefinitions {
            policies: policies.0.into_iter().map(|found| (found.name, found.policy)).collect(),
            upstreams: upstreams.0.into_iter().map(|upstream| upstream.name).collect(),
            paused: owned.unwrap_or_default().paused,
        })
    }

    /// The links that the broker reports, or which plugin it lacks to report them.
    async fn listed_links(&self, reported: Reported) -> Result<std::result::Result<Vec<Link>, Plugin>> {
        match self.links(reported, LINK_COLUMNS).await {
            Ok((links, now)) => Ok(Ok(links.into_iter().filter_map(|link| link.into_link(now)).collect())),
            Err(error) if error.is_unknown_resource() => self.missing_plugin().await.map(Err),
            Err(error) => Err(error),
        }
    }

    /// Which plugin is not enabled where links cannot be listed: the one that links are brings an exchange type.
    pub(super) async fn missing_plugin(&self) -> Result<Plugin> {
        let overview: answer::Overview =
            self.get_once(&["overview"], "columns=rabbitmq_version,exchange_types").await?;
        let federates =
            overview.exchange_types.iter().any(|exchange| exchange.name == "x-federation-upstream");
        Ok(if federates { Plugin::FederationManagement } else { Plugin::Federation })
    }

    /// Alarms in effect. The health check says at once, whether or not the broker collects metrics.
    async fn alarms(&self) -> Result<Option<Vec<String>>> {
        let path = ["health", "checks", "alarms"];
        let answer = self.ask(&path, "").await?;
        Ok(self.read::<answer::Alarms>(Method::GET, &path, &answer)?.into_names())
    }

    /// Consumers, which a broker that collects no metrics refuses to list.
    async fn consumers(&self) -> Result<Option<Vec<Consumer>>> {
        let columns = "columns=queue.vhost,queue.name,channel_details.user,channel_details.peer_host";
        match self.list::<answer::Consumer>([&["consumers"], &[]], columns).await {
            Ok((consumers, _)) => Ok(Some(consumers.into_iter().map(Into::into).collect())),
            Err(error) if error.is_bad_request() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// RabbitMQ's version: asked for alone from 4.0.5 on, which costs a quarter of the overview.
    pub(super) async fn version(&self) -> Result<String> {
        match self.get_once::<String>(&["version"], "").await {
            Err(error) if error.is_not_found() => {
                let query = "disable_stats=true&columns=rabbitmq_version";
                Ok(self.get_once::<answer::Overview>(&["overview"], query).await?.rabbitmq_version)
            }
            version => version,
        }
    }

    /// Every queue, and how it moves: depths as of now, consumers and growth as of the broker's last count.
    pub async fn queue_details(&self) -> Result<Vec<QueueDetails>> {
        let counted = "columns=vhost,name,consumers,messages_details.rate";
        let now = "disable_stats=true&enable_queue_totals=true";
        let (counted, now) = tokio::try_join!(
            self.list::<answer::QueueCounts>([&["queues"], &[]], counted),
            self.list::<answer::QueueDepth>([&["queues"], &[]], now),
        )?;
        Ok(answer::queue_details(counted.0, now.0))
    }

    pub(super) async fn queues(&self) -> Result<Vec<Queue>> {
        Ok(self.listed_queues().await?.into_iter().map(Into::into).collect())
    }

    /// The queues with their depths as of now, and nothing that the broker counts now and then.
    pub(super) async fn listed_queues(&self) -> Result<Vec<answer::Queue>> {
        let query = "disable_stats=true&enable_queue_totals=true";
        Ok(self.list([&["queues"], &[]], query).await?.0)
    }

    /// The links, and the broker's clock. While links start and stop the broker may fail, because it looks up
    /// processes that have just ended (rabbitmq-server #13701): it is asked again.
    pub(super) async fn links(
        &self,
        reported: Reported,
        query: &str,
    ) -> Result<(Vec<answer::Link>, Option<jiff::Timestamp>)> {
        let state: &[&str] = match reported {
            Reported::All => &[],
            Reported::NotRunning => &["state", "down"],
        };
        let mut left = LISTING_ATTEMPTS;
        loop {
            left -= 1;
            match self.list([&["federation-links"], state], query).await {
                Err(error) if error.is_internal() && left > 0 => {}
                links => return links,
            }
        }
    }
}
