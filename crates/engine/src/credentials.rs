//! The passwords of users that exist already on brokers that fedctl did not start.

use std::{fmt, io, path::Path};

use fedctl_model::{
    desired::{PasswordId, Passwords},
    secret::Secret,
    topology::{PasswordSource, Topology},
};

/// A password that is not where the topology says.
#[derive(Debug, thiserror::Error)]
#[error("no password of `{}` for region `{}`: {reason}", id.user, id.region)]
pub struct MissingPassword {
    id: PasswordId,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    NotSet(String),
    File(String, io::Error),
    NotInWorkdir,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(name) => write!(f, "the environment variable `{name}` is not set"),
            Self::File(path, error) => write!(f, "cannot read `{path}`: {error}"),
            Self::NotInWorkdir => f.write_str(
                "the region's `broker` has neither `password` nor `password-file`, and `.fedctl/passwords.json` has none",
            ),
        }
    }
}

/// Adds the passwords that a topology in `directory` names; those that are missing.
pub fn add_given(topology: &Topology, directory: &Path, passwords: &mut Passwords) -> Vec<MissingPassword> {
    let mut missing = Vec::new();
    for (id, source) in topology.given_passwords() {
        let found = match source {
            PasswordSource::Variable(name) => {
                std::env::var(name).map(Secret::new).map_err(|_| Reason::NotSet(name.to_owned()))
            }
            PasswordSource::File(path) => {
                first_line(&directory.join(path)).map_err(|error| Reason::File(path.to_owned(), error))
            }
            PasswordSource::Workdir => passwords.get(&id).cloned().ok_or(Reason::NotInWorkdir),
        };
        match found {
            Ok(password) => drop(passwords.insert(id, password)),
            Err(reason) => missing.push(MissingPassword { id, reason }),
        }
    }
    missing
}

fn first_line(path: &Path) -> io::Result<Secret> {
    let text = Secret::new(std::fs::read_to_string(path)?);
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default()))
}
