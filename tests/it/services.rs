//! The services against a real broker, which all of these tests share, each in a vhost of its own.

mod bad_requests;
pub mod broker;
mod checkout;
mod compute;
mod profile;
mod region;
mod rpc;
mod shop;

use libtest_mimic::Trial;

pub fn cases() -> Vec<Trial> {
    [
        bad_requests::cases(),
        checkout::cases(),
        compute::cases(),
        profile::cases(),
        rpc::cases(),
        shop::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
