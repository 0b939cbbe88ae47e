//! The shop: products, orders and taxes, by the wire contract of the public Nameko multi-region example.

pub mod api;
pub mod catalogue;
pub mod indexer;
pub mod message;
pub mod products;
pub mod taxes;

use fedctl_contract::shop::{
    ORDER_PRODUCT, ORDERS, PRODUCT_ADDED, PRODUCT_EVENTS, PRODUCT_UPDATED, federated_queue, indexer_queue,
    taxes_key, taxes_reply_key,
};
use fedctl_messaging::{Binding, Declarations, Exchange, ExchangeKind};

/// The exchanges and federated queues of the contract. Every service declares all of them, so that the order
/// in which services start does not matter.
#[must_use]
pub fn declarations(regions: &[String]) -> Declarations {
    let keys = regions.iter().flat_map(|region| [taxes_key(region), taxes_reply_key(region)]);
    let bindings: Vec<Binding> = std::iter::once(ORDER_PRODUCT.to_owned())
        .chain(keys)
        .map(|key| Binding { queue: federated_queue(&key), exchange: ORDERS.to_owned(), key })
        .collect();
    let exchanges = vec![
        Exchange { name: PRODUCT_EVENTS.to_owned(), kind: ExchangeKind::Topic },
        Exchange { name: ORDERS.to_owned(), kind: ExchangeKind::Direct },
    ];
    Declarations {
        exchanges,
        queues: bindings.iter().map(|binding| binding.queue.clone()).collect(),
        bindings,
    }
}

/// [`declarations`] and the indexer's own queue, which only the indexer of `region` declares: where another
/// implementation replaces it, a queue of this name would grow for ever.
///
/// So an event from before the indexer's first start is not kept for it. A broadcast does not reach those who
/// have not subscribed yet, and if no region has, publishing fails with an error, because it is mandatory. From its
/// first start on the queue is there, and a stopped indexer misses nothing.
#[must_use]
pub fn indexer_declarations(region: &str, regions: &[String]) -> Declarations {
    let mut declarations = declarations(regions);
    let queue = indexer_queue(region);
    declarations.bindings.extend([PRODUCT_ADDED, PRODUCT_UPDATED].map(|key| Binding {
        queue: queue.clone(),
        exchange: PRODUCT_EVENTS.to_owned(),
        key: key.to_owned(),
    }));
    declarations.queues.push(queue);
    declarations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_regions_need_seven_federated_queues_and_the_indexer_one_more() {
        let regions = ["europe", "asia", "america"].map(str::to_owned);
        let all = declarations(&regions);
        assert!(all.queues.iter().all(|queue| queue.starts_with("fed.")));
        assert_eq!((all.queues.len(), all.bindings.len()), (7, 7));
        let indexers = indexer_declarations("asia", &regions);
        assert_eq!(indexers.queues[..7], all.queues);
        assert_eq!(indexers.queues[7..], ["indexer.asia"]);
        assert_eq!(indexers.bindings.len(), 9);
    }
}
