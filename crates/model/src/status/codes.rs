//! The codes for links that do not run.

use crate::diagnostic::Code;

pub(crate) const ALL: [Code; 16] = [
    BINDING_NOT_PROPAGATED,
    ACCESS_REFUSED,
    VHOST_REFUSED,
    CONNECTION_REFUSED,
    UNKNOWN_HOST,
    NO_ROUTE,
    TIMED_OUT,
    SILENT,
    CONNECTION_LOST,
    CLOSED_BY_UPSTREAM,
    DOWNSTREAM_CHANNEL_LOST,
    REFUSED_BY_UPSTREAM,
    STARTING_TOO_LONG,
    NOT_STARTED,
    NOT_IN_TOPOLOGY,
    OTHER,
];

pub(super) const BINDING_NOT_PROPAGATED: Code = Code::error(
    "FED0301",
    "The downstream has a binding with this routing key that the upstream does not know, so messages with the \
     key are not forwarded, though RabbitMQ itself reports the link as running. Bindings are propagated \
     asynchronously, within milliseconds as a rule; one that stays missing usually means that the exchange was \
     deleted and declared again on the upstream. `fedctl up` restarts such a link, and its queued messages \
     are kept.",
);
pub(super) const ACCESS_REFUSED: Code = Code::error(
    "FED0302",
    "The upstream refuses the user or password that the link connects with. Either the password was changed on one \
     side only, or the link still uses the one that it started with. `fedctl up` sets the user and its \
     password on the upstream, and has the links of the downstream start again with them.",
);
pub(super) const VHOST_REFUSED: Code = Code::error(
    "FED0303",
    "The upstream accepts the link's password, but not its user in the virtual host of the upstream's URI: the \
     virtual host does not exist, or the user has no permissions in it. `fedctl plan` shows which permissions \
     differ, and `fedctl up` sets them.",
);
pub(super) const CONNECTION_REFUSED: Code = Code::error(
    "FED0304",
    "The upstream's host is up and nothing listens on its AMQP port: its broker is still starting, or it has \
     stopped. The link keeps trying, once every `reconnect-delay`, and messages queued on \
     the upstream are kept. `fedctl logs REGION broker` shows what the upstream's broker reports.",
);
pub(super) const UNKNOWN_HOST: Code = Code::error(
    "FED0305",
    "The downstream cannot resolve the upstream's host name. On a Docker network only running containers have a \
     name, so the upstream's broker is stopped, or it is not attached to the network between the regions. \
     `fedctl up` starts and attaches it; the link then connects by itself.",
);
pub(super) const NO_ROUTE: Code = Code::error(
    "FED0306",
    "The network of the downstream has no route to the upstream's host. The upstream's broker is off the network \
     between the regions, or a firewall rejects the packets. `fedctl plan` shows what is not attached; the link \
     connects by itself once there is a route.",
);
pub(super) const TIMED_OUT: Code = Code::error(
    "FED0307",
    "The upstream did not answer in time while the link connected. Its broker hangs or is paused, or the packets are \
     dropped on the way. The link tries again after its `reconnect-delay`; check the upstream's broker and the network \
     between the two.",
);
pub(super) const SILENT: Code = Code::error(
    "FED0308",
    "The link was connected, and heartbeats from the upstream stopped: its broker hangs or is paused, or \
     the network silently drops packets. It takes about twice the `heartbeat` of the topology to notice, and \
     until then RabbitMQ reports the link as running. The link connects again by itself when the upstream \
     answers.",
);
pub(super) const CONNECTION_LOST: Code = Code::error(
    "FED0309",
    "The link's connection or channel to the upstream ended, as it does when the upstream's broker stops or is \
     restarted. The link connects again after its `reconnect-delay`. With `on-confirm` no message is lost, but those \
     that were in flight are delivered again. If it keeps happening, `fedctl logs REGION broker` of the \
     upstream shows why.",
);
pub(super) const CLOSED_BY_UPSTREAM: Code = Code::error(
    "FED0310",
    "The upstream closed the TCP connection without an AMQP close. Its broker was killed, a proxy between the two \
     gave up, or the port does not speak plain AMQP, because it expects TLS for example. The link tries again after its \
     `reconnect-delay`; the upstream's log shows whether the connection arrived.",
);
pub(super) const DOWNSTREAM_CHANNEL_LOST: Code = Code::error(
    "FED0311",
    "The channel through which the link publishes to its own broker, the downstream, was closed. The upstream is not \
     the cause, and messages are queued there. `fedctl logs REGION broker` of the downstream shows why; the link starts \
     again after its `reconnect-delay`.",
);
pub(super) const REFUSED_BY_UPSTREAM: Code = Code::error(
    "FED0312",
    "The upstream answered the link with an AMQP error, which the message quotes. 403 means that the link's user lacks \
     a permission, which `fedctl up` restores; 404 that an exchange or queue does not exist. 406 means that the link's \
     internal queue exists with other arguments, as it does when `expires`, `message-ttl` or `queue-type` of an \
     upstream were changed while the link could not reach it: the link stays down until that queue is drained and \
     deleted on the upstream.",
);
pub(super) const STARTING_TOO_LONG: Code = Code::error(
    "FED0313",
    "The link has been connecting for longer than a reachable upstream takes. RabbitMQ reports it as starting, and \
     not as down, for as long as the connection may take to time out, so after that time fedctl counts it as down. Packets to \
     the upstream are dropped on the way, or its broker hangs or is paused.",
);
pub(super) const NOT_STARTED: Code = Code::error(
    "FED0314",
    "The topology requires this link, and the downstream's broker does not list it. A broker has a link only while a \
     policy matches the exchange or queue and the upstream is defined, and it reports nothing if one of \
     the two is missing or a policy of higher priority wins. `fedctl plan` shows what is missing; `fedctl up` puts it \
     back, and has the broker start a link that it failed to start.",
);
pub(super) const NOT_IN_TOPOLOGY: Code = Code::warning(
    "FED0315",
    "The broker has a link that the topology does not require: a policy or upstream was added by someone else, or \
     belongs to a region that was removed from the file. Such a link may deliver unexpected messages, or deliver \
     messages twice. Delete its policy or upstream on the downstream's broker, or add them to the topology.",
);
pub(super) const OTHER: Code = Code::error(
    "FED0316",
    "RabbitMQ reports a status or an error that fedctl does not know, and the message shows it as it is. New \
     versions of RabbitMQ may add more. `fedctl logs REGION broker` of the downstream shows more.",
);
