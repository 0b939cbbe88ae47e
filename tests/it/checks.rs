//! How what checks found is shown.

use libtest_mimic::Trial;

use crate::harness::cases;

use anstream::adapter::strip_str;
use fedctl::output::check::render;
use fedctl_model::{
    check::Checks,
    diagnostic::{Code, Diagnostic, Place},
    observed::Resource,
    status::LinkRef,
    topology::RegionName,
};

fn what_is_found_is_grouped_by_place_with_its_help() {
    let region = || RegionName::new("asia");
    let code = |text| Code::find(text).unwrap();
    let policy = Place::Policy { region: region(), name: "events".into() };
    let queue = Place::Queue { region: region(), name: "federation: orders.events -> mars".into() };
    let diagnostics = vec![
        Diagnostic::new(code("FED0802"), Place::Broker { region: region() }, "its cluster name is taken"),
        Diagnostic::new(code("FED0839"), Place::Broker { region: region() }, "its clock is ahead")
            .help("chrony"),
        Diagnostic::new(code("FED0813"), policy, "names nothing").help("correct it"),
        Diagnostic::new(code("FED0827"), queue, "holds 7 messages").cause("no region is `mars`"),
    ];
    let link = |downstream, queue: &str| {
        let (upstream, downstream) = (RegionName::new("europe"), RegionName::new(downstream));
        let place = Place::Link(LinkRef { upstream, downstream, resource: Resource::Queue(queue.into()) });
        Diagnostic::new(code("FED0304"), place, "connection refused")
    };
    let links = [link("asia", "fed.a"), link("asia", "fed.b"), link("america", "fed.a")];
    let diagnostics = diagnostics.into_iter().chain(links).collect();
    let checks =
        Checks { version: 1, project: Some("shop".into()), checks: 90, errors: 5, warnings: 2, diagnostics };
    insta::assert_snapshot!(strip_str(&render(&checks, "", "regions.yaml", false)));
}

pub fn cases() -> Vec<Trial> {
    cases! {
        what_is_found_is_grouped_by_place_with_its_help,
    }
}
