//! Links that may lose messages.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{AckMode, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[MAY_LOSE_MESSAGES], check };

const MAY_LOSE_MESSAGES: Code = Code::warning(
    "FED0202",
    "Only with `on-confirm` does a link keep a message at the upstream until the downstream \
     broker has it. With `on-publish` and `no-ack`, what is in flight when a broker or a link \
     fails is lost. Set `ack-mode: on-confirm` unless losing messages is acceptable.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let failing = match topology.federation.upstream.ack_mode {
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
