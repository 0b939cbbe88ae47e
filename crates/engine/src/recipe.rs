//! The broker image's recipe: a script that makes a root file system from Debian's packages.

use std::{
    io,
    process::{Output, Stdio},
};

use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};
use tokio_util::{bytes::Bytes, io::ReaderStream};

const SCRIPT: &str = include_str!("../../../compose/broker/rootfs.sh");
const CHANGES: &str = include_str!("../../../compose/broker/import.changes");

/// What the image is configured with, one Dockerfile instruction each.
#[must_use]
pub fn changes() -> Vec<String> {
    let lines = CHANGES.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Runs the recipe for a Debian suite; `progress` hears its lines. The stream is the root file system as
/// a tar, and ends in an error if the recipe fails.
///
/// # Errors
///
/// If bash cannot be started.
pub fn rootfs(
    suite: &str,
    progress: impl Fn(String) + Send + 'static,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let mut child = Command::new("bash")
        .args(["-s"])
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
    let last = tokio::spawn(async move {
        let mut lines = BufReader::new(errors).lines();
        let mut last = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if !line.trim().is_empty() {
                progress(line.trim().to_owned());
                last = line;
            }
        }
        last
    });
    let end =
        futures_util::stream::once(async move { finished(child, last.await.unwrap_or_default()).await });
    let end = end.filter_map(async |result: io::Result<()>| result.err().map(Err));
    Ok(ReaderStream::with_capacity(output, 256 << 10).chain(end))
}

async fn finished(child: Child, last: String) -> io::Result<()> {
    let Output { status, .. } = child.wait_with_output().await?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("the recipe ended with {status}: {last}")))
    }
}
