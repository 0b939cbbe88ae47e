//! A project of its own, driven through the `fedctl` binary.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use fedctl::catalogue::catalogue;
use fedctl_engine::workdir::Workdir;
use fedctl_model::{
    desired::Passwords,
    topology::{self, Topology},
};
use tempfile::TempDir;

/// The project's name.
pub const NAME: &str = "fedctlbench";
/// The label of containers that fedctl did not make.
pub const LABEL: &str = "io.fedctl.test=1";
/// Says how much memory a program took at most.
const TIME: &str = "/usr/bin/time";

/// The shipped topology under another name, in a directory that goes with it.
pub struct Project {
    pub fedctl: PathBuf,
    pub topology: Topology,
    text: String,
    directory: TempDir,
}

impl Project {
    pub fn new() -> Result<Self> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("regions.yaml");
        let text = fs::read_to_string(shipped)?.replacen("name: shop", &format!("name: {NAME}"), 1);
        let (topology, _) =
            topology::parse(&text, &catalogue()).map_err(|findings| anyhow!("{findings:?}"))?;
        let fedctl = std::env::var_os("FEDCTL").unwrap_or_else(|| env!("CARGO_BIN_EXE_fedctl").into());
        let project =
            Self { fedctl: fs::canonicalize(fedctl)?, topology, text, directory: tempfile::tempdir()? };
        project.write(&project.text)?;
        project.down()?;
        Ok(project)
    }

    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.topology.regions.iter().map(|region| region.name.as_str())
    }

    /// The same topology with other lines in place of the first region's list of services.
    pub fn with_services(&self, services: &str) -> Result<()> {
        let (head, rest) = self.text.split_once("services: &services\n").context("no list of services")?;
        let tail = rest.find("  - name: asia").context("no region `asia`")?;
        self.write(&format!("{head}services: &services\n{services}{}", &rest[tail..]))
    }

    /// Another topology, which has to have this project's name.
    pub fn write(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.directory.path().join("regions.yaml"), text)?)
    }

    /// A file beside the topology, which only its owner may read.
    pub fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.path().join(name);
        fs::write(&path, text)?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The passwords of the running project.
    pub fn passwords(&self) -> Result<Passwords> {
        Ok(Workdir::next_to(&self.directory.path().join("regions.yaml")).passwords()?)
    }

    /// How long `fedctl` takes from start to end.
    pub fn time(&self, arguments: &[&str]) -> Result<Duration> {
        let started = Instant::now();
        self.finished(&mut Command::new(&self.fedctl), arguments)?;
        Ok(started.elapsed())
    }

    /// As [`Self::time`], with the most memory that it had, in MiB; none where that is not known.
    pub fn time_and_memory(&self, arguments: &[&str]) -> Result<(Duration, Option<f64>)> {
        if !Path::new(TIME).exists() {
            return Ok((self.time(arguments)?, None));
        }
        let note = self.directory.path().join("memory");
        let mut command = Command::new(TIME);
        command.args(["--quiet", "--format", "%M", "--output"]).arg(&note).arg(&self.fedctl);
        let started = Instant::now();
        self.finished(&mut command, arguments)?;
        let took = started.elapsed();
        let kibibytes: f64 = fs::read_to_string(note)?.trim().parse()?;
        Ok((took, Some(kibibytes / 1024.0)))
    }

    /// Removes everything, data too.
    pub fn down(&self) -> Result<()> {
        self.time(&["down", "--volumes", "--confirm", NAME]).map(drop)
    }

    fn finished(&self, command: &mut Command, arguments: &[&str]) -> Result<Output> {
        checked(command.args(arguments).current_dir(self.directory.path()))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("project `{NAME}` is still there: {error:#}");
        }
    }
}

/// What a program prints, if it succeeds.
pub fn output(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&checked(command)?.stdout).into_owned())
}

fn checked(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
