//! This program's own executable, packed into the image of the built-in services; for topologies that name none.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::{
    bytes::Bytes,
    io::{ReaderStream, SyncIoBridge},
};

use crate::docker::Platform;
use fedctl_model::desired::SERVICE_EXECUTABLE;
use fedctl_model::names::SERVICE_IMAGE;

/// Bytes between the packing and the sending of a layer.
const PIPE: usize = 256 << 10;

/// The executable, and the loader and libraries that it is linked against; none if it is static.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    path: PathBuf,
    libraries: BTreeSet<PathBuf>,
    reference: String,
    /// What the files looked like when the reference was made from their content.
    stamps: Vec<Stamp>,
}

/// What changes when a file does: device, inode, length, and when it was modified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp(u64, u64, u64, i64, i64);

#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    #[error(
        "the built-in services cannot run from this fedctl: it was built for {program}, the engine's containers run {engine}"
    )]
    OtherPlatform { program: Platform, engine: Platform },
    #[error("cannot pack fedctl's own executable")]
    Unreadable(#[source] io::Error),
}

impl Executable {
    /// The running program's executable, if it runs in containers of this platform: `known` if that is the one, and
    /// none of its files has changed since.
    pub fn for_containers(engine: &Platform, known: Option<Self>) -> Result<Self, ExecutableError> {
        runs_in_containers(Platform::of_this_program(), engine)?;
        Self::of_this_process(known).map_err(ExecutableError::Unreadable)
    }

    fn of_this_process(known: Option<Self>) -> io::Result<Self> {
        let path = std::env::current_exe()?;
        match known.filter(|known| known.path == path && known.is_unchanged()) {
            Some(known) => Ok(known),
            None => Self::at(path),
        }
    }

    fn is_unchanged(&self) -> bool {
        self.files().map(stamp).collect::<io::Result<Vec<_>>>().is_ok_and(|stamps| stamps == self.stamps)
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.path].into_iter().chain(&self.libraries)
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        let libraries = libraries(&path)?;
        let mut executable = Self { path, libraries, reference: String::new(), stamps: Vec::new() };
        executable.stamps = executable.files().map(stamp).collect::<io::Result<_>>()?;
        let mut hasher = HashingWriter(Sha256::new());
        for file in executable.files() {
            io::copy(&mut File::open(file)?, &mut hasher)?;
        }
        let hash: Vec<u8> = hasher.0.finalize().to_vec();
        let tag = hash.iter().take(8).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        executable.reference = format!("{SERVICE_IMAGE}:{tag}");
        Ok(executable)
    }

    /// The reference of the image that holds exactly this executable.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The image's one layer, as a tar that is packed while it is read.
    ///
    /// If a file can no longer be read the tar ends early, and the engine refuses it.
    pub fn layer(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (reader, writer) = tokio::io::duplex(PIPE);
        let (path, libraries) = (self.path.clone(), self.libraries.clone());
        tokio::task::spawn_blocking(move || pack(SyncIoBridge::new(writer), &path, &libraries));
        ReaderStream::with_capacity(reader, PIPE)
    }
}

fn stamp(file: &PathBuf) -> io::Result<Stamp> {
    let found = std::fs::metadata(file)?;
    Ok(Stamp(found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

fn runs_in_containers(program: Platform, engine: &Platform) -> Result<(), ExecutableError> {
    if program == *engine {
        Ok(())
    } else {
        Err(ExecutableError::OtherPlatform { program, engine: engine.clone() })
    }
}

fn pack(writer: impl Write, executable: &Path, libraries: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut tar = tar::Builder::new(writer);
    append(&mut tar, executable, Path::new(SERVICE_EXECUTABLE))?;
    for library in libraries {
        append(&mut tar, library, library)?;
    }
    tar.into_inner()?.flush()
}

struct HashingWriter(Sha256);

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(tar: &mut tar::Builder<impl Write>, from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o755);
    let to = to.strip_prefix("/").unwrap_or(to);
    tar.append_data(&mut header, to, &mut file)
}

/// Has the loader of a dynamic executable list what it would load, as `ldd` does without the shell around it. A static
/// one has no loader and prints its version instead.
fn libraries(executable: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let output = Command::new(executable).arg("--version").env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
    if output.status.success() {
        Ok(listed(&String::from_utf8_lossy(&output.stdout)))
    } else {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("its libraries cannot be listed: {reason}")))
    }
}

/// The paths at which a program looks for its loader and finds its libraries:
/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)` or `/lib64/ld-linux-x86-64.so.2 (0x00007f…)`.
fn listed(list: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    list.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Held while a process is started or an executable is written: a child has the files of its parent open for a
    /// moment, and a file that is open for writing cannot be executed.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    fn platform(os: &str, arch: &str) -> Platform {
        Platform { os: os.into(), arch: arch.into() }
    }

    #[test]
    fn the_layer_holds_this_executable_and_a_libc() {
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let executable = Executable::for_containers(&Platform::linux(), None).unwrap();
        let mut layer = Vec::new();
        pack(&mut layer, &executable.path, &executable.libraries).unwrap();
        let mut archive = tar::Archive::new(&layer[..]);
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert!(paths.contains(&"usr/bin/fedctl".to_owned()), "{paths:?}");
        assert!(paths.iter().any(|path| path.contains("libc.so")), "{paths:?}");
        assert!(paths.iter().any(|path| path.contains("ld-linux")), "{paths:?}");
    }

    #[test]
    fn only_an_engine_of_the_programs_platform_runs_it() {
        let linux = || platform("linux", "amd64");
        runs_in_containers(linux(), &linux()).unwrap();
        for (program, engine) in [
            (platform("darwin", "arm64"), platform("linux", "arm64")),
            (platform("darwin", "amd64"), linux()),
            (linux(), platform("linux", "arm64")),
            (linux(), platform("windows", "amd64")),
        ] {
            let error = runs_in_containers(program, &engine).unwrap_err().to_string();
            assert!(error.ends_with(&format!("the engine's containers run {engine}")), "{error}");
        }
    }

    /// The hash of a layer, packed again.
    fn packed(executable: &Executable) -> Vec<u8> {
        let mut hasher = HashingWriter(Sha256::new());
        pack(&mut hasher, &executable.path, &executable.libraries).unwrap();
        hasher.0.finalize().to_vec()
    }

    #[test]
    fn the_same_executable_always_makes_the_same_image_and_another_one_another() {
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let here = Executable::of_this_process(None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("elsewhere");
        std::fs::copy(&here.path, &copy).unwrap();
        let open = || File::options().append(true).open(&copy).unwrap();
        open().set_modified(std::time::UNIX_EPOCH).unwrap();
        let same = Executable::at(copy.clone()).unwrap();
        assert_eq!((here.reference(), packed(&here)), (same.reference(), packed(&same)));

        open().write_all(b"!").unwrap();
        let other = Executable::at(copy.clone()).unwrap();
        assert_ne!(here.reference(), other.reference());
        assert_ne!(packed(&here), packed(&other));
    }

    #[test]
    fn an_executable_is_known_as_long_as_none_of_its_files_changes() {
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let here = Executable::of_this_process(None).unwrap();
        let known = Executable { reference: "known".into(), ..here.clone() };
        assert_eq!(Executable::of_this_process(Some(known.clone())).unwrap(), known);
        let mut changed = known.clone();
        changed.stamps[1].3 -= 1;
        assert_eq!(Executable::of_this_process(Some(changed)).unwrap(), here);
        let other = Executable { path: "/another".into(), ..known };
        assert_eq!(Executable::of_this_process(Some(other)).unwrap(), here);
    }

    #[test]
    fn every_path_in_the_list_of_libraries_is_found() {
        let list = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n\
                    \t/lib/ld.so.1 => /usr/lib/ld.so.1 (0x4)\n";
        let wanted = ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/lib/ld.so.1"].map(PathBuf::from);
        assert_eq!(listed(list), wanted.into());
        assert_eq!(listed("\tstatically linked\n"), [].into());
    }
}
