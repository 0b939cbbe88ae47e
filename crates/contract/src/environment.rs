//! What every service's container is given: environment variables, and a directory that stays.

/// The region that the service runs in.
pub const REGION: &str = "REGION";
/// All regions, comma separated, in the order of the topology.
pub const REGIONS: &str = "REGIONS";
/// The one region that processes orders.
pub const MASTER_REGION: &str = "MASTER_REGION";
/// Which of several replicas the service is; its own name where there is one.
pub const INSTANCE: &str = "INSTANCE";
/// The path of a file that holds the AMQP URI, password included.
pub const AMQP_URI_FILE: &str = "AMQP_URI_FILE";
/// The AMQP URI itself, readable by anyone who can inspect the container.
pub const AMQP_URI: &str = "AMQP_URI";
/// The directory that the services of a region share and write to.
pub const STORE: &str = "STORE";
/// The address that HTTP is served at.
pub const LISTEN: &str = "LISTEN";

/// The mount point of the volume that the services of a region share.
pub const DIRECTORY: &str = "/var/lib/fedctl";

/// `inventory`, `payment`: the instances of this service in all regions, as `region/instance`, comma separated.
pub const INSTANCES: &str = "INSTANCES";
/// `rpc`, `rpc-worker`: the instances of `rpc` in all regions, as `region/instance`, comma separated.
pub const RPC_INSTANCES: &str = "RPC_INSTANCES";
/// `rpc-worker`: how many requests one process handles at the same time.
pub const WORKERS: &str = "WORKERS";
/// `compute`, `compute-host`: the known hosts, as `region/instance`, comma separated.
pub const COMPUTE_HOSTS: &str = "COMPUTE_HOSTS";
/// `compute-host`: how many processors it has.
pub const CAPACITY: &str = "CAPACITY";
/// `compute-host`: the images it has, comma separated.
pub const IMAGES: &str = "IMAGES";
/// `inventory`: its stock at the first start, as `sku=quantity`, comma separated.
pub const STOCK: &str = "STOCK";
/// `payment`: the largest amount that it captures.
pub const LIMIT: &str = "LIMIT";
/// `payment`: how long a capture takes, in milliseconds.
pub const DELAY_MS: &str = "DELAY_MS";
/// `fraud`: amounts above this one are suspicious.
pub const SUSPICIOUS: &str = "SUSPICIOUS";
