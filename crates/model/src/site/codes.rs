//! The codes for brokers that do not answer.

use crate::diagnostic::Code;

pub(crate) const ALL: [Code; 13] = [
    UNREACHABLE,
    STOPPED,
    MISSING,
    NOT_PUBLISHED,
    NO_PASSWORD,
    UNAUTHORIZED,
    PAUSED,
    UNRESPONSIVE,
    PLUGIN_DISABLED,
    OUT_OF_REACH,
    NO_CREDENTIALS,
    REJECTED,
    NO_VHOST,
];

pub(crate) const UNREACHABLE: Code = Code::error(
    "FED0601",
    "Neither the broker's management API nor its AMQP port answers, so its queues and \
     the state of its links are unknown. It may still be starting, hang, or be paused. `fedctl logs REGION broker` shows what it \
     reports; the other regions are not affected. If every broker refuses connections, fedctl probably runs in another \
     network namespace, container or machine than the engine: ports are published on the engine's loopback address.",
);
pub(super) const STOPPED: Code = Code::error(
    "FED0602",
    "The container of the region's broker is not running. Its messages are in its volume, and messages for it are \
     queued on the brokers of the other regions. `fedctl up` starts it; if it stops again, `fedctl logs REGION broker` shows why.",
);
pub(super) const MISSING: Code = Code::error(
    "FED0603",
    "The region's broker has no container: it was never started, or it was removed. Its messages are in its volume, \
     if that still exists. `fedctl up` creates it.",
);
pub(super) const NOT_PUBLISHED: Code = Code::error(
    "FED0604",
    "The broker's container runs, and the engine does not publish the port that fedctl connects to. The \
     container is just starting or stopping, or it was changed by someone else. If it stays like that, `fedctl plan` shows \
     whether it differs from the topology.",
);
pub(super) const NO_PASSWORD: Code = Code::error(
    "FED0605",
    "The broker runs and fedctl has no password for it: `.fedctl/passwords.json` next to the topology file is \
     missing, or the broker was started from another directory. `fedctl up` generates new passwords and sets them on \
     every broker.",
);
pub(super) const UNAUTHORIZED: Code = Code::error(
    "FED0606",
    "The broker answers and rejects fedctl's own user or password: someone changed or deleted it. `fedctl up` \
     restarts the broker, which restores the user from the definitions that it imports at its start; messages are \
     kept.",
);
pub(super) const PAUSED: Code = Code::error(
    "FED0607",
    "The container of the region's broker is paused: it holds its messages and its connections, and answers nobody. \
     Other brokers notice that only when their heartbeats fail. `fedctl up` unpauses it; its links connect again \
     by themselves.",
);
pub(super) const UNRESPONSIVE: Code = Code::error(
    "FED0608",
    "The broker speaks AMQP, so its links and services may well work, but its management API did not answer in \
     time, or not in a form that fedctl knows: the broker is very busy, or hangs in part. What it holds, and the links of which it is the downstream, are \
     unknown until it answers.",
);
pub(super) const PLUGIN_DISABLED: Code = Code::error(
    "FED0609",
    "The broker runs and lacks a plugin. Without `rabbitmq_management` it cannot be asked for anything; without \
     `rabbitmq_federation` no exchange can be federated from or to it; without \
     `rabbitmq_federation_management` the state of its links is unknown. `fedctl up` enables it on a \
     broker that it started; on any, `rabbitmq-plugins enable NAME` does.",
);
pub(super) const OUT_OF_REACH: Code = Code::error(
    "FED0611",
    "The engine is on another machine, and brokers are published on that machine's loopback address, so they cannot be \
     asked from here; they may well work. Run fedctl on the engine's machine, or forward the ports.",
);
pub(super) const NO_CREDENTIALS: Code = Code::error(
    "FED0613",
    "The region's broker was not started by fedctl, and the password of the user that fedctl works as is not known. \
     `password: ${NAME}` in the region's `broker` takes it from an environment variable, `password-file` from the first \
     line of a file, and without either it is looked for in `.fedctl/passwords.json`.",
);
pub(super) const REJECTED: Code = Code::error(
    "FED0614",
    "The broker answers and rejects the user that the topology gives, or its password. fedctl did not start this broker \
     and changes no user that it did not make. The user needs the tags `monitoring` and `policymaker`, and permissions in \
     the region's virtual host; `rabbitmqctl list_users` shows the tags.",
);
pub(super) const NO_VHOST: Code = Code::error(
    "FED0615",
    "The broker answers and has no virtual host of that name. `fedctl up` creates it if fedctl's user is an \
     administrator; otherwise whoever runs the broker has to, and to give the user permissions in it.",
);
