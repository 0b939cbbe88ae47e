//! The plan that mends links which run and carry nothing.

use super::{Cause, Plan, Step};
use crate::status::LinkStatus;

/// Plans a restart of these links. What waits for them is kept.
#[must_use]
pub fn restart<'a>(links: impl IntoIterator<Item = &'a LinkStatus>) -> Plan {
    let mut plan = Plan::default();
    for link in links {
        let LinkStatus { upstream, downstream, resource, .. } = link.clone();
        plan.push(Step::RestartLink { region: downstream, upstream, resource }, Cause::Deaf, []);
    }
    plan
}
