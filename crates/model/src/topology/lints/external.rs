//! Brokers that fedctl did not start.

use std::collections::BTreeMap;

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    site::{AMQP, Address, HTTP, ITSELF},
    topology::{ExternalBroker, Region, RegionName, Topology, external::variable},
};

pub(super) const LINT: Lint =
    Lint { codes: &[BAD_URL, PASSWORD_IN_FILE, NOT_IN_CONTAINER, APART, SAME_CLUSTER, UNENCRYPTED], check };

const BAD_URL: Code = Code::error(
    "FED0150",
    "The address of a broker is not a URL of the scheme that is needed: `http` or `https` for the management API, `amqp` or \
     `amqps` for the listener. User, password and virtual host have keys of their own, so that no password is in the file.",
);
const PASSWORD_IN_FILE: Code = Code::error(
    "FED0151",
    "A password is written into the topology file, where whoever reads the repository or a backup finds it. Put it into an \
     environment variable and write `password: ${NAME}`, or into a file that only you can read and name that in \
     `password-file`. Change the password on the broker too, if the file was shared.",
);
const NOT_IN_CONTAINER: Code = Code::error(
    "FED0152",
    "The region's broker was not started by fedctl, so there is no container of which ports could be published, and no \
     network on which services could reach it. Remove the services and ports of the region, or its `broker`.",
);
const APART: Code = Code::error(
    "FED0153",
    "A link would join a broker in a container with one that fedctl did not start. Brokers in containers reach each other \
     only on a network of their own, which no other host reaches and which leads nowhere else. Choose another shape, or \
     give every region that is linked with this one a `broker`.",
);
const SAME_CLUSTER: Code = Code::error(
    "FED0154",
    "Two regions are the same virtual host of clusters with the same name. Federation tells brokers apart by the names of \
     their clusters and virtual hosts: both would share one queue on every upstream, and each would get a part of the \
     messages, while all links run. Give each cluster a name of its own (`rabbitmqctl set_cluster_name`) and write it in \
     `cluster-name`, or let each region be another virtual host.",
);
const UNENCRYPTED: Code = Code::warning(
    "FED0250",
    "Passwords and messages cross a network in clear: the address is of another machine and its scheme does not encrypt. Use \
     `https` and `amqps`, with `ca-file` if the certificates are signed by an authority of your own. Where the network \
     itself encrypts or is yours alone, the warning can be ignored.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (index, region) in topology.regions.iter().enumerate() {
        if let Some(broker) = &region.broker {
            let path = format!("regions/{index}/broker");
            addresses(broker, &path, places);
            passwords(broker, &path, places);
            containers(region, index, places);
        }
    }
    apart(topology, places);
    same_cluster(topology, places);
}

fn addresses(broker: &ExternalBroker, path: &str, places: &mut Places<'_, '_, '_>) {
    let advertised = broker.advertise.as_deref().filter(|url| *url != ITSELF);
    let advertised = advertised.map(|url| url.split_once('?').map_or(url, |(address, _)| address));
    let given = [
        ("management", Some(broker.management.as_str()), HTTP),
        ("amqp", Some(broker.amqp.as_str()), AMQP),
        ("advertise", advertised, AMQP),
    ];
    for (key, url, schemes) in given {
        let Some(url) = url else { continue };
        let path = format!("{path}/{key}");
        match Address::parse(url, schemes) {
            Err(reason) => {
                let [(plain, _), (encrypted, _)] = schemes;
                let help =
                    format!("such as `{encrypted}://rabbitmq.example.com`, or `{plain}` on this machine");
                places.add(BAD_URL, &path, format!("not the URL of a broker: {reason}"), help);
            }
            Ok((_, below)) if key != "management" && !below.is_empty() => {
                let help = "the virtual host has a key of its own: `vhost`";
                places.add(BAD_URL, &path, "not the URL of a broker: nothing may follow the port", help);
            }
            Ok((address, _)) if !address.tls && !address.is_local() => {
                let message =
                    format!("passwords and messages cross the network to `{}` in clear", address.host);
                let help = format!("use `{}`", schemes[1].0);
                places.add(UNENCRYPTED, &path, message, help);
            }
            Ok(_) => {}
        }
    }
}

fn passwords(broker: &ExternalBroker, path: &str, places: &mut Places<'_, '_, '_>) {
    let own = (path.to_owned(), &broker.password, &broker.password_file);
    let links = broker.link_user.as_ref();
    let links = links.map(|user| (format!("{path}/link-user"), &user.password, &user.password_file));
    for (path, password, file) in [own].into_iter().chain(links) {
        let Some(password) = password else { continue };
        let place = format!("{path}/password");
        if variable(password).is_none() {
            let help = "`password: ${NAME}` for an environment variable, or `password-file: FILE`";
            places.add(PASSWORD_IN_FILE, &place, "a password is written into the file", help);
        } else if file.is_some() {
            let help = "remove one of them";
            places.add(PASSWORD_IN_FILE, &place, "both `password` and `password-file` are given", help);
        }
    }
}

fn containers(region: &Region, index: usize, places: &mut Places<'_, '_, '_>) {
    let name = &region.name;
    let services = (!region.services.is_empty()).then_some(("services", "no services can run beside it"));
    let has_ports = region.ports.amqp.or(region.ports.management).is_some();
    let ports = has_ports.then_some(("ports", "it publishes no ports"));
    for (key, what) in services.into_iter().chain(ports) {
        let message = format!("the broker of `{name}` is not in a container: {what}");
        places.add_at_key(
            NOT_IN_CONTAINER,
            &format!("regions/{index}/{key}"),
            message,
            format!("remove `{key}`"),
        );
    }
}

fn apart(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let external: BTreeMap<&RegionName, (usize, bool)> = topology
        .regions
        .iter()
        .enumerate()
        .map(|(at, region)| (&region.name, (at, region.broker.is_some())))
        .collect();
    let mixed =
        topology.pairs().into_iter().find(|pair| external[&pair.upstream].1 != external[&pair.downstream].1);
    if let Some(pair) = mixed {
        let (elsewhere, _) = [&pair.upstream, &pair.downstream]
            .map(|name| external[name])
            .into_iter()
            .fold((0, false), |found, end| if end.1 { end } else { found });
        places.add_at_key(
            APART,
            &format!("regions/{elsewhere}/broker"),
            format!(
                "a link from `{}` to `{}` would leave the network of the containers",
                pair.upstream, pair.downstream
            ),
            "choose another `shape` of `federation`, or give both regions a `broker`",
        );
    }
}

fn same_cluster(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let mut known: BTreeMap<(&str, &str), &RegionName> = BTreeMap::new();
    for (index, region) in topology.regions.iter().enumerate() {
        let first = known.insert((region.cluster_name(), region.vhost()), &region.name);
        // two of the same name are found elsewhere
        let Some(first) = first.filter(|first| **first != region.name) else { continue };
        let (cluster, vhost) = (region.cluster_name(), region.vhost());
        places.add(
            SAME_CLUSTER,
            &format!("regions/{index}/broker"),
            format!(
                "`{first}` and `{}` are both virtual host `{vhost}` of a cluster called `{cluster}`",
                region.name
            ),
            "give the clusters names of their own, or let the regions be different virtual hosts",
        );
    }
}
