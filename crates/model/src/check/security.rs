//! Who links connect as, and over what.

use super::{AmqpUri, Check, Look, Region};
use crate::{
    diagnostic::{Code, Diagnostic, Place},
    topology::Topology,
};

pub(super) const CHECK: Check =
    Check { codes: &[PLAIN, NOT_VERIFIED, GUEST_IN_URI, ADMINISTRATOR, GUEST], check };

const PLAIN: Code = Code::warning(
    "FED0807",
    "The link connects to another machine with `amqp`, so its user name and password and every message cross the network \
     readable. Give the upstream's broker a TLS listener, and the URI the scheme `amqps` with a `cacertfile`. Where a VPN or \
     the provider encrypts the way between the regions, the finding can be ignored.",
);
const NOT_VERIFIED: Code = Code::warning(
    "FED0808",
    "With `verify=verify_none` the link encrypts and does not check whose certificate it gets: anybody between the regions \
     can pose as the upstream and read or change everything. Put the path of the authority's certificate in `cacertfile` and \
     set `verify=verify_peer`.",
);
const GUEST_IN_URI: Code = Code::warning(
    "FED0809",
    "The upstream's URI names the user `guest`, or no user, which means the same. Its password is known to everyone, it is an \
     administrator, and brokers refuse it from other machines by default. Create a user for the link that may configure, \
     write and read only what it federates.",
);
const ADMINISTRATOR: Code = Code::warning(
    "FED0810",
    "The link connects as an administrator of the upstream's broker, and its password can be read in the upstream's \
     definition by everyone who may read parameters on the downstream. A link needs no tag at all, and only permissions for its \
     internal queues and for what is federated. Create a user for it that has no more.",
);
const GUEST: Code = Code::warning(
    "FED0811",
    "RabbitMQ creates the user `guest` with the password `guest` and makes it an administrator. Only a setting of the \
     broker, `loopback_users`, keeps it from connecting from elsewhere, and the official images switch that off. Delete it \
     once another administrator exists: `rabbitmqctl delete_user guest`.",
);

const DEFAULT_USER: &str = "guest";

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    for region in &look.regions {
        for (name, upstream) in
            region.facts.upstreams.iter().filter(|(_, upstream)| !upstream.leads_nowhere())
        {
            let place = region.upstream(name);
            // a list of URIs is one of the nodes of one cluster: what is so of one is told once
            let each = upstream.uris.iter().flat_map(|uri| of_uri(look, name, uri, &place));
            let mut told: Vec<Diagnostic> = each.collect();
            told.dedup_by_key(|found| found.code);
            found.extend(told);
        }
    }
    for region in look.brokers() {
        if region.facts.users.as_ref().is_some_and(|users| users.contains_key(DEFAULT_USER)) {
            let place = Place::User { region: region.name.clone(), name: DEFAULT_USER.into() };
            let message = "everyone knows the password that RabbitMQ gave it";
            found.push(Diagnostic::new(GUEST, place, message).help("rabbitmqctl delete_user guest"));
        }
    }
}

fn of_uri(look: &Look<'_>, upstream: &str, uri: &AmqpUri, place: &Place) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut add = |code, message: String, help: &str| {
        found.push(Diagnostic::new(code, place.clone(), message).help(help));
    };
    if let Some(host) = uri.host.as_ref().filter(|_| !uri.encrypted && leaves_the_engine(look.topology, uri))
    {
        let message = format!("connects to `{host}` without encryption");
        add(PLAIN, message, "use `amqps` and a `cacertfile`");
    }
    if uri.parameters.get("verify").is_some_and(|verify| verify == "verify_none") {
        add(NOT_VERIFIED, "checks no certificate".into(), "set `cacertfile` and `verify=verify_peer`");
    }
    let user = uri.user.as_deref().unwrap_or(DEFAULT_USER);
    if user == DEFAULT_USER && uri.host.is_some() {
        add(GUEST_IN_URI, "connects as `guest`".into(), "create a user for the link alone");
    } else if is_administrator(at(look, upstream, uri), user) {
        let message = format!("connects as `{user}`, an administrator there");
        add(ADMINISTRATOR, message, "create a user for the link alone, without tags");
    }
    found
}

/// Whether the connection is to another machine than the engine that runs the regions' containers: on the network
/// between those a host is called as its region.
fn leaves_the_engine(topology: &Topology, uri: &AmqpUri) -> bool {
    let is_region = |host: &String| topology.regions.iter().any(|region| region.name.as_str() == host);
    uri.is_remote() && !uri.host.as_ref().is_some_and(is_region)
}

/// The region that a URI leads to, if it can be told.
fn at<'l, 'a>(look: &'l Look<'a>, upstream: &str, uri: &AmqpUri) -> Option<&'l Region<'a>> {
    look.region(uri.host.as_deref()?).or_else(|| look.region(upstream))
}

fn is_administrator(region: Option<&Region<'_>>, user: &str) -> bool {
    let user = region.and_then(|region| region.facts.users.as_ref()?.get(user));
    user.is_some_and(|user| user.tags.contains("administrator"))
}
