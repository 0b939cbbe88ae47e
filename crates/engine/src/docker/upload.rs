//! Files for containers, through the engine.

use std::{
    collections::HashMap,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::{
    body_full,
    query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder},
};
use futures_util::TryStreamExt;
use tokio::sync;
use tokio_util::bytes::Bytes;

use super::{Engine, EngineError, Operation, Result};
use fedctl_model::desired::Container;

/// A lock for writing into each volume, by its name.
///
/// An engine unpacks uploads concurrently: it checks whether a directory exists and then creates it, and fails if
/// another upload created it in between. Containers of a region share a volume, and a directory in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Uploads(Arc<Mutex<HashMap<String, Arc<sync::Mutex<()>>>>>);

impl Uploads {
    async fn lock(&self, volume: &str) -> sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(volume.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

impl Engine {
    /// Writes files into a container's volume, owned by its user and readable by that user only.
    pub async fn upload(&self, container: &Container) -> Result<()> {
        let name = &container.name;
        let owner = match numeric_owner(&container.user) {
            Some(owner) => owner,
            None => self.lookup_user(name, &container.user).await?,
        };
        let tar = files_tar(container, owner)
            .map_err(|source| EngineError::new(Operation::Upload, name, source.into()))?;
        let options = UploadToContainerOptionsBuilder::default().path(&container.volume.path).build();
        let _lock = self.uploads.lock(&container.volume.volume).await;
        let uploaded = self.docker.upload_to_container(name, Some(options), body_full(tar.into())).await;
        uploaded.map_err(|source| EngineError::new(Operation::Upload, name, source))
    }

    /// The uid and gid of a user of the container's image.
    async fn lookup_user(&self, container: &str, user: &str) -> Result<(u64, u64)> {
        let error = |source| EngineError::new(Operation::Upload, container, source);
        let options = DownloadFromContainerOptionsBuilder::default().path("/etc/passwd").build();
        let tar: Vec<Bytes> = self
            .docker
            .download_from_container(container, Some(options))
            .try_collect()
            .await
            .map_err(error)?;
        let mut passwd = String::new();
        let tar = tar.concat();
        if let Some(Ok(mut file)) =
            tar::Archive::new(&tar[..]).entries().ok().and_then(|mut entries| entries.next())
        {
            file.read_to_string(&mut passwd).map_err(|source| error(source.into()))?;
        }
        passwd_owner(&passwd, user)
            .ok_or_else(|| EngineError::NoSuchUser { container: container.to_owned(), user: user.to_owned() })
    }
}

fn numeric_owner(user: &str) -> Option<(u64, u64)> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn passwd_owner(passwd: &str, user: &str) -> Option<(u64, u64)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == user;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some((uid, gid))
    })
}

fn files_tar(container: &Container, (uid, gid): (u64, u64)) -> std::io::Result<Vec<u8>> {
    let header = |mode: u32, kind: tar::EntryType, size: usize| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header
    };
    let mut tar = tar::Builder::new(Vec::new());
    for directory in &container.directories {
        tar.append_data(&mut header(0o750, tar::EntryType::Directory, 0), directory, std::io::empty())?;
    }
    for file in &container.files {
        let content = file.content.expose().as_bytes();
        tar.append_data(&mut header(0o400, tar::EntryType::Regular, content.len()), &file.path, content)?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_volume_is_written_to_by_one_upload_at_a_time() {
        let uploads = Uploads::default();
        let first = uploads.lock("asia").await;
        assert!(uploads.clone().lock("asia").now_or_never().is_none());
        assert!(uploads.lock("europe").now_or_never().is_some());
        drop(first);
        assert!(uploads.lock("asia").now_or_never().is_some());
    }

    #[test]
    fn a_user_is_found_by_name_in_the_images_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nrabbitmq:x:999:998::/var/lib/rabbitmq:/bin/sh\n";
        assert_eq!(passwd_owner(passwd, "rabbitmq"), Some((999, 998)));
        assert_eq!(passwd_owner(passwd, "nobody"), None);
        assert_eq!(numeric_owner("10001:10002"), Some((10001, 10002)));
        assert_eq!(numeric_owner("rabbitmq"), None);
    }
}
