//! Builds the root file system of a broker image from Debian's packages, for when no registry answers.

use std::{
    io,
    process::{Output, Stdio},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};
use tokio_util::{bytes::Bytes, io::ReaderStream};

const SCRIPT: &str = include_str!("../../../compose/broker/rootfs.sh");
const CHANGES: &str = include_str!("../../../compose/broker/import.changes");

/// The image's configuration, one Dockerfile instruction each.
#[must_use]
pub fn changes() -> Vec<String> {
    let lines = CHANGES.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The root file system as a tar, which ends in an error if the script fails. `progress` receives the script's
/// messages.
pub fn rootfs(
    suite: &str,
    progress: impl Fn(String) + Send + 'static,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let mut child = Command::new("bash")
        .arg("-s")
        .env("SUITE", suite)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("bash has no pipes"));
    };
    tokio::spawn(async move { input.write_all(SCRIPT.as_bytes()).await });
    let last_line = tokio::spawn(report(errors, progress));
    let end = stream::once(finish(child, last_line)).filter_map(async |end| end.err().map(Err));
    Ok(ReaderStream::with_capacity(output, 256 << 10).chain(end))
}

/// Passes on the lines of standard error; the last one.
async fn report(errors: impl AsyncRead + Unpin, progress: impl Fn(String)) -> String {
    let mut lines = BufReader::new(errors).lines();
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            progress(line.trim().to_owned());
            last = line;
        }
    }
    last
}

async fn finish(child: Child, last_line: JoinHandle<String>) -> io::Result<()> {
    let Output { status, .. } = child.wait_with_output().await?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("rootfs.sh: {status}: {}", last_line.await.unwrap_or_default())))
}
