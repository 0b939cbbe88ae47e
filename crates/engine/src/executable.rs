//! This program's own executable, packed to run in a container that has nothing else.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Command,
};

use futures_util::Stream;
use sha2::{Digest, Sha256};
use tokio_util::{
    bytes::Bytes,
    io::{ReaderStream, SyncIoBridge},
};

use fedctl_model::desired::{SERVICE_EXECUTABLE, SERVICE_IMAGE};

/// Bytes between the packing and the sending of a layer.
const PIPE: usize = 256 << 10;
/// Bytes at the head of an executable in which its program headers lie.
const HEAD: u64 = 64 << 10;

/// The executable, and the loader and libraries it is linked against; none where it is static.
#[derive(Debug, Clone)]
pub struct Executable {
    path: PathBuf,
    libraries: BTreeSet<PathBuf>,
    reference: String,
}

impl Executable {
    /// Finds the running program's executable and its libraries.
    ///
    /// # Errors
    ///
    /// If the executable or one of its libraries cannot be read.
    pub fn of_this_process() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        let libraries = libraries(&path)?;
        let mut hasher = HashingWriter(Sha256::new());
        for file in [&path].into_iter().chain(&libraries) {
            io::copy(&mut File::open(file)?, &mut hasher)?;
        }
        let hash: Vec<u8> = hasher.0.finalize().to_vec();
        let tag = hash.iter().take(8).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        Ok(Self { path, libraries, reference: format!("{SERVICE_IMAGE}:{tag}") })
    }

    /// The reference of the image that holds exactly this executable.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The image's one layer, as a tar that is packed while it is read.
    ///
    /// Where a file cannot be read any more the tar ends early, which the engine refuses.
    pub fn layer(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (reader, writer) = tokio::io::duplex(PIPE);
        let (path, libraries) = (self.path.clone(), self.libraries.clone());
        tokio::task::spawn_blocking(move || pack(SyncIoBridge::new(writer), &path, &libraries));
        ReaderStream::with_capacity(reader, PIPE)
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

/// The loader says itself which libraries it would load, and where it finds them.
fn libraries(executable: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut head = Vec::new();
    File::open(executable)?.take(HEAD).read_to_end(&mut head)?;
    let Some(loader) = interpreter(&head) else { return Ok(BTreeSet::new()) };
    let output = Command::new(&loader).arg("--list").arg(executable).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("{} --list: {text}", loader.display())));
    }
    let mut libraries = listed(&String::from_utf8_lossy(&output.stdout));
    libraries.insert(loader);
    Ok(libraries)
}

/// The paths in the loader's list: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`.
fn listed(list: &str) -> BTreeSet<PathBuf> {
    list.lines()
        .filter_map(|line| line.split_once("=> ").map_or(line, |(_, found)| found).split_whitespace().next())
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// The loader that a 64-bit little-endian ELF executable asks for: its program header of type
/// `PT_INTERP` (System V ABI, chapter 5). None for a static one.
fn interpreter(elf: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u32 = 3;
    let long = |at: usize| Some(u64::from_le_bytes(elf.get(at..at + 8)?.try_into().ok()?));
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?)));
    let table = usize::try_from(long(32)?).ok()?;
    let (size, count) = (short(54)?, short(56)?);
    (0..count).map(|entry| table + entry * size).find_map(|at| {
        let kind = u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?);
        if kind != PT_INTERP {
            return None;
        }
        let offset = usize::try_from(long(at + 8)?).ok()?;
        let length = usize::try_from(long(at + 32)?).ok()?;
        let text = elf.get(offset..offset + length)?.strip_suffix(b"\0")?;
        std::str::from_utf8(text).ok().map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_holds_this_executable_and_a_libc() {
        let executable = Executable::of_this_process().unwrap();
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
    fn the_same_executable_always_makes_the_same_image() {
        let [first, second] = [(); 2].map(|()| Executable::of_this_process().unwrap());
        assert_eq!(first.reference(), second.reference());
    }

    #[test]
    fn the_loaders_list_is_read_with_and_without_arrows() {
        let list = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        let wanted = ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(listed(list), wanted.into());
    }
}
