//! Reading `regions.yaml`: a small text in, every finding out.

use std::time::Duration;

use crate::catalogue::catalogue;
use fedctl_model::{
    diagnostic::{Diagnostic, Place, Position},
    topology::{
        self, AckMode, ApplyTo, BrokerPorts, BrokerSettings, CleanupMode, Federation, FederationPolicy, Port,
        QueueType, Readiness, Region, RegionName, Service, Shape, Topology, UpstreamSettings,
    },
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::json;

const SHIPPED: &str = include_str!("../../../../regions.yaml");
const ONE_REGION: &str = "name: shop\nmaster: europe\nregions:\n- name: europe\n";
const THREE_REGIONS: &str =
    "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\nfederation:\n";

fn findings(yaml: &str) -> Vec<Diagnostic> {
    topology::parse(yaml, &catalogue()).map_or_else(|findings| findings, |(_, warnings)| warnings)
}

/// Compares the findings in `yaml`, as `code line:column message; help`, with the expected lines.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let found: Vec<String> = findings(yaml)
        .iter()
        .map(|Diagnostic { code, place, message, help, .. }| {
            format!("{code} {place} {message}; {}", help.as_deref().unwrap_or("no help"))
        })
        .collect();
    assert_eq!(found, expected, "the findings in\n{yaml}");
}

#[test]
fn the_shipped_topology_has_no_findings() {
    let (topology, warnings) = topology::parse(SHIPPED, &catalogue()).unwrap();
    assert_eq!(warnings, []);
    let names: Vec<_> = topology.regions.iter().map(|region| region.name.as_str()).collect();
    assert_eq!(names, ["europe", "asia", "america"]);
    for region in &topology.regions {
        assert_eq!(region.services.len(), 3, "the alias gives {} its services", region.name);
    }
}

/// Regions `r0`, `r1` and so on, whose exchanges are federated like this.
fn federated(count: usize, federation: &str) -> String {
    let policies = r"policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
    let federation = [federation, policies].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    format!("{}federation: {{{}}}\n", regions(count, ""), federation.join(", "))
}

/// The pairs of a shape, as `upstream>downstream`, and how many links a message may cross.
fn shape(count: usize, federation: &str) -> (String, u32) {
    let (topology, _) = topology::parse(&federated(count, federation), &catalogue()).unwrap();
    let pairs = topology.pairs().into_iter().map(|pair| format!("{}>{}", pair.upstream, pair.downstream));
    (pairs.collect::<Vec<_>>().join(" "), topology.max_hops())
}

#[test]
fn a_shape_says_which_links_there_are_and_how_many_a_message_crosses() {
    let is = |pairs: &str, hops| (pairs.to_owned(), hops);
    assert_eq!(shape(3, ""), is("r1>r0 r2>r0 r0>r1 r2>r1 r0>r2 r1>r2", 1));
    assert_eq!(shape(3, "shape: ring"), is("r1>r0 r2>r0 r0>r1 r2>r1 r0>r2 r1>r2", 1));
    assert_eq!(shape(4, "shape: ring, one-way: true"), is("r3>r0 r0>r1 r1>r2 r2>r3", 3));
    assert_eq!(shape(3, "shape: line"), is("r1>r0 r0>r1 r2>r1 r1>r2", 2));
    assert_eq!(shape(3, "shape: line, one-way: true"), is("r0>r1 r1>r2", 2));
    assert_eq!(shape(3, "shape: hub-and-spoke, hub: r1"), is("r1>r0 r0>r1 r2>r1 r1>r2", 2));
    assert_eq!(shape(3, "shape: hub-and-spoke, hub: r1, one-way: true"), is("r1>r0 r1>r2", 1));
    assert_eq!(shape(2, "shape: pairs, pairs: [{upstream: r1, downstream: r0}]"), is("r1>r0", 1));
    assert_eq!(shape(1, "shape: ring"), is("", 1));
    assert_eq!(shape(2, "shape: ring"), is("r1>r0 r0>r1", 1));
}

#[test]
fn a_shape_in_which_a_message_arrives_twice_is_refused_unless_duplicates_are_allowed() {
    let help = "or say `allow-duplicates: true`";
    let one_path = "a ring with `one-way: true`, a line or a hub has one path to each region";
    let ring = "a message from `r0` reaches `r2` 2 times: r0 → r1 → r2, r0 → r3 → r2; the same between 3 other pairs";
    check(&federated(4, "shape: ring"), &[&format!("FED0128 8:21 {ring}; {one_path}; {help}")]);
    check(&federated(4, "shape: ring, allow-duplicates: true"), &[]);
    let mesh =
        "a message from `r0` reaches `r1` 2 times: r0 → r1, r0 → r2 → r1; the same between 5 other pairs";
    let hops = "`max-hops: 1`, or leave it out";
    check(&federated(3, "upstream: {max-hops: 2}"), &[&format!("FED0128 7:35 {mesh}; {hops}; {help}")]);
    for federation in ["shape: ring, one-way: true", "shape: line", "shape: hub-and-spoke, hub: r0"] {
        check(&federated(6, federation), &[]);
    }
    assert_eq!(findings(&federated(64, "upstream: {max-hops: 64}")).len(), 1, "all paths are never walked");
}

#[test]
fn a_shape_whose_hops_do_not_reach_is_warned_of() {
    check(
        &federated(5, "shape: line, upstream: {max-hops: 2}"),
        &[
            "FED0205 9:48 messages cross 2 links at most, and some regions are 4 apart; `max-hops: 4`, or leave it out",
        ],
    );
}

#[test]
fn queues_of_regions_that_are_not_linked_are_warned_of() {
    let yaml = |shape: &str| format!("{}federation: {{shape: {shape}}}\n", regions(3, ""));
    check(
        &yaml("line"),
        &[
            "FED0206 7:21 queues are federated over one link only, and some regions are 2 apart; consumers get messages of \
           directly linked regions only; a full mesh links all",
        ],
    );
    check(&yaml("ring"), &[]);
}

#[test]
fn a_shape_has_the_values_that_it_needs_and_no_others() {
    check(
        &federated(2, "shape: hub-and-spoke"),
        &["FED0126 6:21 which region is the hub is not said; `hub: REGION`"],
    );
    check(
        &federated(2, "shape: hub-and-spoke, hub: r7"),
        &["FED0126 6:41 there is no region `r7`; the regions are `r0`, `r1`"],
    );
    check(
        &federated(2, "hub: r1, one-way: true"),
        &[
            "FED0125 6:14 `hub` has no effect with the shape `full-mesh`; it is for the shape hub-and-spoke",
            "FED0125 6:23 `one-way` has no effect with the shape `full-mesh`; it is for the shape ring, line, \
             hub-and-spoke",
        ],
    );
    check(
        &federated(2, "shape: pairs"),
        &["FED0127 6:21 no pair is listed; `pairs: [{upstream: A, downstream: B}]`"],
    );
    let pairs = "shape: pairs, pairs: [{upstream: r0, downstream: r0}, {upstream: r0, downstream: r1}, \
                 {upstream: r0, downstream: r1}]";
    check(
        &federated(2, pairs),
        &[
            "FED0127 6:36 a region is no upstream of itself; name two regions",
            "FED0127 6:100 this pair is listed twice; remove one of them",
        ],
    );
}

#[test]
fn one_region_is_enough() {
    check(ONE_REGION, &[]);
}

/// That many regions called `r0`, `r1` and so on, each with `settings`.
fn regions(count: usize, settings: &str) -> String {
    let regions: Vec<_> = (0..count).map(|n| format!("- name: r{n}\n{settings}")).collect();
    format!("name: shop\nmaster: r0\nregions:\n{}", regions.concat())
}

#[test]
fn ten_regions_are_fine_and_so_are_hundreds() {
    check(&regions(10, ""), &[]);
    check(&(regions(512, "") + "broker: {memory: 8192}\n"), &[]);
}

#[test]
fn more_than_five_hundred_and_twelve_regions_are_too_many() {
    check(&regions(513, ""), &["FED0109 3:1 `regions` has 513 entries; 512 are allowed"]);
}

#[test]
fn hundreds_of_regions_may_share_their_settings_through_aliases() {
    let anchors = "  ports: &ports {}\n  services: &services [name: products, name: taxes]\n";
    let aliases = "  ports: *ports\n  services: *services\n";
    let yaml = regions(512, aliases).replacen(aliases, anchors, 1);
    check(&(yaml + "broker: {memory: 8192}\n"), &[]);
}

#[test]
fn an_empty_file_is_no_mapping() {
    for yaml in ["", "# nothing yet\n"] {
        assert_eq!(findings(yaml)[0].message, "the file must be a mapping, not empty");
    }
}

#[test]
fn an_empty_list_of_regions_is_refused() {
    check(
        "name: shop\nmaster: europe\nregions: []\n",
        &["FED0109 3:10 `regions` is empty; give at least one"],
    );
}

#[test]
fn what_is_missing_is_named_and_described() {
    check(
        "name: shop\nregions:\n- services: []\n",
        &[
            "FED0105 1:1 the file lacks `master`; the region that does the work only one region may do",
            "FED0105 3:3 an entry of `regions` lacks `name`; the region's name",
        ],
    );
}

#[test]
fn a_name_that_is_already_something_elses_is_refused() {
    check(
        "name: shop\nmaster: broker\nregions:\n- name: broker\n- name: localhost\n- name: asia\n  services:\n  \
         - {name: broker, image: a}\n  - {name: store, image: a}\n  - {name: asia, image: a}\n  - {name: localhost, image: a}\n",
        &[
            "FED0121 4:9 `broker` is the name of every region's own broker; choose another name",
            "FED0121 5:9 `localhost` is the name of every container itself; choose another name",
            "FED0121 8:12 `broker` is the name of the region's broker; choose another name",
            "FED0121 9:12 `store` is the name of the directory that built-in services share; choose another name",
            "FED0121 10:12 `asia` is the name of a region; choose another name",
            "FED0121 11:12 `localhost` is the name of every container itself; choose another name",
        ],
    );
}

#[test]
fn replicas_share_neither_a_name_with_another_service_nor_a_host_port() {
    let yaml = format!(
        "{ONE_REGION}  services: [{{name: a, image: a, replicas: 2, ports: [{{container: 1, host: 80}}]}}, {{name: a-2, image: b}}]\n"
    );
    check(
        &yaml,
        &[
            "FED0116 5:76 `a-2` in `europe` cannot use host port 80, which `a` in `europe` uses; \
             pin another, or leave it out and let the engine choose",
            "FED0113 5:90 two services in `europe` are called `a-2`; the other is on line 5; rename one of them",
        ],
    );
}

#[test]
fn a_readiness_check_needs_a_path_and_a_published_port() {
    let service = |name: &str, readiness: &str, ports: &str| {
        format!("  - {{name: {name}, image: i, readiness: {readiness}, ports: [{ports}]}}\n")
    };
    let yaml = format!(
        "{ONE_REGION}  services:\n{}{}{}{}",
        service("right", "{http: /, port: 81}", "{container: 80}, {container: 81}"),
        service("none", "{http: /}", ""),
        service("other", "{http: /, port: 8000}", "{container: 80}, {container: 81}"),
        service("path", "{http: ready}", "{container: 80}"),
    );
    check(
        &yaml,
        &[
            "FED0122 7:39 `none` publishes no port, so its readiness cannot be checked; add the port that answers \
             to `ports`",
            "FED0122 8:56 `other` does not publish port 8000; add it to `ports`, or use one of those: 80, 81",
            "FED0123 9:46 `ready` does not start with `/`; give the path of the URL, such as `/healthz`",
        ],
    );
}

#[test]
fn readiness_is_a_built_in_programs_by_default_and_anothers_by_request() {
    let yaml = format!(
        "{ONE_REGION}  services:\n  - name: taxes\n  - {{name: rpc, ports: [{{container: 9000}}]}}\n  \
         - {{name: payment, image: i, ports: [{{container: 8000}}]}}\n  \
         - {{name: stock, image: i, ports: [{{container: 80}}], readiness: {{http: /ready}}}}\n"
    );
    let (topology, _) = topology::parse(&yaml, &catalogue()).unwrap();
    let checks: Vec<_> = topology.regions[0].services.iter().map(Service::readiness_check).collect();
    assert_eq!(checks, [Some(("/healthz", 8000)), None, None, Some(("/ready", 80))]);
}

#[test]
fn a_variable_that_the_built_in_program_does_not_read_is_a_warning() {
    let yaml = format!(
        "{ONE_REGION}  services:\n  - {{name: compute-host, environment: {{IMAGE: plan9, IMAGES: debian}}}}\n  \
         - {{name: taxes, environment: {{MODE: fast}}}}\n  - {{name: other, image: i, environment: {{MODE: fast}}}}\n"
    );
    check(
        &yaml,
        &[
            "FED0204 6:40 `compute-host` does not read `IMAGE`; did you mean `IMAGES`?",
            "FED0204 7:33 `taxes` does not read `MODE`; remove it; this service reads no variables",
        ],
    );
}

#[test]
fn instances_are_those_of_a_service_in_the_topology() {
    let yaml = format!(
        "{ONE_REGION}  services:\n  - {{name: compute, environment: {{HOSTS: '${{instances:compute-hst}}'}}}}\n  \
         - {{name: compute-host}}\n"
    );
    check(&yaml, &["FED0124 6:42 no region has a service `compute-hst`; did you mean `compute-host`?"]);
}

#[test]
fn the_schema_names_the_built_in_programs_and_what_they_read() {
    let schema = topology::schema(&catalogue());
    let programs = schema.pointer("/$defs/Service/then/properties/name/oneOf").unwrap().as_array().unwrap();
    let names: Vec<_> = programs.iter().map(|program| program["const"].as_str().unwrap()).collect();
    assert_eq!(names, catalogue().programs.iter().map(|program| program.name).collect::<Vec<_>>());
    let host = programs.iter().find(|program| program["const"] == "compute-host").unwrap();
    assert!(host["description"].as_str().unwrap().ends_with("CAPACITY, HOSTS, IMAGES."), "{host}");
}

#[test]
fn a_variable_that_fedctl_uses_itself_is_refused() {
    let help = "give it another name; fedctl uses `REGION`, `REGIONS`, `MASTER_REGION`, `INSTANCE`, \
                `AMQP_URI_FILE`, `AMQP_URI`, `STORE`, `LISTEN`";
    let yaml = format!(
        "{ONE_REGION}  services: [{{name: taxes, environment: {{STORE: /tmp, LISTEN: '[::]:1'}}}}]\n"
    );
    let found = |column, name| format!("FED0119 5:{column} fedctl itself uses `{name}`; {help}");
    check(&yaml, &[&found(42, "STORE"), &found(55, "LISTEN")]);
}

#[test]
fn malformed_yaml_is_one_finding_with_its_place() {
    check(
        "name: shop\nmaster: [europe\n",
        &[
            "FED0101 2:9 unclosed bracket '['; look at the indentation, quotes and brackets here and in the line before",
        ],
    );
    check(
        "name: shop\n---\nname: shop\n",
        &[
            "FED0101 3:1 a second document begins here; keep one topology in one file, and remove the `---` between",
        ],
    );
    check(
        "pattern: \"\\.events$\"\n",
        &[
            r"FED0101 1:10 while parsing a quoted scalar, found unknown escape character; double each `\` between double quotes, or use single quotes",
        ],
    );
    check("? [a]\n: b\n", &["FED0101 1:3 not a valid key; a key is a word followed by `:`"]);
    check(
        "a: *b\n",
        &["FED0101 1:4 no anchor of this name comes before its alias; write `&name` at the first use"],
    );
    check(
        "a: &a [*a]\n",
        &["FED0101 1:8 the alias is inside its own anchor; move the anchor or write the value out"],
    );
}

#[test]
#[expect(clippy::disallowed_types, reason = "that it takes no time is the test")]
fn a_bomb_of_aliases_is_refused_at_once() {
    let anchored = |anchor, item: String| format!("{anchor}: &{anchor} [{}]\n", [&*item; 10].join(", "));
    let nested = ('a'..'h').zip('b'..).map(|(inner, outer)| anchored(outer, format!("*{inner}")));
    let bomb: Vec<_> = std::iter::once(anchored('a', "boom".into())).chain(nested).collect();
    let bomb = bomb.concat();
    let start = std::time::Instant::now();
    let found = findings(&bomb);
    assert_eq!(found.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["FED0102"]);
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn deep_nesting_is_refused() {
    let yaml = format!("name: {}{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(findings(&yaml)[0].code.as_str(), "FED0102");
}

#[test]
fn a_file_of_more_than_a_megabyte_is_refused() {
    let yaml = format!("{ONE_REGION}{}", "# a comment\n".repeat(100_000));
    check(&yaml, &["FED0102 1:1 the file has more than 1048576 bytes; no topology needs as much"]);
}

#[test]
fn duplicate_keys_are_all_found_and_do_not_hide_the_rest() {
    check(
        "name: shop\nname: shop\nmaster: europe\nregions:\n- name: europe\n  name: asia\nfedration: {}\n",
        &[
            "FED0103 2:1 `name` is given twice; it is also on line 1; remove one of them",
            "FED0103 6:3 `name` is given twice; it is also on line 5; remove one of them",
            "FED0104 7:1 the file has no key `fedration`; did you mean `federation`?",
        ],
    );
}

#[test]
fn what_is_wrong_behind_an_anchor_is_reported_once() {
    check(
        "name: shop\nmaster: a\nregions:\n- name: a\n  services: &s [nam: products]\n- name: b\n  services: *s\n",
        &[
            "FED0104 5:17 an entry of `services` has no key `nam`; did you mean `name`?",
            "FED0105 5:17 an entry of `services` lacks `name`; the service's name. Without an image it names \
             a built-in service, such as `products`",
        ],
    );
}

#[test]
fn an_unknown_key_with_no_likeness_lists_the_known_ones() {
    check(
        &format!("{ONE_REGION}  ports: {{tls: 1}}\n"),
        &["FED0104 5:11 `ports` has no key `tls`; its keys are `amqp`, `management`"],
    );
}

#[test]
fn names_must_be_host_names() {
    let rule = "use lower-case letters, digits and `-`, starting with a letter";
    for (name, help) in [
        ("Asia_1", ", such as `asia-1`"),
        ("1asia", ", such as `asia`"),
        ("asia-", ", such as `asia`"),
        ("a.b", ", such as `a-b`"),
        ("東京", ""),
    ] {
        check(
            &format!("name: shop\nmaster: {name}\nregions: [name: x]"),
            &[&format!("FED0110 2:9 `{name}` is not a valid host name; {rule}{help}")],
        );
    }
    check("name: ''\nmaster: x\nregions: [name: x]", &["FED0109 1:7 `name` is empty; give at least one"]);
    check(
        &format!("name: {}\nmaster: x\nregions: [name: x]", "a".repeat(33)),
        &["FED0109 1:7 `name` has 33 characters; 32 are allowed"],
    );
}

#[test]
fn a_region_may_be_called_no_or_on() {
    check("name: shop\nmaster: no\nregions: [name: no, name: on]", &[]);
}

#[test]
fn wrong_types_say_how_to_write_the_right_one() {
    check(
        "name: 5\nmaster: true\nregions: [europe]\n",
        &[
            "FED0106 1:7 `name` must be text, not a number; put it in quotes: `\"5\"`",
            "FED0106 2:9 `master` must be text, not true or false; put it in quotes: `\"true\"`",
            "FED0106 3:11 an entry of `regions` must be a mapping, not text; write it as `name: europe`",
        ],
    );
    check(
        "name:\nmaster: x\nregions: {name: x}\nbroker: {memory: '512', image: 1.5}\nfederation: {shape: 1}\n",
        &[
            "FED0106 1:1 `name` must be text, not empty; give it a value, or leave the key out",
            "FED0106 3:10 `regions` must be a list, not a mapping; begin each entry with `- `",
            "FED0106 4:18 `memory` must be a whole number, not text; write it without quotes: `512`",
            "FED0106 4:32 `image` must be text, not a decimal number; put it in quotes: `\"1.5\"`",
            "FED0107 5:21 `shape` must be a word, not a number; choose one of `full-mesh`, `ring`, `line`, `hub-and-spoke`, `pairs`",
        ],
    );
}

#[test]
fn numbers_stay_within_their_limits() {
    check(
        &format!(
            "{ONE_REGION}  ports: {{amqp: 65536, management: 0}}\nbroker: {{memory: 99999999999999999999}}\n"
        ),
        &[
            "FED0108 5:17 `amqp` must be between 1 and 65535, not 65536; AMQP 0-9-1 (5672 in the container)",
            "FED0108 5:36 `management` must be between 1 and 65535, not 0; the management API and UI (15672 in \
             the container)",
            "FED0108 6:18 `memory` must be between 192 and 1048576, not 99999999999999999999; the memory limit of \
             a broker's container, in MiB",
        ],
    );
    check(
        &format!("{ONE_REGION}broker: {{memory: -1}}\n"),
        &["FED0108 5:18 `memory` must be between 192 and 1048576, not -1; the memory limit of a broker's \
           container, in MiB"],
    );
}

#[test]
fn an_optional_value_may_be_null() {
    check(&format!("{ONE_REGION}  ports: {{amqp: ~, management:}}\n"), &[]);
}

#[test]
fn a_host_port_has_one_owner_even_through_an_alias() {
    check(
        "name: shop\nmaster: a\nregions:\n- name: a\n  services: &s\n  - name: products\n    \
         ports: [{container: 8000, host: 80}]\n- name: b\n  services: *s\n",
        &[
            "FED0116 7:37 `products` in `b` cannot use host port 80, which `products` in `a` uses; pin another, or \
           leave it out and let the engine choose",
        ],
    );
}

fn with_pattern(pattern: &str) -> Vec<&'static str> {
    let yaml =
        format!("{THREE_REGIONS}  policies: [{{name: p, pattern: '{pattern}', apply-to: exchanges}}]\n");
    findings(&yaml).iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn a_pattern_may_not_match_the_internal_queues_of_federation() {
    for broad in
        [".*", "", "events", "^fed", "asia$", "-> ", r"\.events", "^[a-z]+", "A$", "B$", "^federation: "]
    {
        assert_eq!(with_pattern(broad), ["FED0118"], "`{broad}` is too broad");
    }
    for anchored in [r"\.events$", r"^fed\.", r"^(orders|stock)\.", "^products$", r"^[b-z.]+$", r"^\w+$"] {
        assert_eq!(with_pattern(anchored), [""; 0], "`{anchored}` is fine");
    }
}

#[test]
fn a_pattern_must_be_a_regular_expression() {
    for pattern in ["(", "[a", "*", "a{2,1}", r"^(?!federation: )", r"(a)\1", "(a{1000}){1000}"] {
        assert_eq!(with_pattern(pattern), ["FED0117"], "`{pattern}` cannot be checked");
    }
}

#[test]
fn settings_that_may_lose_messages_are_warnings() {
    check(
        &format!("{THREE_REGIONS}  upstream:\n    ack-mode: on-publish\n"),
        &["FED0202 6:15 messages in flight are lost when a broker fails; `on-confirm` loses nothing"],
    );
    check(
        &format!("{THREE_REGIONS}  upstream:\n    resource-cleanup-mode: default\n"),
        &[
            "FED0202 6:28 messages that wait for a link are lost when it restarts; leave it out once none wait: `fedctl up` then \
           changes the upstreams, and keeps them from deleting anything",
        ],
    );
}

#[test]
fn a_limit_on_how_long_messages_wait_is_a_warning_and_a_short_one_another() {
    let check =
        |keys: &str, expected: &[&str]| check(&format!("{THREE_REGIONS}  upstream: {{{keys}}}\n"), expected);
    check(
        "expires: 1209600000, message-ttl: 5400000",
        &[
            "FED0240 5:23 the queue of an exchange's link is deleted, with its messages, once the link is away for 14 days; \
             leave it out to lose nothing",
            "FED0240 5:48 messages of an exchange are lost that wait for a link for more than 90 minutes; leave it out to \
             lose nothing",
        ],
    );
    check(
        "message-ttl: 299999",
        &[
            "FED0241 5:27 messages of an exchange are lost that wait for a link for more than 299999 milliseconds, and a \
           restart may take longer; at least `message-ttl: 300000`, or leave it out",
        ],
    );
    check(
        "expires: 0",
        &[
            "FED0108 5:23 `expires` must be between 1 and 4294967295, not 0; milliseconds after which the queue of an exchange's link is deleted, with the messages in it, if the link stays away",
        ],
    );
    check(
        "queue-type: stream",
        &["FED0107 5:26 `queue-type` cannot be `stream`; choose one of `classic`, `quorum`"],
    );
    check("queue-type: quorum, trust-user-id: true, bind-nowait: true", &[]);
}

#[test]
fn a_policy_may_have_other_keys_and_none_of_federation() {
    let check = |definition: &str, expected: &[&str]| {
        let policy =
            format!("{{name: fed, pattern: '^q\\.', apply-to: queues, definition: {{{definition}}}}}");
        check(&format!("{THREE_REGIONS}  policies: [{policy}]\n"), expected);
    };
    check("max-length: 5, dead-letter-exchange: dead, queue-version: 2", &[]);
    check(
        "max-length: [5]",
        &[
            "FED0106 5:86 `max-length` must be text or a whole number or `true` or `false`, not a list; no help",
        ],
    );
    check(
        "max-length: 5, federation-upstream-set: all",
        &[
            "FED0140 5:89 fedctl itself sets `federation-upstream-set`; remove it; `shape` of `federation` says which regions \
           are linked",
        ],
    );
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_not_shift_the_place() {
    let yaml = "\u{feff}name: shop\r\nmaster: eurpe\r\nregions: [name: europe]\r\n";
    let found = findings(yaml);
    let Place::File(Position { span, line, column }) = found[0].place.clone() else { panic!("no file") };
    assert_eq!((line, column, &yaml[span]), (2, 9, "eurpe"));
}

#[test]
fn no_finding_has_a_control_character() {
    let yaml = "name: shop\nmaster: \"a\\e[31mb\"\nregions: [name: europe]\n\"\\e]0;x\\a\": 1\n";
    for Diagnostic { message, help, .. } in findings(yaml) {
        assert!(!(message + &help.unwrap()).contains(char::is_control));
    }
}

prop_compose! {
    /// A built-in service without an image, or any service with one.
    fn service()(
        name in "[a-z]([a-z0-9-]{0,8}[a-z0-9])?",
        image in option::of("\\PC{0,12}"),
        readiness in option::of("/\\PC{0,12}"),
        command in vec("\\PC{0,12}", 0..3),
        environment in btree_map("[A-Z]{1,4}_[a-z0-9=: ]?", "\\PC{0,12}", 0..3),
        ports in vec((1_u16.., any::<bool>()), 0..2),
        user in option::of("\\PC{0,12}"),
        memory in option::of(8_u64..=1_048_576),
    ) -> Service {
        let ports = ports.into_iter().map(|(container, pinned)| Port { container, host: pinned.then_some(1) });
        let ports: Vec<Port> = ports.collect();
        let port = ports.first().map(|port| port.container);
        let readiness = readiness.filter(|_| port.is_some()).map(|http| Readiness { http, port });
        Service { name, image, command, environment, ports, readiness, user, memory, replicas: 1, amqp_uri_in_environment: false }
    }
}

prop_compose! {
    fn region()(
        name in "[a-z]([a-z0-9-]{0,8}[a-z0-9])?",
        amqp in option::of(Just(1)),
        management in option::of(Just(1)),
        services in vec(service(), 0..4),
    ) -> Region {
        Region { name: RegionName::new(name), broker: None, ports: BrokerPorts { amqp, management }, services }
    }
}

prop_compose! {
    fn federation()(
        prefetch_count in 1_u32..=65_535,
        reconnect_delay in 1_u32..=3600,
        heartbeat in 1_u32..=3600,
        (trust_user_id, bind_nowait) in any::<(bool, bool)>(),
        queue_type in select(&[None, Some(QueueType::Classic), Some(QueueType::Quorum)][..]),
        policies in vec(("\\PC{0,12}", "[a-z]{1,8}", any::<bool>(), any::<i32>()), 1..4),
    ) -> Federation {
        let policies = policies.into_iter().enumerate().map(|(index, (name, word, queues, priority))| {
            FederationPolicy {
                name: format!("{name}{index}"),
                pattern: if queues { format!(r"^{word}\.") } else { format!(r"\.{word}$") },
                apply_to: if queues { ApplyTo::Queues } else { ApplyTo::Exchanges },
                priority,
                definition: [("max-length".to_owned(), json!(priority)), ("overflow".into(), json!(word))].into_iter().collect(),
            }
        });
        Federation {
            shape: Shape::FullMesh,
            hub: None,
            one_way: false,
            pairs: vec![],
            allow_duplicates: false,
            upstream: UpstreamSettings {
                ack_mode: AckMode::OnConfirm, prefetch_count, reconnect_delay, max_hops: Some(1), heartbeat,
                expires: None, message_ttl: None, queue_type, trust_user_id, bind_nowait, resource_cleanup_mode: CleanupMode::Never,
            },
            policies: policies.collect(),
        }
    }
}

/// Makes names and host ports distinct, and turns what has no image into a built-in service.
fn made_distinct(regions: &mut [Region]) {
    for (index, region) in regions.iter_mut().enumerate() {
        region.name = RegionName::new(format!("{}-r{index}", region.name));
        for (index, service) in region.services.iter_mut().enumerate() {
            if service.image.is_none() {
                catalogue().programs[index].name.clone_into(&mut service.name);
                service.environment.clear();
            } else {
                service.name = format!("{}-s{index}", service.name);
            }
        }
    }
    let hosts = regions.iter_mut().flat_map(|Region { ports, services, .. }| {
        let services = services.iter_mut().flat_map(|service| &mut service.ports);
        [&mut ports.amqp, &mut ports.management].into_iter().chain(services.map(|port| &mut port.host))
    });
    hosts.flatten().zip(1..).for_each(|(host, free)| *host = free);
}

prop_compose! {
    fn valid_topology()(
        name in "[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
        image in "\\PC{0,12}",
        memory in 192_u64..=1_048_576,
        open_files in 1024_u32..=1_048_576,
        service_image in prop::option::of("\\PC{0,12}"),
        mut regions in vec(region(), 1..5),
        master in any::<prop::sample::Index>(),
        federation in federation(),
    ) -> Topology {
        made_distinct(&mut regions);
        let master = regions[master.index(regions.len())].name.clone();
        let broker = BrokerSettings { image, memory, open_files };
        Topology { name, master, broker, service_image, regions, federation, tests: Vec::new() }
    }
}

const FRAGMENTS: [&str; 24] = [
    "name",
    "regions",
    ": ",
    ":\n",
    "- ",
    "\n",
    "\n  ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<",
    "'",
    "\"",
    "#",
    "|\n",
    ">",
    "\t",
    "---\n",
    "!!int ",
    "é東\u{feff}",
    "\r\n",
];

proptest! {
    #[test]
    fn a_valid_topology_written_as_yaml_reads_back_equal(mut topology in valid_topology()) {
        let yaml = serde_yaml::to_string(&topology).unwrap();
        let read = topology::parse(&yaml, &catalogue());
        catalogue().complete(&mut topology);
        prop_assert_eq!(read.map(|(read, _)| read), Ok(topology), "{}", yaml);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(?s).{0,200}") {
        findings(&text);
    }

    #[test]
    fn any_mix_of_yaml_is_read_without_panic(fragments in vec(select(&FRAGMENTS[..]), 0..40)) {
        findings(&fragments.concat());
    }

    #[test]
    fn the_shipped_topology_with_a_part_replaced_is_read_without_panic(
        start in any::<prop::sample::Index>(), length in 0..20_usize, fragment in select(&FRAGMENTS[..]),
    ) {
        let start = start.index(SHIPPED.len());
        let end = (start + length).min(SHIPPED.len());
        findings(&[&SHIPPED[..start], fragment, &SHIPPED[end..]].concat());
    }
}

/// A topology of two regions whose brokers run elsewhere.
fn elsewhere(europe: &str, asia: &str) -> String {
    format!("name: shop\nmaster: europe\nregions:\n- {{name: europe, {europe}}}\n- {{name: asia, {asia}}}\n")
}

const HERE: &str = "broker: {management: 'http://localhost:15672', amqp: 'amqp://localhost', vhost: asia}";

#[test]
fn brokers_that_run_elsewhere_have_no_findings() {
    let tls = "broker: {management: 'https://a.example.com/proxy/', amqp: 'amqps://a.example.com', \
               advertise: 'amqps://10.0.0.1:5679', password: '${A_1}', ca-file: ca.pem}";
    check(&elsewhere(tls, HERE), &[]);
    check(&elsewhere(&HERE.replace("asia", "'/'"), HERE), &[]);
}

#[test]
fn the_address_of_a_broker_is_a_url_without_a_password() {
    let broker = "broker: {management: 'amqp://localhost', amqp: 'amqp://me:hunter2@localhost', \
                  advertise: 'amqp://localhost/vhost'}";
    let found = findings(&elsewhere(broker, HERE));
    let found: Vec<String> = found.iter().map(|found| format!("{} {}", found.code, found.message)).collect();
    assert_eq!(
        found,
        [
            "FED0150 not the URL of a broker: `amqp` is neither `http` nor `https`",
            "FED0150 not the URL of a broker: user and password have keys of their own",
            "FED0150 not the URL of a broker: nothing may follow the port",
        ]
    );
}

#[test]
fn a_password_in_the_file_is_found_and_not_repeated() {
    let broker = HERE.replace("vhost: asia", "password: hunter2");
    let found = findings(&elsewhere(&broker, HERE));
    assert!(found.len() == 1 && found[0].code.as_str() == "FED0151", "{found:?}");
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    let both = HERE.replace("vhost: asia", "password: '${A}', password-file: a.txt");
    let found = findings(&elsewhere(&both, HERE));
    assert!(found[0].message.starts_with("both `password` and `password-file`"), "{found:?}");
}

#[test]
fn what_needs_a_container_is_refused_elsewhere() {
    let services = format!("{HERE}, services: [name: taxes], ports: {{amqp: 5672}}");
    let codes: Vec<String> = findings(&elsewhere(&HERE.replace("asia", "eu"), &services))
        .iter()
        .map(|found| format!("{} {}", found.code, found.place))
        .collect();
    assert_eq!(codes, ["FED0152 5:103", "FED0152 5:128"]);
    let found = findings(&elsewhere("services: []", HERE));
    assert!(found.len() == 1 && found[0].code.as_str() == "FED0153", "{found:?}");
    let apart = format!("{}federation: {{shape: pairs}}\n", elsewhere("services: []", HERE));
    assert!(findings(&apart).iter().all(|found| found.code.as_str() != "FED0153"));
}

#[test]
fn regions_that_federation_could_not_tell_apart_are_refused() {
    let same = HERE.replace("vhost: asia", "cluster-name: asia");
    let found = findings(&elsewhere(&same, &HERE.replace(", vhost: asia", "")));
    assert!(found.len() == 1 && found[0].code.as_str() == "FED0154", "{found:?}");
}

#[test]
fn a_password_that_crosses_a_network_in_clear_is_warned_of() {
    let far = "broker: {management: 'http://10.0.0.1:15672', amqp: 'amqp://a.example.com'}";
    let found = findings(&elsewhere(far, HERE));
    let codes: Vec<&str> = found.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["FED0250", "FED0250"], "{found:?}");
}

/// Two regions with these tests.
fn with_tests(tests: &str) -> String {
    format!("name: shop\nmaster: europe\nregions: [name: europe, name: asia]\ntests:\n{tests}")
}

/// A test with these keys of what it publishes and expects, and more.
fn with_test(publish: &str, expect: &str, more: &str) -> String {
    with_tests(&format!(
        "- name: a\n  publish: {{region: europe, {publish}}}\n  expect: [{{region: asia, {expect}}}]\n{more}"
    ))
}

const EVENTS: &str = "exchange: x.events";

#[test]
fn a_test_has_defaults_and_says_what_it_means() {
    let more = "  within: 1m 30s\n- name: b\n  publish: {region: asia, queue: fed.a, count: 3, headers: {a: 1, b: true}}\n  \
                expect: [{region: europe, queue: fed.a, count: 2}]\n  nowhere-else: false\n";
    let (topology, warnings) = topology::parse(&with_test(EVENTS, EVENTS, more), &catalogue()).unwrap();
    assert_eq!(warnings, []);
    let [one, other] = &topology.tests[..] else { panic!("{:?}", topology.tests) };
    assert_eq!((one.within(), other.within()), (Duration::from_secs(90), Duration::from_secs(5)));
    assert_eq!((one.nowhere_else, one.publish.count, one.wanted(&one.expect[0])), (true, 1, 1));
    assert_eq!((other.names_a_queue(), other.wanted(&other.expect[0])), (true, 2));
    assert_eq!(serde_json::to_value(&other.publish.headers).unwrap(), json!({"a": 1, "b": true}));
}

#[test]
fn a_test_that_lacks_what_it_needs_is_found() {
    let check_one = |publish: &str, expect: &str, more: &str, expected: &str| {
        check(&with_test(publish, expect, more), &[expected]);
    };
    let neither = "neither `exchange` nor `queue` is given; `exchange: NAME`, or `queue: NAME`";
    check_one("count: 1", EVENTS, "", &format!("FED0160 6:12 {neither}"));
    let both = "both `exchange` and `queue` are given; remove one of them";
    check_one(EVENTS, "exchange: x.events, queue: fed.a", "", &format!("FED0160 7:47 {both}"));
    let unused = "`routing-key` has no effect with a queue; remove it, or name an exchange";
    check_one("queue: fed.a, routing-key: a", EVENTS, "", &format!("FED0161 6:43 {unused}"));
    let header = "fedctl itself sets `x-fedctl-test`; choose another name";
    check_one(
        "exchange: x.events, headers: {x-fedctl-test: a}",
        EVENTS,
        "",
        &format!("FED0167 6:59 {header}"),
    );
    let none = "`count` must be between 1 and 10000, not 0; how many messages";
    check_one("exchange: x.events, count: 0", EVENTS, "", &format!("FED0108 6:56 {none}"));
    let many = "2 are expected and 1 published; publish 2, or expect fewer";
    check_one(EVENTS, "exchange: x.events, count: 2", "", &format!("FED0165 7:54 {many}"));
    let word = "`publish` has no key `exchagne`; did you mean `exchange`?";
    let found = findings(&with_test("exchagne: x", EVENTS, ""));
    assert!(
        format!("{}; {}", found[0].message, found[0].help.as_ref().unwrap()).starts_with(word),
        "{found:?}"
    );
}

#[test]
fn times_names_and_regions_of_tests_are_checked() {
    let unit = "a number with a unit, such as `5s` or `1m 30s`";
    for (time, message) in [
        ("soon", "`soon` is no time: expected number at 0"),
        ("0s", "the messages would have no time at all"),
        ("2h", "a test takes no longer than an hour"),
    ] {
        check(
            &with_test(EVENTS, EVENTS, &format!("  within: {time}\n")),
            &[&format!("FED0164 8:11 {message}; {unit}")],
        );
    }
    let again = "- name: a\n  publish: {region: eurpe, exchange: x.events}\n  expect: [{region: mars, exchange: x.events}]\n";
    check(
        &with_test(EVENTS, EVENTS, again),
        &[
            "FED0163 8:9 two tests are called `a`; the other is on line 5; rename one of them",
            "FED0162 9:21 there is no region `eurpe`; did you mean `europe`?",
            "FED0162 10:21 there is no region `mars`; the regions are `europe`, `asia`",
        ],
    );
    let name = with_test(EVENTS, EVENTS, "").replace("- name: a", r#"- name: "a\e[1m\n""#);
    let found = r"`a\u{1b}[1m\n` has control characters; write the name in one line";
    check(&name, &[&format!("FED0168 5:9 {found}")]);
    let twice = "- {region: asia, exchange: x.events}";
    let twice = format!(
        "- name: a\n  publish: {{region: europe, exchange: x.events}}\n  expect:\n  {twice}\n  {twice}\n"
    );
    let found = "the messages are expected there twice, in asia; remove one of them";
    check(&with_tests(&twice), &[&format!("FED0166 9:5 {found}")]);
}

#[test]
fn messages_that_no_link_carries_are_warned_of() {
    let other =
        "no policy of the topology federates exchange `orders`; correct the name, or the pattern of a policy";
    check(&with_test("exchange: orders", "exchange: orders", ""), &[&format!("FED0260 7:37 {other}")]);
    // what is bound to it is not known
    check(&with_test("exchange: orders", "queue: orders", ""), &[]);
    let pairs = "federation: {shape: pairs, pairs: [{upstream: asia, downstream: europe}]}\n";
    let way = "nothing of exchange `x.events` comes from `europe` to `asia`; change `shape` or `pairs` of `federation`, or expect \
               it elsewhere";
    check(&with_test(EVENTS, EVENTS, pairs), &[&format!("FED0261 7:21 {way}")]);
}
