//! A message that no consumer can process, to see a scenario fail and name the queue where the message is.

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::program::Program;
use fedctl_model::names::BROKER;

use super::run::Run;

/// Neither JSON nor anything else that a service reads.
const BODY: &str = "{\"neither\": here";

/// Where a scenario's messages go, and how the service that consumes them logs that it has processed one.
pub struct PoisonTarget {
    pub exchange: &'static str,
    pub key: &'static str,
    pub consumer: Program,
    pub events: &'static [&'static str],
}

impl PoisonTarget {
    /// Publishes the message in the first region of the service that the scenario starts at, and expects what cannot
    /// happen.
    pub async fn send(&self, run: &mut Run<'_>, starts_at: Program) {
        let Some(origin) = run.regions_of(starts_at).into_iter().next() else { return };
        let Some((cause, id)) = run.publish(&origin, self.exchange, self.key, BODY).await else { return };
        run.expect(Expectation {
            line: LogMatcher::about(self.events, &id),
            meaning: format!("processed what {BROKER} `{origin}` was given"),
            times: 1,
            link: None,
            cause,
            region: None,
            service: self.consumer.name().into(),
        });
        run.await_logs().await;
    }
}
