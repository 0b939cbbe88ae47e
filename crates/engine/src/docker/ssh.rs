//! An engine behind `ssh`, reached as `docker` reaches it: through a `docker system dial-stdio` on its host.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use bollard::{BollardRequest, errors::Error};
use hyper::{
    Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, join},
    process::Command,
    time::timeout,
};

/// How long `ssh` may take to end once its connection has.
const GRACE: Duration = Duration::from_secs(1);

/// Where `ssh` connects to, and the engine's socket there if it is not the one that `docker` uses there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub socket: Option<PathBuf>,
}

impl Destination {
    /// What follows `ssh://`: `USER@HOST:PORT/SOCKET`, of which only the host is needed. A password is not possible.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (authority, socket) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (host, None),
        };
        if host.is_empty() || user.as_ref().is_some_and(|user| user.is_empty() || user.contains(':')) {
            return None;
        }
        let socket = Some(PathBuf::from(socket)).filter(|socket| socket.components().count() > 1);
        Some(Self { user, host: host.to_owned(), port, socket })
    }

    /// The arguments of `ssh`, those of `docker` on the other side included.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["-o", "ConnectTimeout=30", "-T"].map(str::to_owned).into();
        if let Some(user) = &self.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.extend(["--".to_owned(), self.host.clone(), "docker".to_owned()]);
        if let Some(socket) = &self.socket {
            arguments.extend(["--host".to_owned(), format!("unix://{}", socket.display())]);
        }
        arguments.extend(["system", "dial-stdio"].map(str::to_owned));
        arguments
    }
}

/// Carries a request over an `ssh` of its own.
pub(super) async fn carry(
    mut request: BollardRequest,
    arguments: Vec<String>,
) -> Result<Response<Incoming>, Error> {
    let mut ssh = Command::new("ssh");
    ssh.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = ssh.kill_on_drop(true).spawn();
    let mut ssh =
        spawned.map_err(|error| io::Error::new(error.kind(), format!("cannot run `ssh`: {error}")))?;
    let pipes = (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take());
    let (Some(input), Some(output), Some(mut errors)) = pipes else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
    };
    // as HTTP has it for a server: the path alone, and the host in a field
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(join(output, input))).await?;
    let ended = tokio::spawn(async move {
        connection.await.ok();
        timeout(GRACE, ssh.wait()).await.ok();
        drop(ssh);
        let mut said = String::new();
        errors.read_to_string(&mut said).await.ok();
        said
    });
    match sender.send_request(request).await {
        Ok(response) => Ok(response),
        Err(error) => match ended.await.unwrap_or_default().trim() {
            "" => Err(error.into()),
            said => Err(io::Error::other(said).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(destination: &str) -> Option<String> {
        Some(Destination::parse(destination)?.arguments().join(" "))
    }

    #[test]
    fn ssh_gets_the_arguments_that_docker_gives_it() {
        let expected = |text: &str| Some(format!("-o ConnectTimeout=30 -T {text}"));
        assert_eq!(ssh("host"), expected("-- host docker system dial-stdio"));
        assert_eq!(ssh("ada@host:2222/"), expected("-l ada -p 2222 -- host docker system dial-stdio"));
        assert_eq!(
            ssh("host/run/user/1000/docker.sock"),
            expected("-- host docker --host unix:///run/user/1000/docker.sock system dial-stdio")
        );
        for none in ["", "ada@", "ada:secret@host", "@host", "host:port"] {
            assert_eq!(ssh(none), None, "{none}");
        }
    }
}
