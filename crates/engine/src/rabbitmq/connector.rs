//! How brokers are reached: who shares a client with whom, and whose turn it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, ClientBuilder, Url, redirect::Policy};
use tokio::sync::Semaphore;

use super::{Broker, CONNECT_TIMEOUT, http};
use crate::{chain::chain, tls};
use fedctl_model::site::{Site, Unavailable};

/// How long a broker may take to answer, by default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the requests to one broker share, also those for its other virtual hosts.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    /// Requests at a time.
    pub(super) requests: Arc<Semaphore>,
    /// Changes of upstreams and policies, one after the other. A broker tells links of such a change without a lock, and by
    /// the upstream's name alone, whatever the virtual host: of two changes at once one can fail halfway with a 500
    /// (`rabbit_federation_link_sup:adjust/3`, seen on 4.0.5).
    pub(super) changes: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { requests: Arc::new(Semaphore::new(http::AT_ONCE)), changes: Arc::new(Semaphore::new(1)) }
    }
}

/// Makes [`Broker`]s that share one HTTP client, or one for all whose certificates are to be signed by the same.
#[derive(Debug, Clone)]
pub struct Connector {
    timeout: Duration,
    plain: Client,
    encrypted: Arc<Mutex<BTreeMap<Option<String>, Client>>>,
    /// By where the management API begins.
    turns: Arc<Mutex<BTreeMap<String, Turns>>>,
}

impl Default for Connector {
    /// Ten seconds for an answer.
    fn default() -> Self {
        Self::within(TIMEOUT)
    }
}

impl Connector {
    /// Brokers that may take so long to answer.
    ///
    /// # Panics
    ///
    /// If no TLS provider was installed at the start of the program.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        let plain = client(timeout).tls_certs_only([]).build();
        let plain = plain.expect("a client without certificates can always be built");
        Self { timeout, plain, encrypted: Arc::default(), turns: Arc::default() }
    }

    fn client(&self, site: &Site) -> Result<Client, String> {
        if !site.management.tls {
            return Ok(self.plain.clone());
        }
        let mut known = self.encrypted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&site.ca_file) {
            return Ok(client.clone());
        }
        let trusted = tls::config(site.ca_file.as_deref())?;
        let client = client(self.timeout).tls_backend_preconfigured(trusted).build();
        let client = client.map_err(|error| chain(&error))?;
        known.insert(site.ca_file.clone(), client.clone());
        Ok(client)
    }

    /// The broker at `site`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If fedctl has no password for it.
    pub fn broker(&self, site: &Site) -> Result<Broker, Unavailable> {
        let unknown = || {
            if site.is_ours() {
                Unavailable::NoPassword
            } else {
                Unavailable::NoCredentials(site.user.clone())
            }
        };
        let password = site.password.clone().ok_or_else(unknown)?;
        let base = Url::parse(&site.api()).map_err(|error| Unavailable::OutOfReach(error.to_string()))?;
        let client = self.client(site).map_err(Unavailable::OutOfReach)?;
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = turns.entry(site.api()).or_default().clone();
        Ok(Broker { site: site.clone(), password, base, client, turns, look: None })
    }
}

/// A client that follows nobody elsewhere: to whom a redirect leads, the password is not meant for.
fn client(timeout: Duration) -> ClientBuilder {
    Client::builder().no_proxy().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).timeout(timeout)
}
