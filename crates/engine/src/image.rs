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

/// A Debian suite, and the series of its RabbitMQ.
struct Suite {
    name: &'static str,
    rabbitmq: &'static str,
}

/// The Debian suite whose RabbitMQ replaces an official image that cannot be pulled.
fn suite(reference: &str) -> Option<Suite> {
    let tag = reference.strip_prefix("rabbitmq:")?;
    let suite = |name, rabbitmq| Some(Suite { name, rabbitmq });
    if tag.starts_with('3') {
        suite("bookworm", "3.10")
    } else if tag.starts_with("4.3") {
        suite("forky", "4.3")
    } else if tag.starts_with('4') {
        suite("trixie", "4.0")
    } else {
        None
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
            events.progress(&subject, format!("could not be pulled; building it from Debian {}", suite.name));
            match build(engine, &reference, &suite, events).await {
                Ok(()) => format!("built from Debian {}", suite.name),
                Err(build) => return Err(ImageError::NotBuilt { reference, pull, build: Box::new(build) }),
            }
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    events.note(format!("image {reference} was {how} in {seconds:.1} s"));
    Ok(())
}

async fn build(engine: &Engine, reference: &str, suite: &Suite, events: &Events) -> Result<(), BuildError> {
    let (subject, events) = (format!("image {reference}"), events.clone());
    let progress = move |line: String| events.progress(&subject, format!("building: {line}"));
    let layer = recipe::rootfs(suite.name, progress).map_err(BuildError::Bash)?;
    let mut changes = recipe::changes();
    // as the official image says it
    changes.push(format!("ENV RABBITMQ_VERSION={}", suite.rabbitmq));
    engine.import(reference, changes, layer).await.map_err(BuildError::Import)
}

/// Makes the image of the built-in services from this program's own executable.
pub async fn import_executable(engine: &Engine, executable: &Executable) -> Result<(), EngineError> {
    let changes = vec![format!("LABEL {IMAGE_LABEL}=service")];
    engine.import(executable.reference(), changes, executable.layer()).await
}
