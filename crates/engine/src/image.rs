//! Getting the images that containers are made from.

use std::sync::{Arc, Mutex};

use crate::{
    docker::{Engine, EngineError},
    executable::Executable,
    recipe,
};
use fedctl_model::event::Events;

/// An image that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No registry gave it, and there is no recipe for it.
    #[error("image `{reference}` is neither here nor to be had from its registry: {pull}")]
    NotFound {
        /// The image.
        reference: String,
        /// Why it could not be pulled.
        pull: EngineError,
    },
    /// No registry gave it, and it could not be built either.
    #[error("image `{reference}` could not be pulled ({pull}), nor built: {build}")]
    NotBuilt {
        /// The image.
        reference: String,
        /// Why it could not be pulled.
        pull: EngineError,
        /// Why it could not be built.
        build: String,
    },
}

/// The Debian suite whose RabbitMQ stands in for an official image that no registry gives.
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

/// Pulls an image or, where no registry answers and it is the broker's, builds it by the recipe. Says which.
///
/// # Errors
///
/// If neither works.
pub async fn provide(engine: &Engine, reference: &str, events: &Events) -> Result<(), ImageError> {
    let subject = format!("image {reference}");
    let started = std::time::Instant::now();
    let pulled = engine.pull(reference, |text| events.progress(&subject, text)).await;
    let seconds = |started: std::time::Instant| started.elapsed().as_secs_f64();
    let Err(pull) = pulled else {
        events.note(format!("image {reference} was pulled in {:.1} s", seconds(started)));
        return Ok(());
    };
    let Some(suite) = suite(reference) else {
        return Err(ImageError::NotFound { reference: reference.into(), pull });
    };
    events.progress(&subject, format!("no registry gives it; building from Debian {suite}'s packages"));
    let failed = |build: String, pull| ImageError::NotBuilt { reference: reference.into(), pull, build };
    let listener = events.clone();
    let told = Arc::new(Mutex::new(String::new()));
    let last = Arc::clone(&told);
    let progress = move |line: String| {
        listener.progress(&subject, format!("building: {line}"));
        if let Ok(mut last) = last.lock() {
            *last = line;
        }
    };
    let layer = match recipe::rootfs(suite, progress) {
        Ok(layer) => layer,
        Err(error) => return Err(failed(error.to_string(), pull)),
    };
    match engine.import(reference, recipe::changes(), layer).await {
        Ok(()) => {
            let seconds = seconds(started);
            events.note(format!("image {reference} was built from Debian {suite} in {seconds:.1} s"));
            Ok(())
        }
        Err(error) => {
            let last = told.lock().map(|last| last.clone()).unwrap_or_default();
            Err(failed(format!("{error}; {last}"), pull))
        }
    }
}

/// Makes the service image out of this program's own executable.
///
/// # Errors
///
/// If the engine fails.
pub async fn import_executable(engine: &Engine, executable: &Executable) -> Result<(), EngineError> {
    let changes = vec![format!("LABEL {}=service", fedctl_model::desired::IMAGE_LABEL)];
    engine.import(executable.reference(), changes, executable.layer()).await
}
