//! Getting the images that containers are made from.

use std::{io, time::Instant};

use crate::{
    chain::chain,
    docker::{Engine, EngineError},
    executable::Executable,
    recipe,
};
use fedctl_model::{event::Events, names::IMAGE_LABEL};

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("image `{reference}` was not found locally and could not be pulled")]
    NotFound {
        reference: String,
        #[source]
        pull: EngineError,
    },
    #[error("image `{reference}` could not be pulled ({}) and could not be built", chain(pull))]
    NotBuilt {
        reference: String,
        pull: EngineError,
        #[source]
        build: Box<BuildError>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot run bash")]
    Bash(#[source] io::Error),
    #[error(transparent)]
    Import(EngineError),
}

/// The Debian suite whose RabbitMQ replaces an official image that cannot be pulled.
fn suite(reference: &str) -> Option<&'static str> {
    let tag = reference.strip_prefix("rabbitmq:")?;
    if tag.starts_with("3.") {
        Some("bookworm")
    } else if tag.starts_with("4.3") {
        Some("forky")
    } else {
        tag.starts_with('4').then_some("trixie")
    }
}

/// Pulls an image. If that fails and it is a broker's, builds it from Debian's packages.
pub async fn provide(engine: &Engine, reference: &str, events: &Events) -> Result<(), ImageError> {
    let subject = format!("image {reference}");
    let started = Instant::now();
    let how = match engine.pull(reference, |text| events.progress(&subject, text)).await {
        Ok(()) => "pulled".to_owned(),
        Err(pull) => {
            let reference = reference.to_owned();
            let Some(suite) = suite(&reference) else {
                return Err(ImageError::NotFound { reference, pull });
            };
            events.progress(&subject, format!("could not be pulled; building it from Debian {suite}"));
            match build(engine, &reference, suite, events).await {
                Ok(()) => format!("built from Debian {suite}"),
                Err(build) => return Err(ImageError::NotBuilt { reference, pull, build: Box::new(build) }),
            }
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    events.note(format!("image {reference} was {how} in {seconds:.1} s"));
    Ok(())
}

async fn build(engine: &Engine, reference: &str, suite: &str, events: &Events) -> Result<(), BuildError> {
    let (subject, events) = (format!("image {reference}"), events.clone());
    let progress = move |line: String| events.progress(&subject, format!("building: {line}"));
    let layer = recipe::rootfs(suite, progress).map_err(BuildError::Bash)?;
    engine.import(reference, recipe::changes(), layer).await.map_err(BuildError::Import)
}

/// Makes the image of the built-in services from this program's own executable.
pub async fn import_executable(engine: &Engine, executable: &Executable) -> Result<(), EngineError> {
    let changes = vec![format!("LABEL {IMAGE_LABEL}=service")];
    engine.import(executable.reference(), changes, executable.layer()).await
}
