//! The codes for links that do not run.

use crate::diagnostic::Code;

pub(crate) const ALL: [Code; 34] = [
    TLS_ALERT,
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
    INTERNAL_BINDING_MISSING,
    OFF_NETWORK,
    UPSTREAM_UNAVAILABLE,
    DOWNSTREAM_UNAVAILABLE,
    PLUGIN_DISABLED,
    NOT_DECLARED,
    POLICY_MISSING,
    POLICY_OVERRIDDEN,
    UPSTREAM_MISSING,
    UNKNOWN,
    STREAM,
    ALARM,
    STALE,
    NOT_FETCHING,
    NO_METRICS,
    BACKLOG,
    LAG,
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
     upstream were changed while the link could not reach it: the link stays down, and messages wait in that queue. \
     `fedctl up` names the queue and says what to do (`FED0520`).",
);
pub(super) const STARTING_TOO_LONG: Code = Code::error(
    "FED0313",
    "The link has been connecting for longer than a reachable upstream takes. RabbitMQ reports it as starting, and \
     not as down, for as long as the connection may take to time out, so after that time fedctl counts it as down. Packets to \
     the upstream are dropped on the way, or its broker hangs or is paused.",
);
pub(super) const NOT_STARTED: Code = Code::error(
    "FED0314",
    "The downstream's broker has the policy and the upstream that this link needs, and does not list the link. RabbitMQ \
     sometimes fails to start links, for example when several brokers restart one after the other, and starts them when \
     the policy is put again: `fedctl up` does so, once.",
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
pub(super) const INTERNAL_BINDING_MISSING: Code = Code::error(
    "FED0317",
    "The link's internal exchange on the upstream is not bound to its internal queue: somebody deleted the binding or \
     the exchange. RabbitMQ reports the link as running, and nothing arrives through it. `fedctl up` restarts such a \
     link, which declares both again.",
);
pub(super) const OFF_NETWORK: Code = Code::error(
    "FED0318",
    "The broker's container is not attached to the network between the regions, so nothing reaches it or leaves it, \
     even though RabbitMQ goes on reporting its links as running until their heartbeats fail. `fedctl up` attaches it \
     again; messages for it are queued on the other brokers.",
);
pub(super) const UPSTREAM_UNAVAILABLE: Code = Code::error(
    "FED0319",
    "The broker of the upstream does not run, is paused, or answers neither AMQP nor HTTP. The downstream may go on \
     reporting the link as running until its heartbeats fail. Messages queued on the upstream are kept. `fedctl up` \
     starts or unpauses the broker, and the link connects by itself.",
);
pub(super) const DOWNSTREAM_UNAVAILABLE: Code = Code::error(
    "FED0320",
    "The broker of the downstream does not run, so neither does the link. Messages for it are queued on the upstream. \
     `fedctl up` starts it, and the link with it.",
);
pub(super) const PLUGIN_DISABLED: Code = Code::error(
    "FED0321",
    "A broker runs without the federation plugin. A downstream without it has no links; an upstream without it cannot \
     keep messages of an exchange for its downstreams (from RabbitMQ 4.0 on such links fail with `404 NOT_FOUND`). \
     `fedctl up` enables it on a broker that it started; on any, `rabbitmq-plugins enable rabbitmq_federation` does.",
);
pub(super) const NOT_DECLARED: Code = Code::error(
    "FED0322",
    "This exchange or queue was federated in the region when `fedctl up` last finished, and the broker no longer has \
     it: somebody deleted it, or the broker has lost its data. The services declare what they need when they start or \
     notice; if it is not needed any more, `fedctl up` no longer expects it.",
);
pub(super) const POLICY_MISSING: Code = Code::error(
    "FED0323",
    "The downstream's broker lacks the policy that federates this exchange or queue: somebody deleted it. `fedctl up` \
     puts it back.",
);
pub(crate) const POLICY_OVERRIDDEN: Code = Code::error(
    "FED0324",
    "RabbitMQ applies one policy to an exchange or queue: of those that match, the one with the highest priority, and \
     with equal ones any. Policies do not add up. Another policy of the broker wins over the topology's, so the \
     exchange or queue is not federated. Give the topology's policy a higher `priority` and the other's keys in its \
     `definition`, or narrow the other's pattern. fedctl changes nothing here: the other policy belongs to someone \
     else.",
);
pub(super) const UPSTREAM_MISSING: Code = Code::error(
    "FED0325",
    "The downstream's broker has the policy and lacks the upstream, so RabbitMQ has no link and reports nothing. \
     `fedctl up` puts the upstream back.",
);
pub(super) const UNKNOWN: Code = Code::error(
    "FED0326",
    "Only the downstream's broker knows the state of its links, and it does not answer, so the state is unknown. The \
     link is still required and counted. The reason says what keeps the broker from answering.",
);
pub(super) const STREAM: Code = Code::warning(
    "FED0327",
    "A policy of the topology matches the name of a stream. RabbitMQ does not support the federation of streams, and \
     what it does depends on the order in which policy and stream were made, so fedctl expects no link of it and \
     counts none. Narrow the policy's pattern, or rename the stream.",
);
pub(super) const ALARM: Code = Code::error(
    "FED0610",
    "The broker is short of memory or disk and has raised an alarm: it takes no messages from publishers, of any \
     connection, until there is enough again. Federation links publish inside the broker and heed no alarm (RabbitMQ \
     up to 4.3), so what arrives from other regions still fills it. Let consumers catch up, raise `memory` in the \
     topology, or free disk space; `fedctl queues` shows what is queued.",
);
pub(super) const NO_METRICS: Code = Code::warning(
    "FED0612",
    "The broker does not collect metrics (`management_agent.disable_metrics_collector`, as in RabbitMQ's images without \
     `-management`), so its management API does not say how much memory it uses, how long it runs, or what \
     consumes its queues. Links, depths and alarms are known all the same; that a queue's link fetches nothing, or that a \
     connection is from an address of before, is not found. Remove that line from the broker's configuration.",
);
pub(super) const STALE: Code = Code::error(
    "FED0328",
    "The downstream's broker was taken off the network between the regions and attached again, with another address. The \
     upstream still has the connection from the old one, and both report the link as running until their heartbeats \
     fail. Then it connects again by itself; `fedctl up` restarts it at once. Messages are kept.",
);
pub(super) const NOT_FETCHING: Code = Code::error(
    "FED0329",
    "A queue's link fetches messages while the downstream's queue is empty and has a consumer; otherwise it is paused. \
     This one should fetch, and has no consumer on the upstream: RabbitMQ reports it as running. It happens when the \
     federation plugin is enabled on a broker whose queues have consumers already. `fedctl up` restarts such a link.",
);
pub(super) const BACKLOG: Code = Code::warning(
    "FED0330",
    "More messages are queued on the upstream for this link than `--max-backlog` allows. The link does not run, its \
     downstream takes messages more slowly than they are published, or many were published at once: `fedctl status -o \
     wide` shows its state and how its backlog moves. The messages are kept; a backlog that goes on growing fills the \
     upstream's memory or disk, and then its publishers are blocked.",
);
pub(super) const LAG: Code = Code::warning(
    "FED0331",
    "Messages wait for this link, and for longer than `--max-lag` allows no look found fewer than the look before: the \
     link does not run, its downstream is blocked, or more is published than it takes. A broker does not say how old \
     its messages are, so fedctl compares what its own looks count, which is kept in `.fedctl/links.json`. After a \
     first look, and after more than fifteen minutes without one, the lag is unknown and exceeds no limit. `fedctl \
     status -o wide` shows the link's state and how its backlog moves.",
);
pub(super) const TLS_ALERT: Code = Code::error(
    "FED0332",
    "The link and its upstream could not agree on an encrypted connection. `unknown ca` and `bad certificate` mean that \
     the downstream's broker does not trust the upstream's certificate: `cacertfile` in the upstream's URI names, on that \
     broker, the certificates of those who signed it. `handshake failure` often means that the certificate is for another \
     host name than the URI's. The upstream keeps the messages until the link runs.",
);
