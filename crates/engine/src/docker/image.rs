//! Images of an engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::{
    body_try_stream,
    models::ImageSummary,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder},
};
use futures_util::{Stream, TryStreamExt, future::try_join_all};
use tokio_util::bytes::Bytes;

use super::{Engine, EngineError, Operation, Result, absent_is_removed};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    /// The version of RabbitMQ in it, if it says so.
    pub rabbitmq: Option<String>,
}

impl Engine {
    /// The image with this reference or id; none if the engine has none.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        let image = self.docker.inspect_image(reference).await;
        match image.map_err(|source| EngineError::new(Operation::Inspect, reference, source)) {
            Ok(image) => Ok(image.id.map(|id| {
                let environment = image.config.and_then(|config| config.env).unwrap_or_default();
                let rabbitmq =
                    environment.iter().find_map(|variable| variable.strip_prefix("RABBITMQ_VERSION="));
                Image { id, rabbitmq: rabbitmq.map(str::to_owned) }
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those of these images that the engine has, by reference or id.
    pub async fn images(&self, references: &BTreeSet<String>) -> Result<BTreeMap<String, Image>> {
        let found = references.iter().map(async |reference| Ok((reference, self.image(reference).await?)));
        let found = try_join_all(found).await?.into_iter();
        Ok(found.filter_map(|(reference, image)| Some((reference.clone(), image?))).collect())
    }

    /// The references of all images that carry `label`; the id of one that has lost its tag to another.
    pub async fn images_labelled(&self, label: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await;
        let images = images.map_err(|source| EngineError::new(Operation::List, "images", source))?;
        Ok(images.into_iter().flat_map(references).collect())
    }

    /// Pulls an image from its registry; `progress` gets how far it is, as text.
    pub async fn pull(&self, reference: &str, progress: impl Fn(String)) -> Result<()> {
        let error = |source| EngineError::new(Operation::Pull, reference, source);
        // a reference without a tag would pull every tag
        let tagged = reference.rsplit('/').next().is_some_and(|name| name.contains([':', '@']));
        let options = CreateImageOptionsBuilder::default().from_image(reference);
        let options = if tagged { options.build() } else { options.tag("latest").build() };
        let mut answers = self.docker.create_image(Some(options), None, None);
        let mut layers: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        while let Some(answer) = answers.try_next().await.map_err(error)? {
            if let (Some(id), Some(detail)) = (answer.id, answer.progress_detail) {
                layers.insert(id, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
                let (done, all) =
                    layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
                progress(format!("pulling, {} of {} MiB", done >> 20, all >> 20));
            }
        }
        Ok(())
    }

    /// Makes an image of one layer from the tar that `layer` yields.
    pub async fn import(
        &self,
        reference: &str,
        changes: Vec<String>,
        layer: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes)
            .build();
        let answers = self.docker.create_image(Some(options), Some(body_try_stream(layer)), None);
        answers
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|source| EngineError::new(Operation::Import, reference, source))
    }

    /// Removes an image's reference, and the image with its last one. One that does not exist is not an error.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::default().build();
        let removed = self.docker.remove_image(reference, Some(options), None).await.map(drop);
        absent_is_removed(removed.map_err(|source| EngineError::new(Operation::Remove, reference, source)))
    }
}

/// What an image is removed by. An engine before 25.0 lists an image without a tag as `<none>:<none>`.
fn references(image: ImageSummary) -> Vec<String> {
    let mut tags = image.repo_tags;
    tags.retain(|tag| tag != "<none>:<none>");
    if tags.is_empty() { vec![image.id] } else { tags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_removed_by_its_id() {
        let image = |tags: &[&str]| ImageSummary {
            id: "sha256:1".into(),
            repo_tags: tags.iter().map(ToString::to_string).collect(),
            ..ImageSummary::default()
        };
        assert_eq!(references(image(&["<none>:<none>"])), ["sha256:1"]);
        assert_eq!(references(image(&[])), ["sha256:1"]);
        assert_eq!(
            references(image(&["fedctl-service:a", "fedctl-service:b"])),
            ["fedctl-service:a", "fedctl-service:b"]
        );
    }
}
