//! Settings of upstreams that make links slow, or slow to notice and to recover.

use super::{Lint, Places};
use crate::{counted::counted, diagnostic::Code, topology::Topology};

pub(super) const LINT: Lint =
    Lint { codes: &[PREFETCH_SMALL, RECONNECT_LATE, HEARTBEAT_LONG, HEARTBEAT_SHORT], check };

const PREFETCH_SMALL: Code = Code::warning(
    "FED0211",
    "A link has at most `prefetch-count` messages in flight, and fetches more only as they are acknowledged, a round trip \
     later. So it moves no more than `prefetch-count` messages per round trip: 20 over a connection of 100 ms are 200 \
     messages a second, however fast the brokers are. Raise it, or leave it out: the default is 1000. What it costs is \
     memory, and as many duplicates after a broken connection.",
);
const RECONNECT_LATE: Code = Code::warning(
    "FED0212",
    "A link that lost its upstream tries again only every `reconnect-delay` seconds, so after an outage it stays down for up \
     to that long although the upstream is back. An attempt costs next to nothing: a few seconds are enough.",
);
const HEARTBEAT_LONG: Code = Code::warning(
    "FED0213",
    "A region that falls silent without closing its connections is noticed only when its heartbeats fail, after up to twice \
     the interval. Until then its links are reported as running and move nothing. Choose between 5 and 20 seconds; the \
     default is 5.",
);
const HEARTBEAT_SHORT: Code = Code::warning(
    "FED0214",
    "With an interval of one or two seconds a short pause of a broker or of the network between regions counts as a lost \
     connection. The link then starts again and sends what was in flight a second time. Choose between 5 and 20 seconds; \
     the default is 5.",
);

/// The fewest messages in flight with which a link between distant regions is not slow, in messages.
const ENOUGH_IN_FLIGHT: u32 = 50;
/// Between two attempts to connect, in seconds.
const LONGEST_DELAY: u32 = 60;
/// Of heartbeats, in seconds.
const LONGEST_INTERVAL: u32 = 60;
const SHORTEST_INTERVAL: u32 = 3;
/// A round trip between distant regions, in a second.
const ROUND_TRIPS: u32 = 10;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let upstream = &topology.federation.upstream;
    let mut add = |code, key: &str, message: String, help: &str| {
        places.add(code, &format!("federation/upstream/{key}"), message, help);
    };
    let (prefetch, delay, interval) = (upstream.prefetch_count, upstream.reconnect_delay, upstream.heartbeat);
    if prefetch < ENOUGH_IN_FLIGHT {
        let rate = counted(prefetch * ROUND_TRIPS, "message");
        let message = format!("a link moves at most {rate} a second where a round trip takes 100 ms");
        add(PREFETCH_SMALL, "prefetch-count", message, "leave it out: 1000 is the default");
    }
    if delay > LONGEST_DELAY {
        let message = format!("a link may stay down for {delay} s after its upstream is back");
        add(RECONNECT_LATE, "reconnect-delay", message, "a few seconds are enough");
    }
    if interval > LONGEST_INTERVAL {
        let message = format!("a region that falls silent is noticed after up to {} s", 2 * interval);
        add(HEARTBEAT_LONG, "heartbeat", message, "leave it out: 5 seconds is the default");
    }
    if interval < SHORTEST_INTERVAL {
        let message = format!("a pause of {} s breaks the connection of a link", 2 * interval);
        add(HEARTBEAT_SHORT, "heartbeat", message, "leave it out: 5 seconds is the default");
    }
}
