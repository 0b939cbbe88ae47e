//! `fedctl link`.

use anyhow::anyhow;
use tokio::time::Instant;

use crate::{
    cli::{self, Global, Link},
    output::{Output, progress},
};
use fedctl_engine::{
    apply::{Tools, apply},
    rabbitmq,
    up::UpError,
};
use fedctl_model::{
    counted::counted,
    desired::{self, Broker},
    observed::Owned,
    outcome::Outcome,
    plan::{Plan, link},
    probe::is_probe,
    site::Unavailable,
    topology::{CleanupMode, Pair, RegionName},
};

use super::{
    failure::Failure,
    project::{self, Project},
    stop::Stop,
};

pub async fn run(global: &Global, asked: &Link, output: Output) -> Result<Outcome, Failure> {
    let (Link::Restart(named) | Link::Pause(named) | Link::Resume(named)) = asked;
    let started = Instant::now();
    let stop = Stop::listen()?;
    let project = Project::load(global, output, false)?;
    let pair = pair(&project, named)?;
    let _lock = project.lock(global, &project.topology.name)?;
    let engine = project.engine(global).await?;
    engine.check_ports()?;
    let passwords = project.completed(project.workdir.passwords()?)?;
    let needed = desired::passwords(&project.topology);
    if let Some(missing) = needed.iter().find(|needed| !passwords.contains_key(needed)) {
        let error = anyhow!("fedctl has no password of `{}` in `{}`", missing.user, missing.region);
        return Err(Failure::new(Outcome::Failed, error).hint("`fedctl up` generates new ones"));
    }
    let ends = [pair.upstream.clone(), pair.downstream.clone()];
    let brokers = desired::brokers(&project.topology, &passwords).into_iter();
    let wanted: Vec<Broker> = brokers.filter(|broker| ends.contains(&broker.region)).collect();
    let events = progress::events(global.progress, output);
    let inventory = project.inventory()?.only(&ends);
    let deadline = started + named.timeout;
    let tools = project::tools(&project, engine, inventory, wanted, None, events, deadline);
    let plan = plan(asked, &pair, &tools).await?;
    if !plan.blocked.is_empty() {
        return Err(Failure::of_up(UpError::Blocked(plan.blocked), stop.outcome(), output));
    }
    let report = apply(&plan, &tools, &stop.token).await;
    if report.interrupted || !report.failures.is_empty() {
        return Err(Failure::of_report(report, stop.outcome(), output));
    }
    let Pair { upstream, downstream } = &pair;
    output.message(&match asked {
        Link::Restart(_) => format!("restarted: the links {upstream} → {downstream} run\n"),
        Link::Resume(_) => format!("resumed: the links {upstream} → {downstream} run\n"),
        Link::Pause(_) => format!(
            "paused: messages for {downstream} wait in {upstream}\nnext: fedctl link resume {upstream} {downstream}\n"
        ),
    });
    Ok(Outcome::Done)
}

/// The regions, which must be linked.
fn pair(project: &Project, named: &cli::Pair) -> Result<Pair, Failure> {
    let ends = [named.upstream.clone(), named.downstream.clone()];
    project.regions(&ends)?;
    let [upstream, downstream] = ends.map(RegionName::new);
    let pairs = project.topology.pairs();
    pairs.into_iter().find(|pair| pair.upstream == upstream && pair.downstream == downstream).ok_or_else(
        || {
            let error = anyhow!("the topology has no links {upstream} → {downstream}");
            let shape = project.topology.federation.shape.as_str();
            Failure::new(Outcome::Usage, error).hint(format!("its shape is {shape}; name the upstream first"))
        },
    )
}

async fn plan(asked: &Link, pair: &Pair, tools: &Tools) -> Result<Plan, Failure> {
    let Pair { upstream, downstream } = pair;
    let found = tools.inspect.containers().await?;
    tools.brokers.borrow_mut().extend(tools.inspect.brokers(&found));
    let unreachable = |unavailable: Unavailable| {
        Failure::new(Outcome::Unreachable, anyhow!("broker `{downstream}`: {unavailable}"))
    };
    let project = &tools.topology.name;
    let owned = tools.inspect.ask_region(&found, downstream, rabbitmq::Broker::owned);
    let owned = owned.await.map_err(unreachable)?;
    let of = |region: &RegionName| tools.wanted.iter().find(|broker| broker.region == *region);
    let (Some(owned), Some(wanted)) = (owned, of(downstream)) else {
        let error = anyhow!("broker `{downstream}` holds nothing of project `{project}` yet");
        return Err(Failure::new(Outcome::Failed, error).hint("fedctl up"));
    };
    match asked {
        Link::Pause(_)
            if tools.topology.federation.upstream.resource_cleanup_mode == CleanupMode::Default =>
        {
            let error =
                anyhow!("links with `resource-cleanup-mode: default` lose what waits when they are paused");
            Err(Failure::new(Outcome::Failed, error)
                .hint("leave it out of `federation.upstream`, and run `fedctl up` first"))
        }
        Link::Pause(_) => Ok(link::pause(wanted, upstream, owned)),
        Link::Resume(_) => {
            let held = tools.inspect.ask_region(&found, upstream, rabbitmq::Broker::definitions);
            let held = Box::pin(held).await;
            let mut plan = link::resume(wanted, upstream, owned);
            // links do not run while their upstream does not answer, and what it holds is not known
            if let (Ok(Ok(held)), Some(upstream)) = (held, of(upstream)) {
                plan.blocked = link::in_the_way(wanted, upstream, &held);
            }
            Ok(plan)
        }
        Link::Restart(_) => {
            paused(pair, &owned)?;
            let listed = async |broker: &rabbitmq::Broker| broker.link_states(|name| !is_probe(name)).await;
            let listed = tools.inspect.ask_region(&found, downstream, listed).await.map_err(unreachable)?;
            let links = listed.into_iter().filter(|(of, ..)| of == upstream.as_str());
            let links: Vec<_> = links.map(|(_, resource, _)| resource).collect();
            tools.events.note(format!("{} from {upstream} to {downstream}", counted(links.len(), "link")));
            Ok(link::restart(upstream, downstream, links))
        }
    }
}

/// Links that are paused do not run, and so cannot be restarted.
fn paused(pair: &Pair, owned: &Owned) -> Result<(), Failure> {
    let Pair { upstream, downstream } = pair;
    if !owned.paused.contains(upstream.as_str()) {
        return Ok(());
    }
    let error = anyhow!("the links {upstream} → {downstream} are paused");
    Err(Failure::new(Outcome::Failed, error).hint(format!("fedctl link resume {upstream} {downstream}")))
}
