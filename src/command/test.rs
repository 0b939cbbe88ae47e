//! `fedctl test`.

use anyhow::anyhow;

use crate::{
    cli::{self, Global, TestFormat},
    output::{self, Output, progress},
};
use fedctl_engine::expectation::Testing;
use fedctl_model::{
    outcome::Outcome,
    topology::{Test, Topology},
};

use super::{failure::Failure, probe, project::Project, stop::Stop};

/// A test to begin with.
const EXAMPLE: &str = "`tests: [{name: NAME, publish: {region: REGION, exchange: EXCHANGE}, expect: [{region: REGION, exchange: EXCHANGE}]}]`";

pub async fn run(global: &Global, asked: &cli::Test, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let tests = chosen(&project.topology, &asked.names)?;
    let stop = Stop::listen()?;
    let inspect = project.inspect(global)?;
    inspect.engine.check_ports()?;
    let testing = Testing {
        inspect: &inspect,
        topology: &project.topology,
        federated: &project.workdir.federated()?,
        tests,
        events: &progress::events(global.progress, output),
        timeout: asked.timeout,
        stop: &stop.token,
    };
    let Some(report) = probe::finished(testing.run().await, output)? else { return Ok(stop.outcome()) };
    output.data(&match asked.output {
        TestFormat::Table => output::tests::render(&report),
        TestFormat::Json => output::json(&report)?,
        TestFormat::Yaml => output::yaml(&report)?,
        TestFormat::Junit => output::junit::render(&report),
    })?;
    Ok(if report.passed { Outcome::Done } else { Outcome::ScenarioFailed })
}

/// The tests with one of these in their name, or all of them for none.
fn chosen<'t>(topology: &'t Topology, names: &[String]) -> Result<Vec<&'t Test>, Failure> {
    let usage = |error: anyhow::Error| Failure::new(Outcome::Usage, error);
    let tests = &topology.tests;
    if tests.is_empty() {
        return Err(usage(anyhow!("the topology has no tests")).hint(EXAMPLE));
    }
    let matches = |test: &&Test, name: &String| test.name.contains(name);
    if let Some(unknown) = names.iter().find(|name| !tests.iter().any(|test| matches(&test, name))) {
        let known: Vec<String> = tests.iter().map(|test| format!("`{}`", test.name)).collect();
        let error = anyhow!("no test has `{unknown}` in its name");
        return Err(usage(error).hint(format!("tests: {}", known.join(", "))));
    }
    let is_chosen = |test: &&Test| names.is_empty() || names.iter().any(|name| matches(test, name));
    Ok(tests.iter().filter(is_chosen).collect())
}
