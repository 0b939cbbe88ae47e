//! Links that may lose messages.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{AckMode, CleanupMode, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[MAY_LOSE_MESSAGES], check };

const MAY_LOSE_MESSAGES: Code = Code::warning(
    "FED0202",
    "Only with `on-confirm` does a link keep a message at the upstream until the downstream \
     broker has it. With `on-publish` and `no-ack`, what is in flight when a broker or a link \
     fails is lost. With `resource-cleanup-mode: default` a link that restarts deletes its queue on the upstream with all \
     that waits in it, and any change of an upstream or policy restarts links. Leave both out unless losing messages is \
     acceptable.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let upstream = &topology.federation.upstream;
    if upstream.resource_cleanup_mode == CleanupMode::Default {
        places.add(
            MAY_LOSE_MESSAGES,
            "federation/upstream/resource-cleanup-mode",
            "messages that wait for a link are lost when it restarts",
            "leave it out once none wait: `fedctl up` then changes the upstreams, and keeps them from deleting anything",
        );
    }
    let failing = match upstream.ack_mode {
        AckMode::OnConfirm => return,
        AckMode::OnPublish => "a broker",
        AckMode::NoAck => "a link",
    };
    places.add(
        MAY_LOSE_MESSAGES,
        "federation/upstream/ack-mode",
        format!("messages in flight are lost when {failing} fails"),
        "`on-confirm` loses nothing",
    );
}
