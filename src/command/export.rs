//! `fedctl export`.

use std::{fs, io, path::Path};

use anyhow::{Context, anyhow};
use futures_util::StreamExt;

use crate::{
    catalogue::catalogue,
    cli::{self, ExportForm, Global},
    output::Output,
};
use fedctl_engine::{docker::Platform, executable::Executable};
use fedctl_model::{
    desired::{SERVICE_ID, service_store},
    export::{Files, compose},
    outcome::Outcome,
};

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, asked: &cli::Export, output: Output) -> Result<Outcome, Failure> {
    match &asked.form {
        ExportForm::Compose(asked) => {
            let project = Project::load(global, output, true)?;
            if let Some(region) = project.topology.regions.iter().find(|region| region.broker.is_some()) {
                let error =
                    anyhow!("the broker of `{}` runs elsewhere: Compose cannot start it", region.name);
                return Err(Failure::new(Outcome::Usage, error)
                    .hint("export a topology without `broker` in its regions"));
            }
            write(&asked.output, &compose::compose(&project.topology, &catalogue()), output)?;
            output.message(&format!("hint: sh {}\n", asked.output.join("secrets.sh").display()));
        }
        ExportForm::ServiceImage => service_image(output).await?,
    }
    Ok(Outcome::Done)
}

fn write(directory: &Path, files: &Files, output: Output) -> Result<(), Failure> {
    for (path, text) in files {
        let path = directory.join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(|error| Failure::new(Outcome::Failed, error).hint("`--output DIR` writes elsewhere"))?;
        output.data(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

async fn service_image(output: Output) -> Result<(), Failure> {
    if Output::is_terminal() {
        let error = anyhow!("standard output is a terminal");
        return Err(Failure::new(Outcome::Usage, error)
            .hint("fedctl export service-image | docker import - fedctl-service:local"));
    }
    let mut layer = Executable::for_containers(&Platform::linux(), None)?.layer();
    output.bytes(&store_entry()?)?;
    while let Some(bytes) = layer.next().await {
        output.bytes(&bytes?)?;
    }
    Ok(())
}

/// The archive's entry for the directory that the services of a region share. The engine gives a new volume the content
/// and the owner of the directory that it is mounted on; with Compose nothing else sets them.
fn store_entry() -> io::Result<[u8; 512]> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_path(service_store(&catalogue()).trim_start_matches('/'))?;
    header.set_mode(0o755);
    header.set_uid(SERVICE_ID);
    header.set_gid(SERVICE_ID);
    header.set_size(0);
    header.set_cksum();
    Ok(*header.as_bytes())
}
