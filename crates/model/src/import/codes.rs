//! What an import finds that a topology cannot say.

use crate::diagnostic::Code;

pub(crate) const ALL: [Code; 15] = [
    NO_REGION,
    OTHER_NAME,
    SETTING_DIFFERS,
    UNKNOWN_SETTING,
    SEVERAL_URIS,
    ADDRESS_DIFFERS,
    USER_DIFFERS,
    POLICY_DIFFERS,
    POLICY_KEY,
    POLICY_TARGET,
    APPLIES_TO,
    NOT_FEDERATED,
    UPSTREAM_SET,
    SHOVEL,
    UNKNOWN_PLACE,
];

pub(super) const NO_REGION: Code = Code::warning(
    "FED0901",
    "An upstream leads to a broker or virtual host that is not among those that are imported, so it is not in the topology. It \
     stays as it is, and since the policies of a topology apply to all upstreams of a virtual host, its links go on. Import \
     its broker too, or delete it on the broker when nobody needs it any more.",
);
pub(super) const OTHER_NAME: Code = Code::warning(
    "FED0902",
    "A topology calls an upstream like the region that it leads to, and this one has another name. `fedctl up` would put a \
     second upstream beside it, so every message would come over two links, and a queue federation would fetch twice. Import \
     the region under the upstream's name if all regions call it so; otherwise delete the old upstream on the broker in the \
     moment in which `up` puts the new one, best while nothing is published.",
);
pub(super) const SETTING_DIFFERS: Code = Code::warning(
    "FED0903",
    "A topology has one value of each setting for all upstreams, and these have several. The file says the one that most \
     upstreams have; `fedctl up --adopt` changes the others, which restarts their links. `fedctl plan --adopt` shows each.",
);
pub(super) const UNKNOWN_SETTING: Code = Code::warning(
    "FED0904",
    "An upstream has a setting that a topology cannot say, such as another name of the exchange or queue on the other side, \
     or a parameter of its URI. `fedctl up --adopt` removes it, which restarts the upstream's links. Where it is needed, do \
     not adopt this upstream.",
);
pub(super) const SEVERAL_URIS: Code = Code::warning(
    "FED0905",
    "An upstream has several URIs, the nodes of one cluster, or one that is not an AMQP URI. A topology has one address for \
     each region, such as that of a load balancer, so this link is not in the file. Give the region's `broker` such an \
     address in `advertise` before the upstream is adopted.",
);
pub(super) const ADDRESS_DIFFERS: Code = Code::warning(
    "FED0906",
    "The regions reach this one by different addresses, and a topology has one for all of them: `advertise` of its `broker`. \
     The file says the one that comes first. `fedctl up --adopt` changes the others, which restarts their links and makes \
     them connect by that address, so it has to be reachable from everywhere.",
);
pub(super) const USER_DIFFERS: Code = Code::warning(
    "FED0907",
    "The links of several regions connect to this one as different users, and a topology has one `link-user` for all of \
     them, or makes one for each. The file says the one that comes first. `fedctl up --adopt` changes the others, which \
     restarts their links.",
);
pub(super) const POLICY_DIFFERS: Code = Code::warning(
    "FED0908",
    "A topology has the same policies in every region, and this one is not the same in all of them. The file says what the \
     first region has; `fedctl up --adopt` changes the policy where it differs and puts it where it is missing, which starts \
     and restarts links there. A region that must not federate it needs a topology of its own.",
);
pub(super) const POLICY_KEY: Code = Code::warning(
    "FED0909",
    "A policy has a key whose value a topology cannot say: neither text nor a whole number nor true or false. It is not in \
     the file, and `fedctl up --adopt` removes it from the policy.",
);
pub(super) const POLICY_TARGET: Code = Code::warning(
    "FED0910",
    "The policy federates from one upstream, from a set of upstreams or from those whose names match. A policy of a topology \
     federates from all upstreams of a region. `fedctl up --adopt` changes it to that, which restarts the links of what it \
     matches, and adds links from upstreams that it left out.",
);
pub(super) const APPLIES_TO: Code = Code::warning(
    "FED0911",
    "A policy of a topology applies to exchanges or to queues, and this one to both, or to one type of queues. The file says \
     the nearest that it can. `fedctl up --adopt` changes the policy to that, so what it no longer matches is not federated \
     any more: add a second policy for it first.",
);
pub(super) const NOT_FEDERATED: Code = Code::warning(
    "FED0912",
    "Nothing is federated between these brokers: no upstream of one leads to another, or no policy has a key of federation. \
     The file has what fedctl does by default in its place, all regions linked with each other. Look at it before `fedctl \
     up` puts it on the brokers.",
);
pub(super) const UPSTREAM_SET: Code = Code::warning(
    "FED0913",
    "The broker has an upstream set of its own, which a topology cannot say. It stays as it is and does nothing without a \
     policy that names it. Delete it on the broker once no policy does.",
);
pub(super) const SHOVEL: Code = Code::warning(
    "FED0914",
    "The broker has a shovel, which moves messages as links do and is not part of a topology. It stays as it is. If it moves \
     what is federated as well, messages arrive twice.",
);
pub(super) const UNKNOWN_PLACE: Code = Code::warning(
    "FED0915",
    "A definitions file does not say how its broker is reached, and older ones do not say the name of its cluster. The file \
     has the address by which other regions reach it, where there is one, and the usual port of the management API. Put in \
     `management`, `amqp` and `cluster-name` what is right before `fedctl plan`.",
);
