//! Which engine to use: the one that `docker` itself would.

use std::{
    fmt, fs, io,
    net::{ToSocketAddrs, UdpSocket},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::ssh::Destination;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The port of an address that has none, as `docker` has it.
const PORT: u16 = 2375;
/// Where `docker` looks for an engine when it is only told to use TLS.
const DEFAULT_TLS_ADDRESS: &str = "tcp://localhost:2376";
/// The context that stands for having none.
const DEFAULT_CONTEXT: &str = "default";

/// Where an engine is, and what named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAddress {
    /// As a URL, to be shown.
    pub url: String,
    pub transport: Transport,
    pub origin: Origin,
    /// The socket of a rootless engine, where there is one that neither the environment nor a context names.
    pub rootless: Option<PathBuf>,
}

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Unix(PathBuf),
    /// A host and a port; for TLS also the directory of `ca.pem`, `cert.pem` and `key.pem`.
    Tcp {
        authority: String,
        certificates: Option<PathBuf>,
    },
    Ssh(Destination),
}

/// What named an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The flag `--host`.
    Flag,
    /// The variable `DOCKER_HOST`.
    Variable,
    Context(Context),
    /// Nothing.
    Default,
}

/// A context of `docker`, and where it was chosen: `DOCKER_CONTEXT` or `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub name: String,
    pub chosen_in: &'static str,
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("`{host}` ({origin}) is a path, not an engine's address")]
    Path { host: String, origin: Origin },
    #[error("`{host}` ({origin}) is not an engine's address")]
    Unsupported { host: String, origin: Origin },
    #[error("{0} does not exist")]
    NoContext(Context),
    #[error("{0} has no Docker engine")]
    NoEngine(Context),
    #[error("the TLS certificate of `{url}` ({origin}) would not be verified")]
    Unverified { url: String, origin: Origin },
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is malformed", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
}

impl AddressError {
    /// What to do about it, if that is obvious.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Path { host, .. } => Some(format!("a socket's address begins with unix://: `unix://{host}`")),
            Self::Unsupported { .. } => {
                Some("an engine's address begins with unix://, tcp:// or ssh://".to_owned())
            }
            Self::NoContext(_) | Self::NoEngine(_) => Some("`docker context ls` lists the contexts".to_owned()),
            Self::Unverified { .. } => Some(
                "give `docker context update` the certificate of the engine's authority, or set DOCKER_TLS_VERIFY \
                 and DOCKER_CERT_PATH"
                    .to_owned(),
            ),
            Self::Unreadable { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// Whether an engine's certificate is verified.
enum Tls {
    Off,
    Verified(PathBuf),
    Unverified,
}

impl EngineAddress {
    /// The engine that `host` names, else `DOCKER_HOST`, else the context that `DOCKER_CONTEXT` names, else the
    /// current one, else the default. An empty value is none.
    pub fn resolve(
        host: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, AddressError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let directory = set("DOCKER_CONFIG").map(PathBuf::from);
        let directory =
            directory.or_else(|| Some(Path::new(&set("HOME")?).join(".docker"))).unwrap_or_default();
        let in_environment = set("DOCKER_HOST");
        let given = host.filter(|host| !host.is_empty()).map(str::to_owned).or(in_environment.clone());
        let context = match (&given, set("DOCKER_CONTEXT")) {
            (Some(_), _) => None,
            (None, Some(name)) => Some(Context { name, chosen_in: "DOCKER_CONTEXT" }),
            (None, None) => current_context(&directory)?,
        };
        if let Some(context) = context.filter(|context| context.name != DEFAULT_CONTEXT) {
            return in_context(&directory, context);
        }
        let tls = if set("DOCKER_TLS_VERIFY").is_some() {
            Tls::Verified(set("DOCKER_CERT_PATH").map_or(directory, PathBuf::from))
        } else if set("DOCKER_TLS").is_some() {
            Tls::Unverified
        } else {
            Tls::Off
        };
        match given {
            Some(host) if Some(&host) == in_environment.as_ref() => parse(&host, Origin::Variable, tls),
            Some(host) => parse(&host, Origin::Flag, tls),
            None => {
                let rootless = set("XDG_RUNTIME_DIR").map(|runtime| Path::new(&runtime).join("docker.sock"));
                let host = if matches!(tls, Tls::Off) { "" } else { DEFAULT_TLS_ADDRESS };
                let address = parse(host, Origin::Default, tls)?;
                Ok(Self { rootless: rootless.filter(|socket| socket.exists()), ..address })
            }
        }
    }

    /// Whether the engine is on this machine, so that what it publishes on its loopback address is reachable. One
    /// behind a socket is assumed to be.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let found = match &self.transport {
            Transport::Unix(_) => return true,
            Transport::Tcp { authority, .. } => authority.to_socket_addrs(),
            Transport::Ssh(destination) => (destination.host.as_str(), PORT).to_socket_addrs(),
        };
        // no address can be bound but this machine's own
        found.is_ok_and(|mut found| found.any(|address| UdpSocket::bind((address.ip(), 0)).is_ok()))
    }
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.url, self.origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --host"),
            Self::Variable => f.write_str("from DOCKER_HOST"),
            Self::Context(context) => context.fmt(f),
            Self::Default => f.write_str("the default"),
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context `{}` from {}", self.name, self.chosen_in)
    }
}

fn parse(host: &str, origin: Origin, tls: Tls) -> Result<EngineAddress, AddressError> {
    let host = host.trim();
    let (scheme, rest) = match host.split_once("://") {
        Some(parts) => parts,
        None if host.is_empty() => ("unix", ""),
        None if host.starts_with(['/', '.']) => {
            return Err(AddressError::Path { host: host.to_owned(), origin });
        }
        None => ("tcp", host),
    };
    let (url, transport) = match scheme {
        "unix" => {
            let path = if rest.is_empty() { DEFAULT_SOCKET } else { rest };
            (format!("unix://{path}"), Transport::Unix(path.into()))
        }
        "tcp" | "http" => {
            let authority = with_port(rest.trim_end_matches('/'));
            let url = format!("tcp://{authority}");
            let certificates = match tls {
                Tls::Off => None,
                Tls::Verified(directory) => Some(directory),
                Tls::Unverified => return Err(AddressError::Unverified { url, origin }),
            };
            (url, Transport::Tcp { authority, certificates })
        }
        "ssh" => match Destination::parse(rest) {
            Some(destination) => (host.to_owned(), Transport::Ssh(destination)),
            None => return Err(AddressError::Unsupported { host: host.to_owned(), origin }),
        },
        _ => return Err(AddressError::Unsupported { host: host.to_owned(), origin }),
    };
    Ok(EngineAddress { url, transport, origin, rootless: None })
}

/// A host and a port; the host of `docker`, where there is only a port.
fn with_port(authority: &str) -> String {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.to_owned()),
        _ => (authority, PORT.to_string()),
    };
    format!("{}:{port}", if host.is_empty() { "localhost" } else { host })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The context that the user's configuration names. Like `docker`, this does without a file that it may not read.
fn current_context(directory: &Path) -> Result<Option<Context>, AddressError> {
    match read::<Configuration>(directory.join("config.json")) {
        Ok(found) if found.current_context.is_empty() => Ok(None),
        Ok(found) => Ok(Some(Context { name: found.current_context, chosen_in: "config.json" })),
        Err(AddressError::Unreadable { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The engine of a context, as `docker context create` has stored it.
fn in_context(directory: &Path, context: Context) -> Result<EngineAddress, AddressError> {
    let id = directory_of(&context.name);
    let contexts = directory.join("contexts");
    let found: Metadata = match read(contexts.join("meta").join(&id).join("meta.json")) {
        Err(AddressError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(AddressError::NoContext(context));
        }
        found => found?,
    };
    let Some(endpoint) = found.endpoints.docker else { return Err(AddressError::NoEngine(context)) };
    let certificates = contexts.join("tls").join(&id).join("docker");
    let tls = match endpoint.skip_tls_verify {
        true => Tls::Unverified,
        false if certificates.exists() => Tls::Verified(certificates),
        false => Tls::Off,
    };
    parse(&endpoint.host, Origin::Context(context), tls)
}

/// The name of a context's directories.
fn directory_of(context: &str) -> String {
    Sha256::digest(context).iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

fn read<T: DeserializeOwned>(path: PathBuf) -> Result<T, AddressError> {
    let text = fs::read(&path);
    let text = text.map_err(|source| AddressError::Unreadable { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| AddressError::Malformed { path, source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A directory of `docker`'s configuration with contexts: name, host, and whether TLS is not verified.
    fn configured(current: &str, contexts: &[(&str, &str, bool)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.json"), format!(r#"{{"currentContext": "{current}"}}"#))
            .unwrap();
        for (name, host, skip) in contexts {
            let id = directory_of(name);
            let meta = directory.path().join("contexts/meta").join(id);
            fs::create_dir_all(&meta).unwrap();
            let text = format!(
                r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":{skip}}}}}}}"#
            );
            fs::write(meta.join("meta.json"), text).unwrap();
        }
        directory
    }

    fn resolved(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<EngineAddress, AddressError> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        EngineAddress::resolve(flag, |name| variables.get(name).map(ToString::to_string))
    }

    /// The address as it is shown, or the error.
    fn shown(flag: Option<&str>, variables: &[(&str, &str)]) -> String {
        resolved(flag, variables).map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn the_first_that_is_set_names_the_engine() {
        let directory =
            configured("far", &[("far", "ssh://far", false), ("near", "unix:///near.sock", false)]);
        let config = ("DOCKER_CONFIG", directory.path().to_str().unwrap());
        let (host, context) = (("DOCKER_HOST", "unix:///host.sock"), ("DOCKER_CONTEXT", "near"));
        assert_eq!(
            shown(Some("unix:///flag.sock"), &[config, host, context]),
            "`unix:///flag.sock` (from --host)"
        );
        assert_eq!(shown(None, &[config, host, context]), "`unix:///host.sock` (from DOCKER_HOST)");
        assert_eq!(
            shown(Some(host.1), &[host]),
            "`unix:///host.sock` (from DOCKER_HOST)",
            "as clap passes it"
        );
        assert_eq!(
            shown(None, &[config, ("DOCKER_HOST", ""), context]),
            "`unix:///near.sock` (context `near` from DOCKER_CONTEXT)"
        );
        assert_eq!(
            shown(None, &[config, ("DOCKER_CONTEXT", "")]),
            "`ssh://far` (context `far` from config.json)"
        );
        let default = "`unix:///var/run/docker.sock` (the default)";
        assert_eq!(shown(None, &[config, ("DOCKER_CONTEXT", "default")]), default);
        assert_eq!(shown(Some(""), &[]), default);
    }

    #[test]
    fn a_context_that_is_missing_or_unreadable_is_an_error() {
        let directory = configured("", &[]);
        let config = ("DOCKER_CONFIG", directory.path().to_str().unwrap());
        assert_eq!(
            shown(None, &[config, ("DOCKER_CONTEXT", "nope")]),
            "context `nope` from DOCKER_CONTEXT does not exist"
        );
        assert_eq!(shown(None, &[config]), "`unix:///var/run/docker.sock` (the default)");
        fs::write(directory.path().join("config.json"), "{").unwrap();
        assert!(shown(None, &[config]).ends_with("config.json` is malformed"));
    }

    #[test]
    fn the_configuration_is_in_the_home_directory_unless_it_is_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let directory = configured("near", &[("near", "unix:///near.sock", false)]);
        std::os::unix::fs::symlink(directory.path(), home.path().join(".docker")).unwrap();
        let home = ("HOME", home.path().to_str().unwrap());
        assert_eq!(shown(None, &[home]), "`unix:///near.sock` (context `near` from config.json)");
        assert_eq!(
            shown(None, &[home, ("DOCKER_CONFIG", "/nonexistent")]),
            "`unix:///var/run/docker.sock` (the default)"
        );
    }

    #[test]
    fn an_address_is_read_as_docker_reads_it() {
        let url = |host: &str| {
            resolved(Some(host), &[]).map(|address| address.url).map_err(|error| error.to_string())
        };
        for (host, expected) in [
            ("unix:///a.sock", "unix:///a.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://engine", "tcp://engine:2375"),
            ("tcp://engine:1/", "tcp://engine:1"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("tcp://:1", "tcp://localhost:1"),
            ("engine:1", "tcp://engine:1"),
            ("http://engine:1", "tcp://engine:1"),
            ("ssh://ada@engine:22", "ssh://ada@engine:22"),
        ] {
            assert_eq!(url(host).as_deref(), Ok(expected), "{host}");
        }
        let error = resolved(Some("/var/run/docker.sock"), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/var/run/docker.sock` (from --host) is a path, not an engine's address"
        );
        assert!(error.hint().unwrap().ends_with("`unix:///var/run/docker.sock`"));
        for host in ["npipe:////./pipe/docker_engine", "ssh://", "ssh://ada:secret@engine"] {
            assert!(url(host).unwrap_err().ends_with("is not an engine's address"), "{host}");
        }
    }

    #[test]
    fn certificates_are_verified_or_the_engine_is_refused() {
        let certificates =
            |variables: &[(&str, &str)]| match resolved(None, variables).map(|found| found.transport) {
                Ok(Transport::Tcp { certificates, .. }) => Ok(certificates),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            };
        let (host, home) = (("DOCKER_HOST", "tcp://engine:2376"), ("HOME", "/home/ada"));
        let verify = ("DOCKER_TLS_VERIFY", "1");
        assert_eq!(certificates(&[host, home, ("DOCKER_TLS_VERIFY", "")]), Ok(None));
        assert_eq!(certificates(&[host, home, verify]), Ok(Some("/home/ada/.docker".into())));
        assert_eq!(
            certificates(&[host, home, verify, ("DOCKER_CERT_PATH", "/pem")]),
            Ok(Some("/pem".into()))
        );
        let refused = "the TLS certificate of `tcp://engine:2376` (from DOCKER_HOST) would not be verified";
        assert_eq!(certificates(&[host, home, ("DOCKER_TLS", "1")]), Err(refused.into()));
        assert_eq!(shown(None, &[home, verify]), "`tcp://localhost:2376` (the default)");
    }

    #[test]
    fn a_context_has_certificates_of_its_own() {
        let contexts = [("plain", "tcp://a", false), ("tls", "tcp://a", false), ("skipped", "tcp://a", true)];
        let directory = configured("plain", &contexts);
        let id = directory_of("tls");
        let stored = directory.path().join("contexts/tls").join(id).join("docker");
        fs::create_dir_all(&stored).unwrap();
        let transport = |name: &str| {
            let config = ("DOCKER_CONFIG", directory.path().to_str().unwrap());
            // what holds for the default engine does not hold for a context
            resolved(None, &[config, ("DOCKER_CONTEXT", name), ("DOCKER_TLS_VERIFY", "1")])
                .map(|found| found.transport)
        };
        let tcp = |certificates| Transport::Tcp { authority: "a:2375".into(), certificates };
        assert_eq!(transport("plain").unwrap(), tcp(None));
        assert_eq!(transport("tls").unwrap(), tcp(Some(stored)));
        assert!(transport("skipped").unwrap_err().to_string().ends_with("would not be verified"));
    }

    #[test]
    fn a_rootless_engine_is_known_where_nothing_else_is_named() {
        let runtime = tempfile::tempdir().unwrap();
        let socket = runtime.path().join("docker.sock");
        let runtime = ("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap());
        assert_eq!(resolved(None, &[runtime]).unwrap().rootless, None);
        fs::write(&socket, "").unwrap();
        assert_eq!(resolved(None, &[runtime]).unwrap().rootless, Some(socket));
        assert_eq!(resolved(Some("unix:///a.sock"), &[runtime]).unwrap().rootless, None);
    }

    #[test]
    fn an_engine_is_here_if_its_address_is_this_machines() {
        let is_here = |host: &str| resolved(Some(host), &[]).unwrap().is_here();
        assert!(is_here("unix:///var/run/docker.sock"));
        assert!(
            is_here("tcp://localhost:2375") && is_here("tcp://127.0.0.1:2375") && is_here("ssh://localhost")
        );
        // addresses of documentation, and a name that no one has
        for elsewhere in ["tcp://192.0.2.1:2375", "tcp://engine.invalid:2375", "ssh://192.0.2.1"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
