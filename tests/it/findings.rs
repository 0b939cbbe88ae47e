//! How findings in a topology are shown: the code, the line with a caret under the place, and the help.

use libtest_mimic::Trial;

use crate::harness::cases;

use fedctl::{catalogue::catalogue, output::findings::render};
use fedctl_model::topology;
use proptest::{prelude::*, sample::Index};

const SHIPPED: &str = include_str!("../../regions.yaml");

fn rendered(yaml: &str) -> String {
    let found =
        topology::parse(yaml, &catalogue()).map_or_else(|findings| findings, |(_, warnings)| warnings);
    render(&found, yaml, "regions.yaml", false)
}

fn every_finding_comes_at_once_and_errors_before_warnings() {
    let shown = rendered(
        "name: Shop\nmaster: europe\nregoins:\n- name: x\nregions:\n- name: asia\n  servces: []\n  \
         services:\n  - name: products\n    memory: lots\n  - name: 'taxes'\n    user: 1000\n\
         federation:\n  upstream:\n    ack-mode: on_confirm\n    max-hops: 0\n    prefetch-count: '500'\n",
    );
    insta::assert_snapshot!(shown);
}

fn values_that_do_not_fit_each_other_are_found_at_once() {
    let shown = rendered(
        r"name: shop
master: eurpe
regions:
  - name: europe
    ports: {amqp: 5672, management: 15672}
    services:
      - name: produkts
      - name: crawler
        image: crawler:1
        environment: {MODE: fast, REGION: mars, AMQP_URI: 'amqp://'}
        ports: [{container: 80, host: 5672}]
      - name: crawler
        image: crawler:2
        amqp-uri-in-environment: true
  - name: asia
    ports: {amqp: 15672}
  - name: asia
federation:
  upstream: {ack-mode: no-ack, max-hops: 3}
  policies:
    - {name: all, pattern: .*, apply-to: queues}
    - {name: all, pattern: 'orders(', apply-to: exchanges}
",
    );
    insta::assert_snapshot!(shown);
}

fn malformed_yaml_is_one_finding_with_its_place() {
    insta::assert_snapshot!(rendered("name: shop\nregions:\n\t- name: europe\n"));
}

fn a_byte_order_mark_and_carriage_returns_do_not_shift_the_place() {
    insta::assert_snapshot!(rendered("\u{feff}name: Shop\r\nmaster: eurpe\r\nregions: [name: europe]\r\n"));
}

fn columns_count_characters_and_carets_stand_under_them() {
    let shown = rendered("name: shop\nmaster: europe\nregions: [{name: europe, größe: 東京, x: 1}]\n");
    insta::assert_snapshot!(shown);
}

fn control_characters_of_the_topology_are_not_printed() {
    let shown = rendered("name: shop\nmaster: \"a\\e[31mb\"\nregions: [name: europe]\n\"\\e]0;x\\a\": 1\n");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

fn colour_is_only_there_where_it_is_asked_for() {
    let found = topology::parse("name: shop\n", &catalogue()).unwrap_err();
    let shown = |colour| render(&found, "name: shop\n", "regions.yaml", colour);
    assert!(!shown(false).contains('\u{1b}'));
    assert!(shown(true).contains('\u{1b}'));
}

proptest! {
    fn the_findings_in_any_text_are_shown_without_panic(text in "(?s).{0,200}") {
        rendered(&text);
    }

    fn the_findings_in_any_mix_of_yaml_are_shown_without_panic(
        text in r#"(name|regions|: |:\n|- |\n  |<<|---\n|!!int |[\[\]{}&*a'"\#|>\t\r\né東\x{feff} ]){0,40}"#,
    ) {
        rendered(&text);
    }

    fn the_findings_in_the_shipped_topology_with_a_part_replaced_are_shown_without_panic(
        start in any::<Index>(), length in 0..20_usize, part in r#"[\[\]{}:&*a'"\#|>\t\r\né東\x{feff} -]{0,8}"#,
    ) {
        let start = start.index(SHIPPED.len());
        let end = (start + length).min(SHIPPED.len());
        rendered(&[&SHIPPED[..start], &part, &SHIPPED[end..]].concat());
    }
}

pub fn cases() -> Vec<Trial> {
    cases! {
        every_finding_comes_at_once_and_errors_before_warnings,
        values_that_do_not_fit_each_other_are_found_at_once,
        malformed_yaml_is_one_finding_with_its_place,
        a_byte_order_mark_and_carriage_returns_do_not_shift_the_place,
        columns_count_characters_and_carets_stand_under_them,
        control_characters_of_the_topology_are_not_printed,
        colour_is_only_there_where_it_is_asked_for,
        the_findings_in_any_text_are_shown_without_panic,
        the_findings_in_any_mix_of_yaml_are_shown_without_panic,
        the_findings_in_the_shipped_topology_with_a_part_replaced_are_shown_without_panic,
    }
}
