//! `fedctl pull`.

use std::collections::BTreeSet;

use crate::{
    cli::Global,
    output::{Output, progress},
};
use fedctl_engine::{
    docker::Engine,
    image::{self, ImageError},
};
use fedctl_model::{event::Events, outcome::Outcome};

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, true)?;
    let engine = Engine::connect(global.host.as_deref()).await?;
    let topology = &project.topology;
    let services = topology.regions.iter().flat_map(|region| &region.services);
    let wanted: BTreeSet<String> = services
        .filter_map(|service| service.image.clone().or_else(|| topology.service_image.clone()))
        .chain([topology.broker.image.clone()])
        .collect();
    let found = engine.images(&wanted).await?;
    let events: Events = progress::events(global.progress, output);
    for reference in wanted {
        if found.contains_key(&reference) {
            output.message(&format!("image {reference} is already present\n"));
        } else {
            image::provide(&engine, &reference, &events).await?;
        }
    }
    Ok(Outcome::Done)
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let hint = match error {
            ImageError::NotFound { .. } => "name an image that can be pulled, or load it into the engine",
            ImageError::NotBuilt { .. } => {
                "name an image that can be pulled, or install mmdebstrap to build one"
            }
        };
        Self::new(Outcome::Failed, error.into()).hint(hint)
    }
}
