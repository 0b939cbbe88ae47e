//! Which upstream leads to which region, and how that region is reached.

use std::collections::BTreeSet;

use super::{Source, codes};
use crate::{
    definition::Upstream,
    diagnostic::{Diagnostic, Place},
    site::{AMQP, Address, AmqpUri, HTTP, ITSELF, MANAGEMENT_PORT, Settled, decoded, is_usual},
    topology::{ExternalBroker, LinkUser, RegionName, password_variable},
};

/// An upstream that leads from one region to another.
pub(super) struct Link<'s> {
    pub upstream: RegionName,
    pub downstream: RegionName,
    pub definition: &'s Upstream,
    pub uri: AmqpUri,
    /// What the URI means, with every default.
    pub settled: Settled,
}

impl Link<'_> {
    pub fn place(&self) -> Place {
        Place::Upstream { region: self.downstream.clone(), name: self.upstream.to_string() }
    }

    fn user(&self) -> String {
        self.settled.credentials.expose().split(':').next().unwrap_or_default().to_owned()
    }

    /// The address as a topology spells it, with the parameters that are not settings of upstreams.
    fn origin(&self) -> String {
        let Some((host, port)) = self.uri.address() else { return ITSELF.to_owned() };
        let [plain, encrypted] = AMQP;
        let (scheme, usual) = if self.uri.encrypted { encrypted } else { plain };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if port == usual { String::new() } else { format!(":{port}") };
        let others = self.uri.parameters.iter().filter(|(key, _)| !is_usual(key));
        let query = others.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
        let query = if query.is_empty() { query } else { format!("?{query}") };
        format!("{scheme}://{host}{port}{query}")
    }
}

/// The links among these regions.
pub(super) fn find<'s>(sources: &'s [Source], diagnostics: &mut Vec<Diagnostic>) -> Vec<Link<'s>> {
    let mut links: Vec<Link<'s>> = Vec::new();
    let addresses = addresses(sources);
    for source in sources {
        // those that are called after a region first: of two that lead to it the other one is too many
        let is_named = |name: &String| sources.iter().any(|source| source.region.as_str() == name);
        let (named, others): (Vec<_>, Vec<_>) =
            source.found.upstreams.iter().partition(|(name, _)| is_named(name));
        for (name, definition) in named.into_iter().chain(others) {
            let place = || Place::Upstream { region: source.region.clone(), name: name.clone() };
            let settled = Settled::of(&definition.uri, &source.broker.vhost);
            let (Some(uri), Some(settled)) = (AmqpUri::parse(&definition.uri), settled) else {
                let message = "has several URIs, or none that is AMQP's";
                let help = "give the region that it leads to one address: `advertise` of its `broker`";
                diagnostics.push(Diagnostic::new(codes::SEVERAL_URIS, place(), message).help(help));
                continue;
            };
            let Some(upstream) = leads_to(source, name, &uri, sources, &addresses) else {
                let shown = definition.shown()["uri"].as_str().unwrap_or_default().to_owned();
                let message = format!("leads to no region that is imported: {shown}");
                let help = "import that broker too, or leave the upstream to whoever uses it";
                diagnostics.push(Diagnostic::new(codes::NO_REGION, place(), message).help(help));
                continue;
            };
            if upstream.as_str() != name {
                let message = format!("leads to `{upstream}`, and a topology calls it that");
                let help = format!("import the region as `{name}`, if all regions call it so");
                diagnostics.push(Diagnostic::new(codes::OTHER_NAME, place(), message).help(help));
            }
            let downstream = source.region.clone();
            if links.iter().all(|link| (&link.upstream, &link.downstream) != (upstream, &downstream)) {
                links.push(Link { upstream: upstream.clone(), downstream, definition, uri, settled });
            }
        }
    }
    links
}

/// The host and the port by which upstreams that are called after a region reach its broker, with the broker's management
/// API: other regions may be virtual hosts of the same.
fn addresses(sources: &[Source]) -> BTreeSet<(String, (String, u16))> {
    let mut known = BTreeSet::new();
    for (downstream, (name, upstream)) in sources
        .iter()
        .flat_map(|source| source.found.upstreams.iter().map(move |upstream| (source, upstream)))
    {
        let Some(uri) = AmqpUri::parse(&upstream.uri) else { continue };
        let vhost = uri.vhost_for(&downstream.broker.vhost);
        let named = sources.iter().find(|other| other.region.as_str() == name && other.broker.vhost == vhost);
        if let (Some(named), Some((host, port))) = (named, uri.address()) {
            known.insert((named.broker.management.clone(), (host.to_owned(), port)));
        }
    }
    known
}

/// The region at the URI's address, or else the one that the upstream is called after.
fn leads_to<'s>(
    downstream: &Source,
    name: &str,
    uri: &AmqpUri,
    sources: &'s [Source],
    addresses: &BTreeSet<(String, (String, u16))>,
) -> Option<&'s RegionName> {
    let vhost = uri.vhost_for(&downstream.broker.vhost);
    let others = || sources.iter().filter(|source| source.region != downstream.region);
    let is_there = |source: &&Source| {
        let broker = &source.broker;
        let is_reached = match uri.address() {
            None => broker.management == downstream.broker.management,
            Some((host, port)) => {
                let amqp = Address::parse(&broker.amqp, AMQP).ok().filter(|_| !source.from_file);
                amqp.is_some_and(|(known, _)| (known.host.as_str(), known.port) == (host, port))
                    || addresses.contains(&(broker.management.clone(), (host.to_owned(), port)))
            }
        };
        is_reached && broker.vhost == vhost
    };
    let named = || others().find(|source| source.region.as_str() == name && source.broker.vhost == vhost);
    let there = others().find(is_there).or_else(named);
    there.map(|source| &source.region)
}

/// How a region is reached, as its upstreams in other regions have it.
pub(super) fn broker(
    source: &Source,
    sources: &[Source],
    links: &[Link<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) -> ExternalBroker {
    let mut broker = source.broker.clone();
    let place = || Place::Broker { region: source.region.clone() };
    let from_here: Vec<&Link<'_>> = links.iter().filter(|link| link.upstream == source.region).collect();
    let origins: BTreeSet<String> = from_here.iter().map(|link| link.origin()).collect();
    let first = from_here.first().map(|link| link.origin());
    if origins.len() > 1 {
        let message = format!("is reached by several addresses: {}", listed(&origins));
        let help = "one that is reachable from every region belongs into `advertise`";
        diagnostics.push(Diagnostic::new(codes::ADDRESS_DIFFERS, place(), message).help(help));
    }
    if source.from_file {
        reached(&mut broker, first.as_deref());
        let message = "its definitions do not say how it is reached";
        let help = "look at `management`, `amqp`, `cluster-name` and `user` of its `broker`";
        diagnostics.push(Diagnostic::new(codes::UNKNOWN_PLACE, place(), message).help(help));
    }
    let is_same = |origin: &String| same_address(origin, &broker.amqp);
    broker.advertise = first.filter(|origin| !is_same(origin));
    let named = source.found.cluster_name.clone();
    broker.cluster_name = named.filter(|name| name != source.region.as_str());
    broker.link_user = link_user(source, sources, &from_here, diagnostics);
    broker
}

/// Puts the address by which other regions reach a broker in place of one that is not known.
fn reached(broker: &mut ExternalBroker, origin: Option<&str>) {
    let Some((address, _)) = origin.and_then(|origin| {
        let (origin, _) = origin.split_once('?').unwrap_or((origin, ""));
        Address::parse(origin, AMQP).ok()
    }) else {
        return;
    };
    let [(plain, _), (encrypted, _)] = AMQP;
    let [(http, _), (https, _)] = HTTP;
    let (amqp, management) = if address.tls { (encrypted, https) } else { (plain, http) };
    broker.amqp = format!("{amqp}://{address}");
    broker.management = format!("{management}://{}:{MANAGEMENT_PORT}", address.host);
}

fn same_address(one: &str, other: &str) -> bool {
    let of = |url: &str| Address::parse(url, AMQP).ok().map(|(address, _)| address);
    of(one).is_some_and(|one| of(other) == Some(one))
}

/// The user of other regions' links, unless fedctl makes one for each.
fn link_user(
    source: &Source,
    sources: &[Source],
    from_here: &[&Link<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<LinkUser> {
    let first = from_here.first()?;
    let recorded = source.found.recorded.values();
    let made: BTreeSet<&String> = recorded.flat_map(|owned| &owned.users).collect();
    let is_made = |link: &&&Link<'_>| made.contains(&decoded(&link.user()));
    let within = first.uri.address().is_none();
    if from_here.iter().all(|link| is_made(&link)) || (within && !made.is_empty()) {
        return None;
    }
    if within && first.user().is_empty() {
        // no link connects, so there is nobody to connect as: fedctl's own user, which is there
        let ExternalBroker { user, password, password_file, .. } = source.broker.clone();
        return Some(LinkUser { name: user, password, password_file });
    }
    let users: BTreeSet<String> = from_here.iter().map(|link| link.user()).collect();
    if users.len() > 1 {
        let place = Place::Broker { region: source.region.clone() };
        let message = format!("links connect to it as several users: {}", listed(&users));
        let help = "one that every link may connect as belongs into `link-user`";
        diagnostics.push(Diagnostic::new(codes::USER_DIFFERS, place, message).help(help));
    }
    let name = first.user();
    // one whose password is known already needs no second variable
    let known = sources.iter().find(|known| {
        known.broker.user == name && known.broker.management == source.broker.management && !known.from_file
    });
    let known = known.map(|known| (known.broker.password.clone(), known.broker.password_file.clone()));
    let (password, password_file) =
        known.unwrap_or_else(|| (Some(format!("${{{}}}", password_variable(&source.region, "LINKS"))), None));
    Some(LinkUser { name, password, password_file })
}

fn listed(all: &BTreeSet<String>) -> String {
    all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
}
