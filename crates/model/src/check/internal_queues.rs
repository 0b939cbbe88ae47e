//! Internal queues that nothing will ever empty.

use super::{Check, Look, Region};
use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic},
    federation::{Downstream, of_queue},
    pattern::Pattern,
    probe::is_probe,
    topology::{self, ApplyTo, RegionName},
};

pub(super) const CHECK: Check = Check { codes: &[ORPHANED], check };

const ORPHANED: Code = Code::warning(
    "FED0827",
    "Messages for another broker are queued here, and no link fetches them: the downstream was removed, renamed or linked \
     otherwise, or no longer federates the exchange. The queue goes on filling for ever, until the broker is short of memory \
     or disk. If nobody needs the messages, delete the queue and the exchanges of the same name with ` A` or ` B`; `fedctl up` \
     does so for regions that left the topology.",
);

fn check(look: &Look<'_>, found: &mut Vec<Diagnostic>) {
    let exchanges = look.topology.federation.policies.iter();
    let exchanges = exchanges.filter(|policy| policy.apply_to == ApplyTo::Exchanges);
    let patterns: Vec<Pattern> = exchanges.filter_map(|policy| Pattern::new(&policy.pattern).ok()).collect();
    let neighbours = look.topology.neighbours();
    for region in &look.regions {
        // links are consumers; where those are not known, neither is whether a link fetches
        let Some(consumers) = &region.health.consumers else { continue };
        let downstreams = neighbours.get(region.name).map(|region| &region.downstreams);
        for queue in region.health.queues.iter().filter(|queue| !is_probe(&queue.name)) {
            let Some(internal) = of_queue(&queue.name) else { continue };
            if consumers.iter().any(|consumer| consumer.queue == queue.name) {
                continue;
            }
            let downstream = downstream(look, region.name, internal.downstream);
            let cause = match downstream {
                None => format!("no region has the cluster name `{}`", internal.downstream),
                Some(name) if !downstreams.is_some_and(|known| known.contains(name)) => {
                    format!("`{name}` is no downstream of `{}`", region.name)
                }
                Some(_) if !patterns.iter().any(|pattern| pattern.matches(internal.exchange)) => {
                    format!("no policy federates exchange `{}`", internal.exchange)
                }
                Some(_) => continue,
            };
            found.push(orphan(region, &queue.name, queue.messages, &cause));
        }
    }
}

/// The region that `upstream` has this name for: by its own cluster name, if it answers, or else by the topology's.
fn downstream<'l>(look: &'l Look<'_>, upstream: &RegionName, named: &str) -> Option<&'l RegionName> {
    let upstream = look.topology.region(upstream)?;
    let is_meant = |region: &topology::Region| {
        let found = look.region(region.name.as_str());
        let cluster = found.map_or(region.cluster_name(), |found| &found.facts.cluster_name);
        let vhost = (region.vhost() != upstream.vhost()).then(|| region.vhost());
        Downstream::new(cluster, vhost).to_string() == named
    };
    look.topology.regions.iter().find(|region| is_meant(region)).map(|region| &region.name)
}

fn orphan(region: &Region<'_>, name: &str, messages: u64, cause: &str) -> Diagnostic {
    let message = format!("holds {} that no link fetches", counted(messages, "message"));
    Diagnostic::new(ORPHANED, region.queue(name), message)
        .cause(cause)
        .help("delete it and its exchanges if nobody needs the messages; else they go on filling it")
}
