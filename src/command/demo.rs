//! `fedctl demo`.

use anyhow::anyhow;

use crate::{
    cli::{self, Global, TextFormat},
    output::{self, Output},
};
use fedctl_model::outcome::Outcome;
use fedctl_scenarios::proof::{FORMAT_VERSION, Proofs};
use fedctl_scenarios::{self as scenarios, Environment, EnvironmentError, Scenario, is_up};

use super::{failure::Failure, project::Project, stop::Stop, up};

pub async fn run(global: &Global, asked: &cli::Demo, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    if !project.topology.has_containers() {
        let error =
            anyhow!("no service of the topology is in a container: there is nothing to play a scenario with");
        return Err(
            Failure::new(Outcome::Usage, error).hint("`fedctl probe` sends messages through every link")
        );
    }
    let mut inspect = project.inspect(global)?;
    inspect.engine.check_ports()?;
    let topology = &project.topology;
    if !is_up(topology, &inspect.containers().await?) {
        let asked = cli::Up {
            regions: Vec::new(),
            timeout: up::TIMEOUT,
            verify: false,
            choices: cli::Choices::default(),
        };
        up::run(global, &asked, output).await?;
    }
    let stop = Stop::listen()?;
    inspect.inventory = project.inventory()?;
    let (found, clock) = tokio::try_join!(inspect.containers(), inspect.engine.clock())?;
    let remembered = project.workdir.federated()?;
    let environment =
        Environment::new(topology, &inspect, &found, remembered, clock, asked.timeout, asked.poison);
    let chosen: Vec<&Scenario> = match asked.scenarios.as_slice() {
        [] if asked.all => scenarios::ALL.to_vec(),
        [] => scenarios::MAIN.to_vec(),
        chosen => chosen.to_vec(),
    };
    for scenario in &chosen {
        environment.check(scenario)?;
    }
    let mut scenarios = Vec::new();
    for scenario in chosen {
        scenarios.push(tokio::select! {
            proof = environment.run(scenario) => proof,
            () = stop.token.cancelled() => return Ok(stop.outcome()),
        });
    }
    let proofs =
        Proofs { version: FORMAT_VERSION, passed: scenarios.iter().all(|proof| proof.passed), scenarios };
    output.data(&match asked.output {
        TextFormat::Text => output::proof::render(&proofs),
        TextFormat::Json => output::json(&proofs)?,
        TextFormat::Yaml => output::yaml(&proofs)?,
    })?;
    Ok(if proofs.passed { Outcome::Done } else { Outcome::ScenarioFailed })
}

impl From<EnvironmentError> for Failure {
    fn from(error: EnvironmentError) -> Self {
        let hint = match error {
            EnvironmentError::NotRunning { .. } => "`fedctl up` puts back what was stopped or removed",
            EnvironmentError::NoService { .. } => {
                "`systems.yaml` has the services of every scenario: `--file systems.yaml`"
            }
        };
        Self::new(Outcome::ScenarioFailed, error.into()).hint(hint)
    }
}
