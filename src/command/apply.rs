//! `fedctl apply`.

use std::path::Path;

use anyhow::{Context, anyhow};

use crate::{
    cli::{self, Choices, Global},
    output::{self, Output},
};
use fedctl_model::{
    counted::counted,
    desired::Leftovers,
    outcome::Outcome,
    plan::{Plan, SavedPlan},
};

use super::{failure::Failure, plan, project::Project, up};

/// How many differences of a plan are shown.
const SHOWN: usize = 10;

pub async fn run(global: &Global, asked: &cli::Apply, output: Output) -> Result<Outcome, Failure> {
    let saved = asked.plan.as_deref().map(read).transpose()?;
    let (regions, choices) = match &saved {
        Some(saved) => (saved.regions.clone(), choices(saved)),
        None => (asked.region.clone(), asked.choices),
    };
    let agreed = {
        let project = Project::load(global, output, true)?;
        let name = &project.topology.name;
        if let Some(saved) = saved.as_ref().filter(|saved| saved.project != *name) {
            return Err(Failure::new(Outcome::Usage, anyhow!("the plan is for project `{}`", saved.project))
                .hint(format!("the topology's project is `{name}`: `--file` names another topology")));
        }
        let passwords = project.keep_passwords()?;
        let plan = plan::make(global, &project, passwords, &regions, choices).await?;
        if let Some(saved) = saved.as_ref().filter(|saved| saved.digest != plan.digest()) {
            return Err(moved(saved, &plan));
        }
        if !plan.is_empty() {
            output.message(&output::plan::render(&plan));
            agree(&plan, asked.yes, output)?;
        }
        plan.digest()
    };
    let up = cli::Up { regions, timeout: asked.timeout, verify: asked.verify, choices };
    up::carry_out(global, &up, Some(&agreed), output).await
}

fn read(path: &Path) -> Result<SavedPlan, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"));
    let saved = text.and_then(|text| {
        let saved: SavedPlan =
            serde_json::from_str(&text).with_context(|| format!("`{shown}` is not a plan"))?;
        Some(saved)
            .filter(SavedPlan::is_readable)
            .ok_or_else(|| anyhow!("`{shown}` is another version's plan"))
    });
    saved.map_err(|error| Failure::new(Outcome::Usage, error).hint("`fedctl plan --out FILE` writes one"))
}

fn choices(saved: &SavedPlan) -> Choices {
    Choices {
        take_over: saved.take_over,
        adopt: saved.adopt,
        keep: saved.leftovers == Leftovers::Keep,
        discard: saved.leftovers == Leftovers::Discard,
    }
}

fn moved(saved: &SavedPlan, plan: &Plan) -> Failure {
    let moved = saved.moved(plan);
    let shown = moved.iter().take(SHOWN).fold(String::new(), |text, line| text + "\n  " + line);
    let more = moved.len().saturating_sub(SHOWN);
    let more =
        if more == 0 { String::new() } else { format!("\n  and {}", counted(more, "more difference")) };
    let shown =
        if moved.is_empty() { "\n  the steps are the same, and do something else".to_owned() } else { shown };
    let error = anyhow!("something has changed since the plan was made; nothing was applied:{shown}{more}");
    Failure::new(Outcome::Failed, error).hint("look at the plan of now: `fedctl plan --out FILE`")
}

/// A plan is carried out only if somebody agrees to it, by flag or at a prompt.
fn agree(plan: &Plan, yes: bool, output: Output) -> Result<(), Failure> {
    if yes || !plan.blocked.is_empty() {
        return Ok(());
    }
    if !Output::can_ask() {
        let error = anyhow!("nobody can be asked, and nothing was applied");
        return Err(Failure::new(Outcome::Usage, error).hint("`--yes` applies without asking"));
    }
    let question = format!("apply {}? [y/N] ", counted(plan.steps.len(), "step"));
    let answer = output.ask(&question)?.to_lowercase();
    if matches!(answer.as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Outcome::Failed, anyhow!("not agreed to; nothing was applied")))
}
