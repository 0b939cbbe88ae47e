//! The built-in services: what a service without an image may be.

use std::fmt;

use crate::environment::{CAPACITY, COMPUTE_HOSTS, DELAY_MS, IMAGES, LIMIT, STOCK, SUSPICIOUS, WORKERS};

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
    Rpc = "rpc", "Takes calls over HTTP and returns the workers' replies", [];
    RpcWorker = "rpc-worker", "Handles calls", [WORKERS];
    Compute = "compute", "Takes commands to the hosts of all regions over HTTP", [COMPUTE_HOSTS];
    ComputeHost = "compute-host", "Keeps virtual machines and carries out commands", [CAPACITY, COMPUTE_HOSTS, IMAGES];
    Checkout = "checkout", "Takes orders of the checkout chain over HTTP and knows their state", [];
    Inventory = "inventory", "Reserves stock for orders", [STOCK];
    Payment = "payment", "Captures payments of reserved orders", [DELAY_MS, LIMIT];
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
