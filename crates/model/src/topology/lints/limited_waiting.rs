//! Limits on how long messages wait for a link.

use super::{Lint, Places};
use crate::{counted::counted, diagnostic::Code, topology::Topology};

pub(super) const LINT: Lint = Lint { codes: &[LIMITED_WAITING, SHORT_WAITING], check };

const LIMITED_WAITING: Code = Code::warning(
    "FED0240",
    "Messages of a federated exchange wait on the upstream while a link or its region is away. With `message-ttl` those \
     that wait longer are dropped, and with `expires` the whole queue is deleted when its link has been away for so long; \
     what is published after that does not wait either, until the link is back. This loses messages by design, to bound \
     what a region that stays away for weeks costs the others. `fedctl status --max-backlog` and `--max-lag` tell before it \
     happens; to lose nothing, leave both out.",
);
const SHORT_WAITING: Code = Code::warning(
    "FED0241",
    "A link is away while a broker restarts or is upgraded, or the network between two regions is down. Where messages wait \
     for less than that takes, they are lost in everyday operation and not only when a region stays away. Give `expires` \
     and `message-ttl` at least some minutes, or leave them out.",
);

/// Milliseconds that a broker with much data may take to restart.
const RESTART: u32 = 300_000;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let upstream = &topology.federation.upstream;
    let limits = [
        (
            "expires",
            upstream.expires,
            "the queue of an exchange's link is deleted, with its messages, once the link is away for",
        ),
        (
            "message-ttl",
            upstream.message_ttl,
            "messages of an exchange are lost that wait for a link for more than",
        ),
    ];
    for (key, limit, what) in limits {
        let Some(limit) = limit else { continue };
        let path = format!("federation/upstream/{key}");
        let message = format!("{what} {}", span(limit));
        if limit < RESTART {
            let message = format!("{message}, and a restart may take longer");
            places.add(
                SHORT_WAITING,
                &path,
                message,
                format!("at least `{key}: {RESTART}`, or leave it out"),
            );
        } else {
            places.add(LIMITED_WAITING, &path, message, "leave it out to lose nothing");
        }
    }
}

/// So many milliseconds, in the largest unit of which they are a multiple.
fn span(milliseconds: u32) -> String {
    const UNITS: [(&str, u32); 4] =
        [("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let unit = UNITS.into_iter().find(|(_, size)| milliseconds.is_multiple_of(*size));
    let (unit, size) = unit.unwrap_or(("millisecond", 1));
    counted(usize::try_from(milliseconds / size).unwrap_or(usize::MAX), unit)
}
