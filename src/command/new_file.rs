//! Files that are written once and never over another.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::Path,
};

use anyhow::{Context, anyhow};

use fedctl_model::outcome::Outcome;

use super::failure::Failure;

/// Fails before anything is asked or read if there is such a file.
pub fn check(path: &Path) -> Result<(), Failure> {
    if path.exists() { Err(exists(path)) } else { Ok(()) }
}

pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(path)),
        written => written
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(|error| Failure::new(Outcome::Failed, error)),
    }
}

fn exists(path: &Path) -> Failure {
    let error = anyhow!("`{}` exists and is not overwritten", path.display());
    Failure::new(Outcome::Usage, error).hint("remove it first, or write to another file")
}
