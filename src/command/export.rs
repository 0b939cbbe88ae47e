//! `fedctl export`.

use std::{fs, io, path::Path};

use anyhow::{Context, anyhow};
use futures_util::StreamExt;

use crate::{
    cli::{self, ExportForm, Global},
    output::Output,
};
use fedctl_engine::executable::Executable;
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
            write(&asked.output, &compose::compose(&project.topology), output)?;
            output.message(&format!("hint: sh {}\n", asked.output.join("secrets.sh").display()));
        }
        ExportForm::ServiceImage => service_image(output).await?,
    }
    Ok(Outcome::Done)
}

/// Writes the files and prints the path of each.
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
        let error = anyhow!("an image is not written to a terminal");
        return Err(Failure::new(Outcome::Usage, error)
            .hint("fedctl export service-image | docker import - fedctl-service:local"));
    }
    output.bytes(&store_entry()?)?;
    let mut layer = Executable::of_this_process()?.layer();
    while let Some(bytes) = layer.next().await {
        output.bytes(&bytes?)?;
    }
    Ok(())
}

/// The archive's entry for the directory that the services share: an engine gives a new volume the content
/// and the owner of what it is mounted over, and with Compose nothing else does.
fn store_entry() -> io::Result<[u8; 512]> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_path(service_store().trim_start_matches('/'))?;
    header.set_mode(0o755);
    header.set_uid(SERVICE_ID);
    header.set_gid(SERVICE_ID);
    header.set_size(0);
    header.set_cksum();
    Ok(*header.as_bytes())
}
