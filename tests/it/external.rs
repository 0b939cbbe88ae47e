//! Regions whose brokers fedctl did not start, as virtual hosts of one: what is configured, shown and carried.
//!
//! The intents of RabbitMQ's own suites for federation (`exchange_SUITE`, `queue_SUITE`,
//! `triangular_bidirectional_exchange_federation_SUITE`, `federation_mgmt_SUITE` and others) are among the cases.

mod adopt;
mod apply;
mod expectations;
mod federation;
mod import;
mod links;
mod many;
mod rights;
mod tls;

use libtest_mimic::Trial;

pub fn cases() -> Vec<Trial> {
    [
        adopt::cases(),
        apply::cases(),
        expectations::cases(),
        import::cases(),
        links::cases(),
        many::cases(),
        rights::cases(),
        tls::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
