//! A program's settings, from its environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use fedctl_contract::environment::{
    AMQP_URI, AMQP_URI_FILE, DIRECTORY, INSTANCE, LISTEN, MASTER_REGION, REGION, REGIONS, STORE,
};
use fedctl_contract::http::PORT;
use fedctl_contract::program::Program;
use secrecy::SecretString;

/// A program's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region it runs in.
    pub region: String,
    /// All regions, this one included.
    pub regions: Vec<String>,
    /// The one region that processes orders.
    pub master_region: String,
    /// The broker of the region.
    pub amqp_uri: SecretString,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The directory of what services keep, shared by those of the region.
    pub store: PathBuf,
    /// Which of several replicas this is; the service's own name where there is one.
    pub instance: String,
    /// The variables that only this program reads, by name.
    pub options: BTreeMap<String, String>,
}

impl Settings {
    /// Reads `REGION`, `REGIONS` (comma separated), `MASTER_REGION`, `AMQP_URI_FILE` (a path; preferred) or
    /// `AMQP_URI`, `LISTEN`, `STORE` (a directory), `INSTANCE`, and the options of single programs.
    ///
    /// # Errors
    /// The first variable that is missing or wrong, by name. The URI is never shown.
    pub fn from_env(program: Program, lookup: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let needed = |name: &str| {
            lookup(name).filter(|value| !value.is_empty()).ok_or_else(|| anyhow!("`{name}` is not set"))
        };
        let list = needed(REGIONS)?;
        let regions: Vec<String> =
            list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let region_of = |name: &str| {
            let region = needed(name)?;
            if !regions.contains(&region) {
                bail!("`{name}` is `{region}`, which is not among `{REGIONS}` ({list})");
            }
            Ok(region)
        };
        let (region, master_region) = (region_of(REGION)?, region_of(MASTER_REGION)?);
        let amqp_uri = match lookup(AMQP_URI_FILE) {
            Some(path) => std::fs::read_to_string(&path)
                .with_context(|| format!("reading `{AMQP_URI_FILE}` `{path}`"))?
                .trim()
                .to_owned(),
            None => needed(AMQP_URI).with_context(|| format!("and neither is `{AMQP_URI_FILE}`"))?,
        };
        let listen = lookup(LISTEN).unwrap_or_else(|| format!("0.0.0.0:{PORT}"));
        Ok(Self {
            region,
            regions,
            master_region,
            amqp_uri: amqp_uri.into(),
            listen: listen.parse().with_context(|| format!("`{LISTEN}` is `{listen}`"))?,
            store: lookup(STORE).unwrap_or_else(|| DIRECTORY.to_owned()).into(),
            instance: lookup(INSTANCE).unwrap_or_else(|| program.name().to_owned()),
            options: program
                .variables()
                .iter()
                .filter_map(|name| {
                    Some(((*name).to_owned(), lookup(name).filter(|value| !value.is_empty())?))
                })
                .collect(),
        })
    }

    /// The option of this name, if it is set.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The option of this name as `read`, or its default if it is not set.
    ///
    /// # Errors
    /// When it is not what is wanted, by name.
    pub fn read_option<T>(
        &self,
        name: &str,
        default: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let text = self.option(name).unwrap_or(default);
        read(text).with_context(|| format!("`{name}` is `{text}`, which is not {wanted}"))
    }

    /// The region and name of every instance that the option of this name lists; none if it is not set.
    ///
    /// # Errors
    /// When an entry is not `region/instance`, or its region is unknown.
    pub fn instances(&self, name: &str) -> anyhow::Result<Vec<(&str, &str)>> {
        let list = self.option(name).unwrap_or_default();
        let known = |entry: &'_ (&str, &str)| self.regions.iter().any(|region| region == entry.0);
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = entries.map(|entry| entry.split_once('/').filter(known)).collect::<Option<_>>();
        read.with_context(|| {
            format!("`{name}` is `{list}`, which is not `region/instance,…` of known regions")
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        settings_of(Program::Taxes, pairs)
    }

    fn settings_of(program: Program, pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        Settings::from_env(program, |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const COMPLETE: [(&str, &str); 4] = [
        ("REGION", "asia"),
        ("REGIONS", "europe, asia"),
        ("MASTER_REGION", "europe"),
        ("AMQP_URI", "amqp://u:hush@broker"),
    ];

    #[test]
    fn the_environment_is_enough_and_never_shows_the_uri() {
        let settings = settings(&COMPLETE).unwrap();
        assert_eq!(settings.regions, ["europe", "asia"]);
        assert_eq!(settings.listen.port(), 8000);
        assert_eq!(settings.amqp_uri.expose_secret(), "amqp://u:hush@broker");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn the_uris_file_is_preferred() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "amqp://from-file\n").unwrap();
        let mut pairs = COMPLETE.to_vec();
        pairs.push(("AMQP_URI_FILE", file.path().to_str().unwrap()));
        assert_eq!(settings(&pairs).unwrap().amqp_uri.expose_secret(), "amqp://from-file");
    }

    #[test]
    fn an_option_that_is_empty_or_another_programs_is_not_set() {
        let mut pairs = COMPLETE.to_vec();
        pairs.extend([("LIMIT", "20"), ("DELAY_MS", ""), ("STOCK", "lamp=1")]);
        let settings = settings_of(Program::Payment, &pairs).unwrap();
        assert_eq!(
            ["LIMIT", "DELAY_MS", "STOCK"].map(|name| settings.option(name)),
            [Some("20"), None, None]
        );
    }

    #[test]
    fn an_option_that_is_wrong_is_reported_by_name() {
        let read = |value| {
            let mut pairs = COMPLETE.to_vec();
            pairs.push(("WORKERS", value));
            let read = settings_of(Program::RpcWorker, &pairs).unwrap().read_option(
                "WORKERS",
                "1",
                "a number",
                |text| text.parse().ok(),
            );
            read.map_err(|error| error.to_string())
        };
        assert_eq!(["", "64"].map(read), [Ok(1_u16), Ok(64)]);
        assert_eq!(read("many"), Err("`WORKERS` is `many`, which is not a number".to_owned()));
    }

    #[test]
    fn instances_are_listed_by_region() {
        let mut settings = settings(&COMPLETE).unwrap();
        assert_eq!(settings.instances("INSTANCES").unwrap(), []);
        settings.options.insert("INSTANCES".to_owned(), "europe/rpc, asia/rpc-2".to_owned());
        assert_eq!(settings.instances("INSTANCES").unwrap(), [("europe", "rpc"), ("asia", "rpc-2")]);
        for wrong in ["rpc", "mars/rpc"] {
            settings.options.insert("INSTANCES".to_owned(), wrong.to_owned());
            assert!(settings.instances("INSTANCES").is_err(), "{wrong}");
        }
    }
}
