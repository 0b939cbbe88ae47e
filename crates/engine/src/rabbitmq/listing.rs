//! What a broker lists: of one virtual host, or, where several regions are virtual hosts of it, of all of them at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::{Broker, Cause, Result, answer, http::Answer};

/// With so many regions on a broker it lists all of its virtual hosts at once. With fewer, those that belong to others
/// could cost more than is saved.
pub(crate) const TOGETHER: usize = 4;

/// What a broker has been asked in one look at several of its virtual hosts.
#[derive(Debug, Default)]
pub(crate) struct Look {
    answers: Cells<Answer>,
    lists: Cells<List>,
}

/// Each question is asked once; whoever asks it too waits for the same answer.
type Cells<T> = Mutex<BTreeMap<String, Arc<OnceCell<Result<Arc<T>>>>>>;

/// A list, by virtual host; global parameters by name.
#[derive(Debug)]
struct List {
    rows: BTreeMap<String, Vec<Box<RawValue>>>,
    now: Option<jiff::Timestamp>,
}

/// What tells where a row of a list belongs.
#[derive(Deserialize)]
struct Row {
    vhost: Option<String>,
    queue: Option<serde_json::Value>,
    name: Option<String>,
}

impl Row {
    fn key(self) -> String {
        let of_queue = || self.queue?.get("vhost")?.as_str().map(str::to_owned);
        self.vhost.or_else(of_queue).or(self.name).unwrap_or_default()
    }
}

fn cell<T>(cells: &Cells<T>, path: &[&str], query: &str) -> Arc<OnceCell<Result<Arc<T>>>> {
    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
    cells.entry(format!("{} {query}", path.join(" "))).or_default().clone()
}

impl Broker {
    /// The answer to a question about the broker as a whole, whatever its status.
    pub(super) async fn ask(&self, path: &[&str], query: &str) -> Result<Arc<Answer>> {
        let asked = async || self.request(Method::GET, path, query, None).await.map(Arc::new);
        match &self.look {
            Some(look) => cell(&look.answers, path, query).get_or_init(asked).await.clone(),
            None => asked().await,
        }
    }

    /// The same, read.
    pub(super) async fn get_once<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> Result<T> {
        let answer = self.ask(path, query).await?;
        self.succeeded(Method::GET, path, &answer)?;
        self.read(Method::GET, path, &answer)
    }

    /// What the site's virtual host has of a kind: the path to it, before and after the virtual host's name. The rows
    /// of `query` need the column `vhost` or `queue.vhost`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        [before, after]: [&[&str]; 2],
        query: &str,
    ) -> Result<(Vec<T>, Option<jiff::Timestamp>)> {
        let vhost = self.site.vhost.as_str();
        let Some(look) = self.shared().await? else {
            return self.get_at(&[before, &[vhost], after].concat(), query).await;
        };
        self.part(look, &[before, after].concat(), query, vhost).await
    }

    /// The look that others share, where lists of all virtual hosts are complete: an administrator's are. Of others a broker
    /// leaves out what they have no permissions for, as if it were not there.
    async fn shared(&self) -> Result<Option<&Look>> {
        let Some(look) = self.look.as_deref() else { return Ok(None) };
        if !self.get_once::<answer::Identity>(&["whoami"], "").await?.administers() {
            return Ok(None);
        }
        let path = ["vhosts"];
        if self.part::<answer::Name>(look, &path, "columns=name", &self.site.vhost).await?.0.is_empty() {
            let reason = "there is no such virtual host".into();
            let cause = Cause::Refused { status: StatusCode::NOT_FOUND, reason };
            return Err(self.failed(Method::GET, &["vhosts", &self.site.vhost], cause));
        }
        Ok(Some(look))
    }

    /// The rows of a list that belong to `key`.
    async fn part<T: DeserializeOwned>(
        &self,
        look: &Look,
        path: &[&str],
        query: &str,
        key: &str,
    ) -> Result<(Vec<T>, Option<jiff::Timestamp>)> {
        let cell = cell(&look.lists, path, query);
        let list = cell.get_or_init(async || self.split(path, query).await.map(Arc::new)).await.clone()?;
        let rows = list.rows.get(key).into_iter().flatten();
        let rows: std::result::Result<_, _> = rows.map(|row| serde_json::from_str(row.get())).collect();
        let rows = rows.map_err(|error| self.failed(Method::GET, path, Cause::Malformed(Arc::new(error))))?;
        Ok((rows, list.now))
    }

    async fn split(&self, path: &[&str], query: &str) -> Result<List> {
        let (all, now) = self.get_at::<Vec<Box<RawValue>>>(path, query).await?;
        let mut rows: BTreeMap<String, Vec<Box<RawValue>>> = BTreeMap::new();
        for row in all {
            let key = serde_json::from_str::<Row>(row.get());
            let key =
                key.map_err(|error| self.failed(Method::GET, path, Cause::Malformed(Arc::new(error))))?;
            rows.entry(key.key()).or_default().push(row);
        }
        Ok(List { rows, now })
    }

    /// A global parameter.
    pub(super) async fn global_parameter<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        if let Some(look) = self.shared().await? {
            return Ok(self.part(look, &["global-parameters"], "", name).await?.0.into_iter().next());
        }
        match self.get(["global-parameters", name], "").await {
            Err(error) if error.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    }
}
