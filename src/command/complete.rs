//! Shell completion, with the names of the topology's regions and services.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::CommandFactory;
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCompleter, CompletionCandidate},
    env::Shells,
};

use crate::{catalogue::catalogue, cli::Cli};
use fedctl_model::topology::{self, Topology};

/// The environment variable by which a shell asks for completions; its value is the shell's name.
const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks for completions, and exits; otherwise does nothing.
pub fn complete() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The script that registers the completions with a shell.
pub fn script(shell: Shell) -> std::io::Result<String> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let completer =
        shells.completer(&name).ok_or_else(|| std::io::Error::other(format!("no shell `{name}`")))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "fedctl", "fedctl", "fedctl", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

fn command() -> clap::Command {
    let with = |command: clap::Command, argument: &'static str, names: fn(&Topology) -> Vec<String>| {
        command.mut_arg(argument, move |argument| {
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(typed, names)))
        })
    };
    Cli::command()
        .mut_subcommand("up", |up| with(up, "regions", regions))
        .mut_subcommand("plan", |plan| with(plan, "regions", regions))
        .mut_subcommand("link", |link| {
            let ends = |verb| with(with(verb, "upstream", regions), "downstream", regions);
            ["restart", "pause", "resume"]
                .into_iter()
                .fold(link, |link, verb| link.mut_subcommand(verb, ends))
        })
        .mut_subcommand("probe", |probe| with(probe, "regions", regions))
        .mut_subcommand("test", |test| with(test, "names", tests))
        .mut_subcommand("check", |check| with(check, "regions", regions))
        .mut_subcommand("logs", |logs| with(with(logs, "region", regions), "service", services_and_instances))
}

/// The names in the topology that begin with what was typed; none if it cannot be read.
fn candidates(typed: &OsStr, names: fn(&Topology) -> Vec<String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let names =
        topology::parse(&text, &catalogue()).map(|(topology, _)| names(&topology)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// The topology named on the line that is being typed, or the usual one.
fn file() -> PathBuf {
    let named = named_file(std::env::args_os()).or_else(|| std::env::var_os("FEDCTL_FILE"));
    named.map_or_else(|| "regions.yaml".into(), PathBuf::from)
}

fn named_file(words: impl IntoIterator<Item = OsString>) -> Option<OsString> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--file" {
            return words.next();
        } else if let Some(file) = word.to_str().and_then(|word| word.strip_prefix("--file=")) {
            return Some(file.into());
        }
    }
    None
}

fn regions(topology: &Topology) -> Vec<String> {
    topology.regions.iter().map(|region| region.name.to_string()).collect()
}

fn tests(topology: &Topology) -> Vec<String> {
    topology.tests.iter().map(|test| test.name.clone()).collect()
}

fn services_and_instances(topology: &Topology) -> Vec<String> {
    let services = topology.regions.iter().flat_map(|region| &region.services);
    let mut names: Vec<String> =
        services.flat_map(|service| service.instances().chain([service.name.clone()])).collect();
    names.push(fedctl_model::names::BROKER.into());
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_in_both_spellings() {
        let named = |line: &str| named_file(line.split(' ').map(OsString::from));
        assert_eq!(named("fedctl --file shop.yaml up"), Some("shop.yaml".into()));
        assert_eq!(named("fedctl up --file=shop.yaml eu"), Some("shop.yaml".into()));
        assert_eq!(named("fedctl up eu"), None);
    }
}
