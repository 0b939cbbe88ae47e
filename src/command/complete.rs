//! Completion of what is being typed, the names of regions and services among it.

use std::{ffi::OsStr, path::PathBuf};

use clap::CommandFactory;
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCompleter, CompletionCandidate},
    env::Shells,
};

use crate::cli::Cli;
use fedctl_model::topology::{self, Topology};

/// The variable by which a shell asks for completions: its own name.
const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks what could come next, and ends; else does nothing.
pub fn complete() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// What makes a shell ask.
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
        .mut_subcommand("logs", |logs| with(with(logs, "region", regions), "service", services))
}

/// The names in the topology that begin so; none where it cannot be read.
fn candidates(typed: &OsStr, names: fn(&Topology) -> Vec<String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let names = topology::parse(&text).map(|(topology, _)| names(&topology)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// The file that the line being typed names, or the usual one.
fn file() -> PathBuf {
    let mut words = std::env::args_os().skip_while(|word| word != "--file").skip(1);
    let named = words.next().or_else(|| std::env::var_os("FEDCTL_FILE"));
    named.map_or_else(|| "regions.yaml".into(), PathBuf::from)
}

fn regions(topology: &Topology) -> Vec<String> {
    topology.regions.iter().map(|region| region.name.to_string()).collect()
}

fn services(topology: &Topology) -> Vec<String> {
    let services = topology.regions.iter().flat_map(|region| &region.services);
    let mut names: Vec<String> = services.flat_map(topology::Service::instances).collect();
    names.push(fedctl_model::desired::BROKER.into());
    names.sort_unstable();
    names.dedup();
    names
}
