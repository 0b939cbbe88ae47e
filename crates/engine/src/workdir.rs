//! The directory `.fedctl` next to a topology: its passwords, the lock of the fedctl that is changing the project, and
//! what earlier runs saw and left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{RngExt, distr::Alphanumeric};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::executable::Executable;
use fedctl_model::{
    desired::{PasswordId, Passwords, UpstreamId},
    observed::Federated,
    secret::Secret,
    status::History,
    topology::RegionName,
};

/// Characters of a password; 32 of 62 letters and digits hold 190 bits.
const PASSWORD_LENGTH: usize = 32;

#[derive(Debug, Clone)]
pub struct Workdir {
    path: PathBuf,
}

/// Held while the project is being changed; released when dropped, or by the kernel if the program dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// The lock of the project of this name on the engine at this address, for this machine: another directory may have a
    /// topology of the same name.
    pub fn of_project(project: &str, engine: &str) -> Result<Self, WorkdirError> {
        let name = Sha256::digest(format!("{engine}\n{project}"));
        let path = std::env::temp_dir().join(format!("fedctl-{}.lock", URL_SAFE_NO_PAD.encode(&name[..12])));
        let file = open_shared(&path);
        Self::of(
            file.map_err(|source| WorkdirError::Io { operation: "open", path: path.clone(), source })?,
            path,
        )
    }

    fn of(file: File, path: PathBuf) -> Result<Self, WorkdirError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(WorkdirError::Locked { path }),
            Err(fs::TryLockError::Error(source)) => Err(WorkdirError::Io { operation: "lock", path, source }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WorkdirError {
    #[error("cannot {operation} `{}`", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    /// The file is not what fedctl writes. The parser's own words may quote a password.
    #[error("`{}` is not what fedctl writes: see line {line}, column {column}", path.display())]
    Malformed { path: PathBuf, line: usize, column: usize },
    #[error("another fedctl is changing this project (it holds `{}`)", path.display())]
    Locked { path: PathBuf },
}

impl WorkdirError {
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

impl Workdir {
    /// The directory next to the topology file.
    #[must_use]
    pub fn next_to(topology: &Path) -> Self {
        Self { path: topology.parent().unwrap_or(Path::new("")).join(".fedctl") }
    }

    /// Locks this directory.
    pub fn lock(&self) -> Result<Lock, WorkdirError> {
        self.create()?;
        let path = self.path.join("lock");
        let file = open_private(&path);
        Lock::of(
            file.map_err(|source| WorkdirError::Io { operation: "write", path: path.clone(), source })?,
            path,
        )
    }

    /// The passwords on disk; none if there is no file.
    pub fn passwords(&self) -> Result<Passwords, WorkdirError> {
        let regions: BTreeMap<String, BTreeMap<String, String>> = Self::read(self.passwords_file())?;
        let entry = |region: &str, (user, password): (String, String)| {
            (PasswordId { region: RegionName::new(region), user }, Secret::new(password))
        };
        Ok(regions
            .iter()
            .flat_map(|(region, users)| users.clone().into_iter().map(move |user| entry(region, user)))
            .collect())
    }

    /// The passwords, with a new random one for each of `needed` that is missing. New ones are on disk before this
    /// returns; if none is missing nothing is written.
    pub fn complete_passwords(&self, needed: &[PasswordId]) -> Result<Passwords, WorkdirError> {
        let found = self.passwords()?.len();
        let passwords = self.preview_passwords(needed)?;
        if passwords.len() > found {
            self.write_passwords(&passwords)?;
        }
        Ok(passwords)
    }

    /// Like [`complete_passwords`](Self::complete_passwords), but new ones are not written.
    pub fn preview_passwords(&self, needed: &[PasswordId]) -> Result<Passwords, WorkdirError> {
        let mut passwords = self.passwords()?;
        for id in needed {
            passwords.entry(id.clone()).or_insert_with(random_password);
        }
        Ok(passwords)
    }

    /// What was federated when `up` last finished; nothing if it never did.
    pub fn federated(&self) -> Result<Federated, WorkdirError> {
        Self::read(self.federated_file())
    }

    /// The upstreams that an `up` was changing when it was cut short.
    pub fn changing(&self) -> Result<BTreeSet<UpstreamId>, WorkdirError> {
        Self::read(self.changing_file())
    }

    /// Records upstreams that are about to be changed, on disk before this returns, or those of which that is not known
    /// to be done.
    pub fn record_changing(&self, upstreams: &BTreeSet<UpstreamId>) -> Result<(), WorkdirError> {
        if *upstreams == self.changing()? { Ok(()) } else { self.write(self.changing_file(), upstreams) }
    }

    /// Remembers what is federated in these regions, and of others what was known; regions that are not in `known` are
    /// forgotten. Nothing is written if nothing changes.
    pub fn remember(&self, federated: Federated, known: &[RegionName]) -> Result<(), WorkdirError> {
        let before = self.federated()?;
        let mut all = before.clone();
        all.extend(federated);
        all.retain(|region, _| known.contains(region));
        if all == before { Ok(()) } else { self.write(self.federated_file(), &all) }
    }

    /// What earlier looks saw of the links of a project. What cannot be read counts as nothing.
    #[must_use]
    pub fn history(&self, project: &str) -> History {
        let kept = fs::read_to_string(self.history_file());
        kept.map_or_else(|_| History::of(project), |text| History::read(&text, project))
    }

    /// Keeps what looks saw of the links, if there is such a directory: a look creates none, and `down` removes it. It is
    /// not forced on the disk, which may take longer than the look did; what a crash damages is not read.
    pub fn keep(&self, history: &History) -> Result<(), WorkdirError> {
        self.write_quickly(self.history_file(), history)
    }

    /// The executable that was packed last, if it can be read.
    #[must_use]
    pub fn executable(&self) -> Option<Executable> {
        Self::read(self.executable_file()).ok().flatten()
    }

    /// Keeps what is known of the executable, if there is such a directory.
    pub fn keep_executable(&self, executable: &Executable) -> Result<(), WorkdirError> {
        self.write_quickly(self.executable_file(), executable)
    }

    /// Removes the directory with every password in it, if it exists.
    pub fn remove(&self) -> Result<(), WorkdirError> {
        match fs::remove_dir_all(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(WorkdirError::Io { operation: "remove", path: self.path.clone(), source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn passwords_file(&self) -> PathBuf {
        self.path.join("passwords.json")
    }

    fn federated_file(&self) -> PathBuf {
        self.path.join("federated.json")
    }

    fn history_file(&self) -> PathBuf {
        self.path.join("links.json")
    }

    fn executable_file(&self) -> PathBuf {
        self.path.join("executable.json")
    }

    fn changing_file(&self) -> PathBuf {
        self.path.join("changing.json")
    }

    /// What a file holds; the default if there is none.
    fn read<T: DeserializeOwned + Default>(path: PathBuf) -> Result<T, WorkdirError> {
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| WorkdirError::Malformed {
                path,
                line: error.line(),
                column: error.column(),
            }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(source) => Err(WorkdirError::Io { operation: "read", path, source }),
        }
    }

    fn create(&self) -> Result<(), WorkdirError> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| WorkdirError::Io { operation: "write", path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(error(&self.path))?;
        fs::set_permissions(&self.path, Permissions::from_mode(0o700)).map_err(error(&self.path))?;
        let ignore = self.path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(error(&ignore))?;
        }
        Ok(())
    }

    fn write_passwords(&self, passwords: &Passwords) -> Result<(), WorkdirError> {
        let mut regions: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (id, password) in passwords {
            regions.entry(id.region.as_str()).or_default().insert(&id.user, password.expose());
        }
        self.write(self.passwords_file(), &regions)
    }

    /// Written to a temporary file and renamed, and not forced on the disk.
    fn write_quickly(&self, path: PathBuf, content: &impl Serialize) -> Result<(), WorkdirError> {
        let write = || -> io::Result<()> {
            let mut file = self.temporary_file()?;
            file.write_all(&serde_json::to_vec(content)?)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| WorkdirError::Io { operation: "write", path, source })
    }

    /// Written to a temporary file and renamed, so that a crash or a full disk leaves the old file or the new one.
    fn write(&self, path: PathBuf, content: &impl Serialize) -> Result<(), WorkdirError> {
        self.create()?;
        let write = || -> io::Result<()> {
            let mut file = self.temporary_file()?;
            serde_json::to_writer_pretty(&mut file, content)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| WorkdirError::Io { operation: "write", path, source })
    }

    fn temporary_file(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(&self.path)
    }
}

/// A file that every user may lock: whoever made it, others can read it.
fn open_shared(path: &Path) -> io::Result<File> {
    let created = OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path);
    created.or_else(|_| File::open(path))
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn random_password() -> Secret {
    Secret::new(
        rand::rng().sample_iter(Alphanumeric).take(PASSWORD_LENGTH).map(char::from).collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(user: &str) -> PasswordId {
        PasswordId { region: RegionName::new("europe"), user: user.into() }
    }

    #[test]
    fn passwords_are_kept_and_only_missing_ones_are_made() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        let first = workdir.complete_passwords(&[id("a")]).unwrap();
        let second = workdir.complete_passwords(&[id("a"), id("b")]).unwrap();
        assert_eq!(first[&id("a")], second[&id("a")]);
        assert_ne!(second[&id("a")], second[&id("b")]);
        assert_eq!(workdir.passwords().unwrap(), second);
    }

    #[test]
    fn no_other_user_can_read_the_passwords() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        workdir.complete_passwords(&[id("a")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&workdir.path), 0o700);
        assert_eq!(mode(&workdir.passwords_file()), 0o600);
    }

    #[test]
    fn what_looks_saw_is_kept_for_their_user_alone_and_only_where_there_is_a_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        let history = History::of("shop");
        assert!(workdir.keep(&history).is_err());
        assert!(!workdir.path.exists(), "a look creates no directory");
        workdir.create().unwrap();
        workdir.keep(&history).unwrap();
        let kept = fs::metadata(workdir.history_file()).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
        assert_eq!(workdir.history("shop"), history);
        fs::write(workdir.history_file(), [0xff, 0]).unwrap();
        assert_eq!(workdir.history("shop"), history, "what is damaged counts as nothing");
        fs::remove_file(workdir.history_file()).unwrap();
        fs::create_dir(workdir.history_file()).unwrap();
        assert!(workdir.keep(&history).is_err());
        assert_eq!(workdir.history("shop"), history);
    }

    #[test]
    fn two_cannot_hold_the_lock_of_a_directory_or_of_a_project() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        let engine = format!("engine of process {}", std::process::id());
        let locks = (workdir.lock().unwrap(), Lock::of_project("shop", &engine).unwrap());
        assert!(workdir.lock().unwrap_err().is_locked());
        assert!(Lock::of_project("shop", &engine).unwrap_err().is_locked());
        Lock::of_project("inn", &engine).unwrap();
        Lock::of_project("shop", "another engine").unwrap();
        drop(locks);
        workdir.lock().unwrap();
        Lock::of_project("shop", &engine).unwrap();
    }

    #[test]
    fn a_malformed_password_file_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        workdir.create().unwrap();
        fs::write(workdir.passwords_file(), "{").unwrap();
        let error = workdir.passwords().unwrap_err().to_string();
        assert!(error.contains("passwords.json"), "{error}");
    }

    #[test]
    fn a_malformed_password_file_shows_no_password() {
        let temporary = tempfile::tempdir().unwrap();
        let workdir = Workdir::next_to(&temporary.path().join("regions.yaml"));
        workdir.complete_passwords(&[id("a")]).unwrap();
        fs::write(workdir.passwords_file(), r#"{"europe": "hunter2"}"#).unwrap();
        let shown = crate::chain::chain(&workdir.passwords().unwrap_err());
        assert!(shown.ends_with("see line 1, column 20") && !shown.contains("hunter2"), "{shown}");
    }
}
