//! The files that ship with the program agree with it.

use libtest_mimic::Trial;

use crate::harness::cases;

use std::collections::BTreeSet;

use clap::CommandFactory;
use fedctl::{catalogue::catalogue, cli::Cli};
use fedctl_contract::program::Program;
use fedctl_model::topology;

fn the_readme_shows_only_commands_that_exist() {
    let cli = Cli::command();
    let known: BTreeSet<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    let lines = include_str!("../../README.md").lines().filter_map(|line| line.strip_prefix("$ fedctl "));
    let shown: BTreeSet<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(shown.len() > 5, "{shown:?}");
    assert_eq!(shown.difference(&known).collect::<Vec<_>>(), [&""; 0]);
}

fn systems_yaml_has_every_built_in_program() {
    let (topology, warnings) = topology::parse(include_str!("../../systems.yaml"), &catalogue()).unwrap();
    assert_eq!(warnings, []);
    let services = topology.regions.iter().flat_map(|region| &region.services);
    let services: BTreeSet<&str> = services.map(|service| service.name.as_str()).collect();
    assert_eq!(services, Program::ALL.iter().map(|program| program.name()).collect());
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_readme_shows_only_commands_that_exist,
        systems_yaml_has_every_built_in_program,
    }
}
