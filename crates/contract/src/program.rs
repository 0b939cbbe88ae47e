//! The built-in services: what a service without an image may be.

use std::fmt;

use crate::environment::{
    CAPACITY, COMPUTE_HOSTS, DELAY_MS, IMAGES, INSTANCES, LIMIT, RPC_INSTANCES, STOCK, SUSPICIOUS, WORKERS,
};

macro_rules! programs {
    ($($variant:ident = $name:literal, $summary:literal, [$($variable:ident),*];)*) => {
        /// A built-in service.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Program {
            $(#[doc = $summary] $variant,)*
        }

        impl Program {
            /// All of them, system by system.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in topologies, on the command line, in logs, and of connections and queues.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in a line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// The environment variables by which a topology may configure it.
            #[must_use]
            pub const fn variables(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($variable),*],)* }
            }
        }
    };
}

programs! {
    Products = "products", "Takes products and orders over HTTP; processes orders in the master region", [];
    Indexer = "indexer", "Keeps a region's products up to date with the events of all regions", [];
    Taxes = "taxes", "Answers tax requests to its region", [];
    Profile = "profile", "Publishes and stores users' names", [];
    Rpc = "rpc", "Takes calls over HTTP and returns the workers' replies", [RPC_INSTANCES];
    RpcWorker = "rpc-worker", "Handles calls", [RPC_INSTANCES, WORKERS];
    Compute = "compute", "Takes commands to the hosts of all regions over HTTP", [COMPUTE_HOSTS];
    ComputeHost = "compute-host", "Keeps virtual machines and carries out commands", [CAPACITY, COMPUTE_HOSTS, IMAGES];
    Checkout = "checkout", "Takes orders of the checkout chain over HTTP and knows their state", [];
    Inventory = "inventory", "Reserves stock for orders, and gives it back if they cannot be paid", [INSTANCES, STOCK];
    Payment = "payment", "Captures payments of reserved orders", [DELAY_MS, INSTANCES, LIMIT];
    Notification = "notification", "Has every channel notify the customer of a captured payment", [];
    Email = "email", "Notifies by e-mail", [];
    Sms = "sms", "Notifies by text message", [];
    Push = "push", "Notifies by push message", [];
    Analytics = "analytics", "Counts the checkout chain's events", [];
    Fraud = "fraud", "Checks orders for fraud", [SUSPICIOUS];
}

impl Program {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|program| program.name() == name)
    }

    /// The variable that lists the instances of a program in all regions, and that program: where a topology does not set
    /// it, it is known all the same, because without it two instances would take each other's messages.
    #[must_use]
    pub const fn instances(self) -> Option<(&'static str, Self)> {
        match self {
            Self::Inventory | Self::Payment => Some((INSTANCES, self)),
            Self::Rpc | Self::RpcWorker => Some((RPC_INSTANCES, Self::Rpc)),
            Self::Products
            | Self::Indexer
            | Self::Taxes
            | Self::Profile
            | Self::Compute
            | Self::ComputeHost
            | Self::Checkout
            | Self::Notification
            | Self::Email
            | Self::Sms
            | Self::Push
            | Self::Analytics
            | Self::Fraud => None,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_name() {
        for program in Program::ALL {
            assert_eq!(Program::from_name(program.name()), Some(*program));
        }
        assert_eq!(Program::from_name("broker"), None);
    }
}
