//! The codes for what probes find.

use crate::diagnostic::Code;

pub(crate) const ALL: [Code; 6] = [LOST, DUPLICATED, NOT_PROBED, NO_NAME, LEFT, NOT_CONFIRMED];

pub(super) const LOST: Code = Code::error(
    "FED0701",
    "Messages that the upstream took did not come out of the link within the time. If RabbitMQ reports the link as running, \
     something on the way drops or holds them: a policy on the upstream that matches the link's internal queue (such as a \
     length limit for `.*`), two regions with one cluster name, or a network that has just gone silent. `fedctl status` \
     shows the link and what is known of it; a longer `--timeout` tells a slow link from one that loses.",
);
pub(super) const DUPLICATED: Code = Code::error(
    "FED0702",
    "Messages arrived more than once. In a full mesh that happens if `max-hops` is above 1, since a message then also \
     arrives by way of a third region, and for messages in flight when a link connects again. Consumers see the same \
     duplicates: set `max-hops` to 1, or make processing idempotent.",
);
pub(super) const NOT_PROBED: Code = Code::error(
    "FED0703",
    "The probe could not work with the broker over AMQP, so nothing is known of the links from and to it: whether they \
     move messages was not tried. The message says what the broker refused or where the connection ended. Once the \
     broker takes AMQP connections from here, probe again.",
);
pub(super) const NO_NAME: Code = Code::warning(
    "FED0704",
    "A probe uses an exchange and queues of its own, whose names the policy has to match, so that no application sees its \
     messages. This pattern matches only names that are not the probe's to take. The links of the policy are not \
     probed; `fedctl status` shows them.",
);
pub(super) const LEFT: Code = Code::warning(
    "FED0705",
    "A probe removes its exchanges and queues when it ends, and the internal ones that links make for them on every \
     upstream. Here it could not: the broker did not answer, or refused. They carry nothing and expire within a minute where \
     the probe could put its policy for that (`fedctl.probe.` with some letters); the next `fedctl up` or `fedctl probe` \
     removes what is still there.",
);
pub(super) const NOT_CONFIRMED: Code = Code::error(
    "FED0706",
    "The upstream's broker did not confirm messages that were published to it, so they may never have entered the link. An \
     alarm blocks publishers, and a queue that may not grow rejects messages, such as an internal queue that a policy \
     with `overflow: reject-publish` matches. `fedctl status` shows alarms; `fedctl queues` shows what waits.",
);
