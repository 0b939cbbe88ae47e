//! What the values of a topology mean together.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

use super::{
    AckMode, BUILT_IN_SERVICES, FederationPolicy, Region, Service, Shape, Topology,
    finding::{Code, Findings, listed, quoted, suggestion},
    tree::Tree,
};

/// The variables that fedctl itself sets in a service's environment, or that its own services obey.
const OWN_VARIABLES: [&str; 9] = [
    "REGION",
    "REGIONS",
    "MASTER_REGION",
    "INSTANCE",
    "COMPUTE_HOSTS",
    "AMQP_URI_FILE",
    "AMQP_URI",
    "STORE",
    "LISTEN",
];

/// Names that are a container's or a directory's beside every service.
const RESERVED_SERVICES: [(&str, &str); 3] = [
    ("broker", "the region's broker"),
    ("store", "the directory that fedctl's own services share"),
    ("localhost", "every container itself"),
];

/// Host names that lead a broker to itself.
const RESERVED_REGIONS: [(&str, &str); 2] =
    [("broker", "every region's own broker"), ("localhost", "every container itself")];

/// Adds a finding for everything that is wrong between the values of `topology`, whose places are
/// those of `tree`.
pub(super) fn validate(topology: &Topology, tree: &Tree, findings: &mut Findings) {
    let mut validator = Validator { topology, tree, findings };
    validator.names();
    for (index, region) in topology.regions.iter().enumerate() {
        for (service_index, service) in region.services.iter().enumerate() {
            validator.service(service, &format!("regions/{index}/services/{service_index}"));
        }
    }
    validator.host_ports();
    for (index, policy) in topology.federation.policies.iter().enumerate() {
        validator.pattern(policy, &format!("federation/policies/{index}/pattern"));
    }
    validator.hops();
    validator.acknowledgements();
}

struct Validator<'a, 'f, 't> {
    topology: &'a Topology,
    tree: &'a Tree,
    findings: &'f mut Findings<'t>,
}

impl Validator<'_, '_, '_> {
    fn add(&mut self, code: Code, path: &str, message: String, help: String) {
        self.findings.add(code, self.tree.span_of(path), message, Some(help));
    }

    fn names(&mut self) {
        let Topology { master, regions, federation, .. } = self.topology;
        let names = regions.iter().map(|region| region.name.as_str());
        if self.topology.region(master).is_none() {
            self.add(
                Code::UnknownMaster,
                "master",
                format!("there is no region {}", quoted(master.as_str())),
                suggestion(master.as_str(), names.clone(), "the regions are"),
            );
        }
        let names = names.map(str::to_owned).enumerate();
        self.distinct(Code::DuplicateRegion, "regions", names, "two regions are called");
        for (index, region) in regions.iter().enumerate() {
            let services = region.services.iter().enumerate();
            let services =
                services.flat_map(|(index, service)| service.instances().map(move |name| (index, name)));
            let message = format!("two services in `{}` are called", region.name);
            self.distinct(Code::DuplicateService, &format!("regions/{index}/services"), services, &message);
        }
        for (index, region) in regions.iter().enumerate() {
            let holder = holder(&RESERVED_REGIONS, region.name.as_str());
            self.reserved(&format!("regions/{index}/name"), region.name.as_str(), holder);
        }
        let policies = federation.policies.iter().map(|policy| policy.name.clone()).enumerate();
        self.distinct(Code::DuplicatePolicy, "federation/policies", policies, "two policies are called");
    }

    /// Each name in the list at `path` may be there once.
    fn distinct(
        &mut self,
        code: Code,
        path: &str,
        names: impl Iterator<Item = (usize, String)>,
        message: &str,
    ) {
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        for (index, name) in names {
            let place = format!("{path}/{index}/name");
            if let Some(earlier) = first.get(&name) {
                let line = self.findings.line(self.tree.span_of(earlier).start);
                let help = format!("the other is on line {line}; rename one of them");
                self.add(code, &place, format!("{message} {}", quoted(&name)), help);
            } else {
                first.insert(name, place);
            }
        }
    }

    /// Adds a finding for a name that already is something else's.
    fn reserved(&mut self, path: &str, name: &str, holder: Option<&str>) {
        if let Some(holder) = holder {
            self.add(
                Code::ReservedName,
                path,
                format!("{} is the name of {holder}", quoted(name)),
                "choose another name".into(),
            );
        }
    }

    fn service(&mut self, service: &Service, path: &str) {
        let name = service.name.as_str();
        let region = self.topology.regions.iter().any(|region| region.name.as_str() == name);
        let holder = holder(&RESERVED_SERVICES, name).or(region.then_some("a region"));
        self.reserved(&format!("{path}/name"), name, holder);
        if service.image.is_none() && !BUILT_IN_SERVICES.contains(&service.name.as_str()) {
            let help = suggestion(&service.name, BUILT_IN_SERVICES, "fedctl's own are");
            self.add(
                Code::UnknownService,
                &format!("{path}/name"),
                format!("{} has no image and is none of fedctl's own programs", quoted(&service.name)),
                format!("another program needs an `image`; {help}"),
            );
        }
        for variable in service.environment.keys().filter(|name| OWN_VARIABLES.contains(&name.as_str())) {
            self.findings.add(
                Code::ReservedVariable,
                self.tree.key_span_of(&format!("{path}/environment/{variable}")),
                format!("fedctl itself uses {}", quoted(variable)),
                Some(format!("give it another name; fedctl uses {}", listed(OWN_VARIABLES))),
            );
        }
        if service.amqp_uri_in_environment {
            self.add(
                Code::PasswordExposed,
                &format!("{path}/amqp-uri-in-environment"),
                "whoever may inspect the container can read the broker's password".into(),
                "read the URI from the file that `AMQP_URI_FILE` names".into(),
            );
        }
    }

    fn host_ports(&mut self) {
        let mut owners: BTreeMap<u16, String> = BTreeMap::new();
        let pins = self.topology.regions.iter().enumerate().flat_map(|(index, region)| pins(index, region));
        for Pin { port, owner, path } in pins {
            if let Some(first) = owners.get(&port) {
                self.add(
                    Code::HostPortTaken,
                    &path,
                    format!("{owner} cannot have host port {port}, which {first} has"),
                    "pin another, or leave it out and let the engine choose".into(),
                );
            } else {
                owners.insert(port, owner);
            }
        }
    }

    fn pattern(&mut self, policy: &FederationPolicy, path: &str) {
        let shown = quoted(&policy.pattern);
        match compiled(&policy.pattern) {
            Err(reason) => self.add(
                Code::InvalidPattern,
                path,
                format!("{shown} is no regular expression that fedctl can check: {reason}"),
                r"match names by anchors, classes and alternatives, such as `^(orders|stock)\.`".into(),
            ),
            Ok(pattern) => {
                if let Some(name) =
                    internal_names(self.topology).find(|name| pattern.is_match(name.as_bytes()))
                {
                    self.add(
                        Code::InternalQueues,
                        path,
                        format!("{shown} also matches what RabbitMQ itself calls {}", quoted(&name)),
                        r"anchor it at a prefix or suffix of your own names, such as `^orders\.` or `\.events$`"
                            .into(),
                    );
                }
            }
        }
    }

    fn hops(&mut self) {
        let Shape::FullMesh = self.topology.federation.shape;
        let (regions, hops) = (self.topology.regions.len(), self.topology.federation.upstream.max_hops);
        let copies = copies(regions, hops);
        if copies > 1 {
            self.add(
                Code::ManyCopies,
                "federation/upstream/max-hops",
                format!(
                    "every region receives each message of another up to {} times",
                    if copies > MOST_COPIES {
                        format!("more than {MOST_COPIES}")
                    } else {
                        copies.to_string()
                    }
                ),
                format!("in a full mesh of {regions} one hop reaches every region: `max-hops: 1`"),
            );
        }
    }

    fn acknowledgements(&mut self) {
        let lost = match self.topology.federation.upstream.ack_mode {
            AckMode::OnConfirm => return,
            AckMode::OnPublish => "a broker",
            AckMode::NoAck => "a link",
        };
        self.add(
            Code::MayLoseMessages,
            "federation/upstream/ack-mode",
            format!("what is in flight when {lost} fails is lost"),
            "`on-confirm` loses nothing".into(),
        );
    }
}

/// Whose name it is, where it is reserved.
fn holder(reserved: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    reserved.iter().find(|(reserved, _)| *reserved == name).map(|(_, holder)| *holder)
}

/// A port of the host that something in the file asks for.
struct Pin {
    port: u16,
    owner: String,
    path: String,
}

fn pins(index: usize, region: &Region) -> Vec<Pin> {
    let broker = [("amqp", region.ports.amqp), ("management", region.ports.management)];
    let broker = broker.into_iter().filter_map(|(key, port)| {
        let owner = format!("the broker of `{}`", region.name);
        Some(Pin { port: port?, owner, path: format!("regions/{index}/ports/{key}") })
    });
    let services = region.services.iter().enumerate().flat_map(|(service_index, service)| {
        service.instances().flat_map(move |instance| {
            service.ports.iter().enumerate().filter_map(move |(port_index, port)| {
                let path = format!("regions/{index}/services/{service_index}/ports/{port_index}/host");
                Some(Pin { port: port.host?, owner: format!("`{instance}` in `{}`", region.name), path })
            })
        })
    });
    broker.chain(services).collect()
}

/// The pattern as RabbitMQ reads it: over bytes.
fn compiled(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).unicode(false).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        reason.trim_start_matches("error: ").to_owned()
    })
}

/// Names as RabbitMQ gives them to the queues and exchanges that federation keeps on the
/// upstream: `federation: EXCHANGE -> CLUSTER`, for an exchange also with ` A` or ` B`.
///
/// Which exchanges there will be is not known; each pattern read as a name stands for those
/// that it matches.
fn internal_names(topology: &Topology) -> impl Iterator<Item = String> {
    let policies = topology.federation.policies.iter();
    let exchanges = policies.map(|policy| policy.pattern.replace(['^', '$', '\\'], ""));
    let exchanges = ["products.events".to_owned()].into_iter().chain(exchanges);
    exchanges.flat_map(|exchange| {
        topology.regions.iter().flat_map(move |region| {
            ["", " A", " B"].map(|suffix| format!("federation: {exchange} -> {}{suffix}", region.name))
        })
    })
}

/// More copies than this are not counted.
const MOST_COPIES: u64 = 1_000_000;

/// How often a message reaches another region of a full mesh: once by every path that visits no
/// region twice, 1 + (N-2) + (N-2)(N-3) + … for as many hops as are allowed.
fn copies(regions: usize, hops: u32) -> u64 {
    let between = u64::try_from(regions.saturating_sub(2)).unwrap_or(u64::MAX);
    let mut paths: u64 = 1;
    let mut copies: u64 = 1;
    for hop in 1..u64::from(hops) {
        paths = paths.saturating_mul(between.saturating_sub(hop - 1));
        copies = copies.saturating_add(paths);
    }
    copies
}
