//! `fedctl explain`.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};

use fedctl_model::{
    diagnostic::{Code, pages},
    outcome::Outcome,
};

use super::failure::Failure;
use crate::{cli::Explain, output::Output};

pub fn run(asked: &Explain, output: Output) -> Result<Outcome, Failure> {
    if let Some(directory) = &asked.pages {
        write(directory).map_err(|error| Failure::new(Outcome::Failed, error))?;
    }
    if let Some(code) = &asked.code {
        output.data(&explanation(code)?)?;
    }
    Ok(Outcome::Done)
}

fn explanation(code: &str) -> Result<String, Failure> {
    Code::find(code).map(|code| format!("{}\n", code.explanation())).ok_or_else(|| {
        Failure::new(Outcome::Usage, anyhow!("unknown code `{code}`"))
            .hint("codes are printed with findings, links and warnings, such as FED0107")
    })
}

fn write(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create `{}`", directory.display()))?;
    for (name, text) in pages() {
        let file = directory.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    Ok(())
}
