//! An event reaches every region.

use fedctl_contract::program::Program;

use super::{Scenario, run::Run, shop};

pub static SCENARIO: Scenario = Scenario {
    name: "events",
    claim: "a product added in one region is readable in every region, indexed once in each",
    starts_at: Program::Products,
    run: |run| Box::pin(add_product(run)),
    poison: shop::POISON,
};

/// Adds a product in a region that is not the master, if there is one.
async fn add_product(run: &mut Run<'_>) {
    let master = &run.topology().master;
    let regions = run.regions();
    let origin = regions.iter().find(|region| *region != master).unwrap_or(master).clone();
    shop::add_product(run, &origin).await;
}
