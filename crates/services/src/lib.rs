//! The programs that run inside the regions' containers: HTTP in, AMQP out.
//!
//! They know their environment and nothing else: no Docker, no management API, no topology file.

pub mod catalogue;
pub mod checkout;
pub mod compute;
pub mod contract;
pub mod http;
pub mod indexer;
pub mod products;
pub mod profile;
pub mod rpc;
pub mod taxes;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use fedctl_messaging::{
    Consume, Declarations, Log, Metrics, Publisher, Session, SessionConfig, Subscription,
};
use secrecy::{ExposeSecret, SecretString};

const LISTEN: &str = "0.0.0.0:8000";
const STORE: &str = "/var/lib/fedctl";
/// The variables that only some programs know; each reads and checks its own.
const OPTIONS: [&str; 8] =
    ["CAPACITY", "COMPUTE_HOSTS", "DELAY_MS", "IMAGES", "LIMIT", "STOCK", "SUSPICIOUS", "WORKERS"];

/// Which program to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The HTTP front; in the master region it also works off orders.
    Products,
    /// Keeps the region's products up to date with everybody's events.
    Indexer,
    /// Answers tax requests.
    Taxes,
    /// Announces and keeps users' names.
    Profile,
    /// The HTTP front of a region's callers.
    Rpc,
    /// Works off calls.
    RpcWorker,
    /// Takes orders of the checkout chain, and knows what became of them.
    Checkout,
    /// Reserves stock for orders.
    Inventory,
    /// Captures payments of reserved orders.
    Payment,
    /// Has every channel tell of a captured payment.
    Notification,
    /// Tells by e-mail.
    Email,
    /// Tells by text message.
    Sms,
    /// Tells by push message.
    Push,
    /// Counts the chain's events.
    Analytics,
    /// Looks for suspicious orders.
    Fraud,
    /// The HTTP front of the compute hosts of all regions.
    Compute,
    /// Keeps virtual machines, and does what it is told with them.
    ComputeHost,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Products,
        Self::Indexer,
        Self::Taxes,
        Self::Profile,
        Self::Rpc,
        Self::RpcWorker,
        Self::Compute,
        Self::ComputeHost,
        Self::Checkout,
        Self::Inventory,
        Self::Payment,
        Self::Notification,
        Self::Email,
        Self::Sms,
        Self::Push,
        Self::Analytics,
        Self::Fraud,
    ];

    /// The name used on the command line, in the logs, and in the names of connections and queues.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Indexer => "indexer",
            Self::Taxes => "taxes",
            Self::Profile => "profile",
            Self::Rpc => "rpc",
            Self::RpcWorker => "rpc-worker",
            Self::Checkout => "checkout",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Notification => "notification",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Analytics => "analytics",
            Self::Fraud => "fraud",
            Self::Compute => "compute",
            Self::ComputeHost => "compute-host",
        }
    }

    /// Seconds between heartbeats: a worker that is busy for long shall not lose its connection for it.
    fn heartbeat(self) -> u16 {
        match self {
            Self::Rpc | Self::RpcWorker => 30,
            _ => 10,
        }
    }

    /// The program with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::from_name(name).ok_or_else(|| anyhow!("no service `{name}`: there are {known}"))
    }
}

/// What a program is told about its place.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region it runs in.
    pub region: String,
    /// All regions, this one included.
    pub regions: Vec<String>,
    /// The one region that works off orders.
    pub master_region: String,
    /// The broker of the region.
    pub amqp_uri: SecretString,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The directory of what services keep, shared by those of the region.
    pub store: PathBuf,
    /// Which of several replicas this is; the service's own name where there is one.
    pub instance: String,
    /// What else is said to some programs, by the variable's name.
    pub options: BTreeMap<String, String>,
}

impl Settings {
    /// Reads `REGION`, `REGIONS` (comma separated), `MASTER_REGION`, `AMQP_URI_FILE` (a path; preferred) or
    /// `AMQP_URI`, `LISTEN`, `STORE` (a directory), `INSTANCE`, and the options of single programs.
    ///
    /// # Errors
    /// The first variable that is missing or wrong, by name. The URI is never shown.
    pub fn from_env(kind: Kind, lookup: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let needed = |name: &str| {
            lookup(name).filter(|value| !value.is_empty()).ok_or_else(|| anyhow!("`{name}` is not set"))
        };
        let list = needed("REGIONS")?;
        let regions: Vec<String> =
            list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let region_of = |name: &str| {
            let region = needed(name)?;
            if !regions.contains(&region) {
                bail!("`{name}` is `{region}`, which is not among `REGIONS` ({list})");
            }
            Ok(region)
        };
        let (region, master_region) = (region_of("REGION")?, region_of("MASTER_REGION")?);
        let amqp_uri = match lookup("AMQP_URI_FILE") {
            Some(path) => std::fs::read_to_string(&path)
                .with_context(|| format!("reading `AMQP_URI_FILE` `{path}`"))?
                .trim()
                .to_owned(),
            None => needed("AMQP_URI").context("and neither is `AMQP_URI_FILE`")?,
        };
        let listen = lookup("LISTEN").unwrap_or_else(|| LISTEN.to_owned());
        Ok(Self {
            region,
            regions,
            master_region,
            amqp_uri: amqp_uri.into(),
            listen: listen.parse().with_context(|| format!("`LISTEN` is `{listen}`"))?,
            store: lookup("STORE").unwrap_or_else(|| STORE.to_owned()).into(),
            instance: lookup("INSTANCE").unwrap_or_else(|| kind.name().to_owned()),
            options: OPTIONS
                .iter()
                .filter_map(|name| {
                    Some(((*name).to_owned(), lookup(name).filter(|value| !value.is_empty())?))
                })
                .collect(),
        })
    }

    /// The option of this name, if it is set.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The option of this name as `read`, or its default where it is not set.
    ///
    /// # Errors
    /// When it is not what is wanted, by name.
    pub fn read_option<T>(
        &self,
        name: &str,
        default: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let text = self.option(name).unwrap_or(default);
        read(text).with_context(|| format!("`{name}` is `{text}`, which is not {wanted}"))
    }
}

/// Runs a program until `stop`, logging to standard output.
///
/// A broker that is down or not there yet is no error: the program waits for it, unhealthy. After `stop` it
/// takes nothing new, finishes what is in hand within 5 s, and leaves the rest to the broker unacknowledged.
///
/// # Errors
/// When it cannot start (address in use, store not writable, URI not valid) or its listener breaks.
pub async fn run(kind: Kind, settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let log = Log::stdout(&settings.region, kind.name());
    run_logged(kind, settings, log, stop).await
}

/// As [`run`], with a log of the caller's choice.
///
/// # Errors
/// As [`run`].
pub async fn run_logged(
    kind: Kind,
    settings: Settings,
    log: Log,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listening on {}", settings.listen))?;
    let metrics = Metrics::new("fedctl_service");
    let publisher = Publisher::new(log.clone(), metrics.clone());
    let program = Program { kind, settings, listener, publisher, metrics, log, stop };
    match kind {
        Kind::Products => products::run(program).await,
        Kind::Indexer => indexer::run(program).await,
        Kind::Taxes => taxes::run(program).await,
        Kind::Profile => profile::run(program).await,
        Kind::Rpc => rpc::run(program).await,
        Kind::RpcWorker => rpc::worker::run(program).await,
        Kind::Checkout
        | Kind::Inventory
        | Kind::Payment
        | Kind::Notification
        | Kind::Email
        | Kind::Sms
        | Kind::Push
        | Kind::Analytics
        | Kind::Fraud => checkout::run(program).await,
        Kind::Compute => compute::front::run(program).await,
        Kind::ComputeHost => compute::host::run(program).await,
    }
}

/// A program that is about to run: what each is made of.
struct Program {
    kind: Kind,
    settings: Settings,
    listener: TcpListener,
    publisher: Publisher,
    metrics: Metrics,
    log: Log,
    stop: CancellationToken,
}

impl Program {
    /// Consumes and serves until it is to stop.
    async fn run(
        self,
        declarations: Declarations,
        subscriptions: Vec<Subscription>,
        consumer: impl Consume,
        router: Router,
    ) -> anyhow::Result<()> {
        let dead_letter_queue = format!("dead-letters.{}", self.kind);
        let (name, heartbeat) = (format!("fedctl {}", self.kind), self.kind.heartbeat());
        let config = SessionConfig { name, declarations, subscriptions, dead_letter_queue, heartbeat };
        let session =
            Session::new(self.settings.amqp_uri.expose_secret(), config, self.publisher, self.log.clone())?;
        let router = router.merge(http::health(session.health(), self.metrics));
        let listen = self.listener.local_addr()?.to_string();
        self.log.info("started").with("listen", listen).write();
        // The listener's failure must also end the session; the caller's token is not ours to cancel.
        let stop = self.stop.child_token();
        let serving = async {
            let served = http::serve(self.listener, router, stop.clone()).await;
            stop.cancel();
            served
        };
        let ((), served) = tokio::join!(session.run(Arc::new(consumer), stop.clone()), serving);
        self.log.info("stopped").write();
        served
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        Settings::from_env(Kind::Taxes, |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const COMPLETE: [(&str, &str); 4] = [
        ("REGION", "asia"),
        ("REGIONS", "europe, asia"),
        ("MASTER_REGION", "europe"),
        ("AMQP_URI", "amqp://u:hush@broker"),
    ];

    #[test]
    fn the_environment_is_enough_and_never_shows_the_uri() {
        let settings = settings(&COMPLETE).unwrap();
        assert_eq!(settings.regions, ["europe", "asia"]);
        assert_eq!(settings.listen.port(), 8000);
        assert_eq!(settings.amqp_uri.expose_secret(), "amqp://u:hush@broker");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn the_uris_file_is_preferred() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "amqp://from-file\n").unwrap();
        let mut pairs = COMPLETE.to_vec();
        pairs.push(("AMQP_URI_FILE", file.path().to_str().unwrap()));
        assert_eq!(settings(&pairs).unwrap().amqp_uri.expose_secret(), "amqp://from-file");
    }

    #[test]
    fn an_option_that_is_empty_is_not_set() {
        let mut pairs = COMPLETE.to_vec();
        pairs.extend([("LIMIT", "20"), ("STOCK", ""), ("UNHEARD_OF", "1")]);
        let settings = settings(&pairs).unwrap();
        assert_eq!(
            ["LIMIT", "STOCK", "UNHEARD_OF"].map(|name| settings.option(name)),
            [Some("20"), None, None]
        );
    }

    #[test]
    fn an_option_that_is_wrong_is_told_by_name() {
        let read = |value| {
            let mut pairs = COMPLETE.to_vec();
            pairs.push(("WORKERS", value));
            let read =
                settings(&pairs).unwrap().read_option("WORKERS", "1", "a number", |text| text.parse().ok());
            read.map_err(|error| error.to_string())
        };
        assert_eq!(["", "64"].map(read), [Ok(1_u16), Ok(64)]);
        assert_eq!(read("many"), Err("`WORKERS` is `many`, which is not a number".to_owned()));
    }

    #[test]
    fn kinds_are_known_by_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
        }
        assert!("broker".parse::<Kind>().is_err());
    }
}
