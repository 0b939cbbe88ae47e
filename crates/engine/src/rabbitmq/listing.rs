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

/// What was listed.
enum Listed {
    /// One virtual host's.
    Alone(Answer),
    /// All of them, as others get them too.
    Together(Arc<List>),
}

/// A list, by virtual host.
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
        let answer = Box::pin(self.ask(path, query)).await?;
        self.succeeded(Method::GET, path, &answer)?;
        self.read(Method::GET, path, &answer)
    }

    /// What the site's virtual host has of a kind: the path to it, before and after the virtual host's name. The rows
    /// of `query` need the column `vhost` or `queue.vhost`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: [&[&str]; 2],
        query: &str,
    ) -> Result<(Vec<T>, Option<jiff::Timestamp>)> {
        match Box::pin(self.listed(path, query)).await? {
            Listed::Alone(answer) => Ok((self.read(Method::GET, &path.concat(), &answer)?, answer.now)),
            Listed::Together(list) => {
                let rows = list.rows.get(&self.site.vhost).into_iter().flatten();
                let rows: Result<_> = rows.map(|row| self.row(&path.concat(), row)).collect();
                Ok((rows?, list.now))
            }
        }
    }

    /// The list of the site's virtual host, or of all of them where others share a look at the broker and the list is
    /// complete: an administrator's is. Of others a broker leaves out what they have no permissions for, as if it were not
    /// there.
    async fn listed(&self, [before, after]: [&[&str]; 2], query: &str) -> Result<Listed> {
        let vhost = self.site.vhost.as_str();
        let alone = [before, &[vhost], after].concat();
        let Some(look) = self.look.as_deref() else {
            return self.send(Method::GET, &alone, query, None).await.map(Listed::Alone);
        };
        if !self.get_once::<answer::Identity>(&["whoami"], "").await?.administers() {
            return self.send(Method::GET, &alone, query, None).await.map(Listed::Alone);
        }
        if !self.divided(look, &["vhosts"], "columns=name").await?.rows.contains_key(vhost) {
            let reason = "there is no such virtual host".into();
            let cause = Cause::Refused { status: StatusCode::NOT_FOUND, reason };
            return Err(self.failed(Method::GET, &["vhosts", vhost], cause));
        }
        self.divided(look, &[before, after].concat(), query).await.map(Listed::Together)
    }

    async fn divided(&self, look: &Look, path: &[&str], query: &str) -> Result<Arc<List>> {
        let cell = cell(&look.lists, path, query);
        cell.get_or_init(async || self.split(path, query).await.map(Arc::new)).await.clone()
    }

    fn row<T: DeserializeOwned>(&self, path: &[&str], row: &RawValue) -> Result<T> {
        let row = serde_json::from_str(row.get());
        row.map_err(|error| self.failed(Method::GET, path, Cause::Malformed(Arc::new(error))))
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
}
