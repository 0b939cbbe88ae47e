//! `fedctl init`.

use std::path::Path;

use anyhow::anyhow;

use fedctl_model::{
    init::first,
    outcome::Outcome,
    topology::{self, ExternalBroker, RegionName},
};

use super::{failure::Failure, new_file};
use crate::{
    catalogue::catalogue,
    cli::{self, Global},
    output::{self, Output},
};

/// What is suggested for the regions.
const REGIONS: &str = "europe, asia";

pub fn run(global: &Global, asked: &cli::Init, output: Output) -> Result<Outcome, Failure> {
    new_file::check(&global.file)?;
    let asks = !asked.yes && (asked.name.is_none() || asked.regions.is_empty());
    if asks && !Output::can_ask() {
        let error = anyhow!("nobody can be asked for the project and its regions");
        return Err(Failure::new(Outcome::Usage, error).hint(
            "give `--name NAME` and `--region REGION` or `--region REGION=URL` for each, or `--yes` for the defaults",
        ));
    }
    let suggested = suggested(&global.file);
    let name = match &asked.name {
        Some(name) => name.clone(),
        None if asks => or(output.ask(&format!("project [{suggested}]: "))?, &suggested),
        None => suggested,
    };
    let regions = match (asked.regions.is_empty(), asks) {
        (false, _) => asked.regions.clone(),
        (true, true) => ask_regions(output)?,
        (true, false) => listed(REGIONS),
    };
    let regions = regions.iter().map(|region| read(region)).collect::<Result<Vec<_>, _>>()?;
    let text = first(&name, &regions);
    let shown = global.file.display().to_string();
    if let Err(findings) = topology::parse(&text, &catalogue()) {
        output.message(&output::findings::render(&findings, &text, &shown, output.color_on_stderr()));
        return Err(Failure::new(
            Outcome::Usage,
            anyhow!("these answers make no valid topology; nothing was written"),
        ));
    }
    new_file::write(&global.file, &text)?;
    output.message(&format!("{shown} was written\nnext: fedctl check --offline, fedctl plan, fedctl up\n"));
    Ok(Outcome::Done)
}

/// The directory's name, as far as it may be a project's.
fn suggested(file: &Path) -> String {
    let directory = std::path::absolute(file).ok();
    let name = directory.as_deref().and_then(Path::parent).and_then(Path::file_name);
    let name = name.map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.replace(|other: char| !other.is_ascii_alphanumeric(), "-");
    let name = name.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    let name: String = name.chars().take(32).collect();
    or(name.trim_end_matches('-').to_owned(), "demo")
}

fn or(answer: String, default: &str) -> String {
    if answer.is_empty() { default.to_owned() } else { answer }
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The regions, with URLs where their brokers run already.
fn ask_regions(output: Output) -> Result<Vec<String>, Failure> {
    let regions = listed(&or(output.ask(&format!("regions, comma-separated [{REGIONS}]: "))?, REGIONS));
    let answer = output.ask("start the brokers in containers? otherwise they run already [Y/n] ")?;
    if !matches!(answer.to_lowercase().as_str(), "n" | "no") {
        return Ok(regions);
    }
    let at = |region: String| {
        let url = output.ask(&format!("URL of the management API in {region}: "))?;
        Ok(format!("{region}={url}"))
    };
    regions.into_iter().map(at).collect()
}

fn read(region: &str) -> Result<(RegionName, Option<ExternalBroker>), Failure> {
    let Some((name, url)) = region.split_once('=') else { return Ok((RegionName::new(region), None)) };
    let name = RegionName::new(name);
    match ExternalBroker::at(url, &name) {
        Ok(broker) => Ok((name, Some(broker))),
        Err(reason) => {
            Err(Failure::new(Outcome::Usage, anyhow!("not the URL of `{name}`'s management API: {reason}"))
                .hint("such as `https://rabbitmq.example.com`"))
        }
    }
}
