//! One match over the commands; here everything is wired.

mod apply;
mod check;
mod complete;
mod demo;
mod doctor;
mod down;
mod explain;
mod export;
mod exporter;
mod failure;
mod import;
mod init;
mod link;
mod logs;
mod look;
mod new_file;
mod plan;
mod probe;
mod project;
mod pull;
mod queues;
mod repeat;
mod service;
mod status;
mod stop;
mod test;
mod trace;
mod up;

use clap::CommandFactory;

use crate::{
    catalogue::catalogue,
    cli::{Cli, Command, SchemaOf},
    output::Output,
};
use fedctl_model::{outcome::Outcome, status as report, topology};
use fedctl_scenarios::proof;

pub use complete::complete;
use failure::Failure;

/// Runs what was asked for, prints why it failed if it did, and says how it ended.
#[must_use]
pub fn run(cli: Cli) -> Outcome {
    let output = Output::new(cli.global.color);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(error).print(output),
    };
    let outcome = runtime.block_on(dispatch(cli, output));
    // a blocked read of standard input must not keep the program from ending
    runtime.shutdown_background();
    outcome.unwrap_or_else(|failure| failure.print(output))
}

async fn dispatch(cli: Cli, output: Output) -> Result<Outcome, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(init) => init::run(&global, &init, output),
        Command::Import(import) => import::run(&import, output).await,
        Command::Up(up) => up::run(&global, &up, output).await,
        Command::Plan(plan) => plan::run(&global, &plan, output).await,
        Command::Apply(apply) => apply::run(&global, &apply, output).await,
        Command::Pull => pull::run(&global, output).await,
        Command::Status(status) => status::run(&global, &status, output).await,
        Command::Exporter(exporter) => exporter::run(global, exporter, output).await,
        Command::Probe(probe) => probe::run(&global, &probe, output).await,
        Command::Test(test) => test::run(&global, &test, output).await,
        Command::Demo(demo) => demo::run(&global, &demo, output).await,
        Command::Queues(queues) => queues::run(&global, &queues, output).await,
        Command::Link(link) => link::run(&global, &link, output).await,
        Command::Trace(trace) => trace::run(&global, &trace, output).await,
        Command::Check(check) => check::run(&global, &check, output).await,
        Command::Doctor(doctor) => doctor::run(&global, &doctor, output).await,
        Command::Down(down) => down::run(&global, &down, output).await,
        Command::Logs(logs) => logs::run(&global, &logs, output).await,
        Command::Export(export) => export::run(&global, &export, output).await,
        Command::Service { program } => service::run(program).await,
        Command::Explain(explain) => explain::run(&explain, output),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Topology => topology::schema(&catalogue()),
                SchemaOf::Status => report::schema(),
                SchemaOf::Probe => fedctl_model::probe::schema(),
                SchemaOf::Test => fedctl_model::expectation::schema(),
                SchemaOf::Demo => proof::schema(),
                SchemaOf::Doctor => fedctl_model::doctor::schema(),
                SchemaOf::Check => fedctl_model::check::schema(),
                SchemaOf::Queues => fedctl_model::queues::schema(),
                SchemaOf::Trace => fedctl_model::trace::schema(),
            };
            print(output, &format!("{schema:#}\n"))
        }
        Command::Completions { shell } => print(output, &complete::script(shell)?),
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(output, &String::from_utf8_lossy(&page))
        }
    }
}

fn print(output: Output, text: &str) -> Result<Outcome, Failure> {
    output.data(text)?;
    Ok(Outcome::Done)
}
