//! What services log: one JSON object a line, with an event and its fields.

/// The values of the field [`field::EVENT`].
pub mod event {
    /// A service listens.
    pub const STARTED: &str = "started";
    /// A service stops.
    pub const STOPPED: &str = "stopped";
    /// A message was processed before.
    pub const DUPLICATE_SKIPPED: &str = "duplicate_skipped";
    /// A newer message was processed before.
    pub const STALE_SKIPPED: &str = "stale_skipped";
    /// A message went to the dead-letter queue. The messaging library writes it, under the same word.
    pub const DEAD_LETTERED: &str = "dead_lettered";

    /// A region has stored a product event.
    pub const INDEXED: &str = "indexed";
    /// The master region has subtracted an order's quantity.
    pub const ORDER_PROCESSED: &str = "order_processed";
    /// A region has answered a tax request.
    pub const TAX_CALCULATED: &str = "tax_calculated";
    /// The reply to a tax request has arrived.
    pub const REPLY_RECEIVED: &str = "reply_received";

    /// A region has stored a user's name.
    pub const PROFILE_UPDATED: &str = "profile_updated";

    /// A worker has handled a call and published its reply.
    pub const RPC_HANDLED: &str = "rpc_handled";
    /// A caller has its reply.
    pub const RPC_REPLY: &str = "rpc_reply";
    /// A caller's time was over before a reply arrived.
    pub const RPC_TIMEOUT: &str = "rpc_timeout";
    /// A reply arrived after its caller's time was over.
    pub const LATE_REPLY_DROPPED: &str = "late_reply_dropped";

    /// A host has created a machine.
    pub const VM_CREATED: &str = "vm_created";
    /// A host has started a machine.
    pub const VM_STARTED: &str = "vm_started";
    /// A host has stopped a machine.
    pub const VM_STOPPED: &str = "vm_stopped";
    /// A host has deleted a machine.
    pub const VM_DELETED: &str = "vm_deleted";
    /// A host has listed its machines.
    pub const VMS_LISTED: &str = "vms_listed";
    /// A host has left a machine to another host.
    pub const VM_DECLINED: &str = "vm_declined";
    /// A host has published its answer to a command.
    pub const COMMAND_ANSWERED: &str = "command_answered";
    /// The answer to a creation has arrived at its caller.
    pub const CREATE_ANSWERED: &str = "create_answered";
    /// A creation's time was over before an answer arrived.
    pub const CREATE_UNANSWERED: &str = "create_unanswered";
    /// All hosts have answered, or the time was over.
    pub const ANSWERS_COLLECTED: &str = "answers_collected";
    /// An answer has arrived in time.
    pub const ANSWER_RECEIVED: &str = "answer_received";
    /// An answer has arrived after its caller's time was over.
    pub const ANSWER_LATE: &str = "answer_late";
    /// A machine that a second host created is deleted again.
    pub const SECOND_VM_UNDONE: &str = "second_vm_undone";

    /// An order has changed its state in a region.
    pub const CHECKOUT_UPDATED: &str = "checkout_updated";
    /// An event changes nothing about an order.
    pub const EVENT_IGNORED: &str = "event_ignored";
    /// An order was published and its state could not be stored.
    pub const STATE_NOT_STORED: &str = "state_not_stored";
    /// Stock was taken for an order.
    pub const STOCK_RESERVED: &str = "stock_reserved";
    /// There is not enough stock for an order.
    pub const STOCK_REJECTED: &str = "stock_rejected";
    /// The stock of an order that could not be paid was given back.
    pub const STOCK_RELEASED: &str = "stock_released";
    /// An order is another region's to process.
    pub const LEFT_TO_HOME: &str = "left_to_home";
    /// An order is paid.
    pub const PAYMENT_CAPTURED: &str = "payment_captured";
    /// An order's amount was refused.
    pub const PAYMENT_FAILED: &str = "payment_failed";
    /// A paid order was handed to all channels.
    pub const NOTIFICATION_SENT: &str = "notification_sent";
    /// A channel has notified the customer.
    pub const NOTIFIED: &str = "notified";
    /// Analytics has counted an event.
    pub const EVENT_COUNTED: &str = "event_counted";
    /// An order was checked for fraud.
    pub const FRAUD_CHECKED: &str = "fraud_checked";
}

/// The names of fields.
pub mod field {
    /// When, by the service's clock, RFC 3339. The messaging library writes it, like the four that follow.
    pub const AT: &str = "at";
    /// How much it matters.
    pub const LEVEL: &str = "level";
    /// The service's region.
    pub const REGION: &str = "region";
    /// The service.
    pub const SERVICE: &str = "service";
    /// What happened.
    pub const EVENT: &str = "event";
    /// What belongs to one request, across services and regions.
    pub const CORRELATION_ID: &str = "correlation_id";
    /// The message's routing key.
    pub const ROUTING_KEY: &str = "routing_key";
    /// The regions that a message was forwarded by, in order.
    pub const HOPS: &str = "hops";
    /// Why something was not done.
    pub const REASON: &str = "reason";
    /// The dead-letter queue. The messaging library writes it, under the same name.
    pub const DEAD_LETTER_QUEUE: &str = "dead_letter_queue";
    /// Where the reply goes, or went.
    pub const REPLY_TO: &str = "reply_to";
    /// A product's number.
    pub const PRODUCT_ID: &str = "product_id";
    /// An order's quantity.
    pub const ORDERED: &str = "ordered";
    /// What is left, or wanted, of something.
    pub const QUANTITY: &str = "quantity";
    /// A stored value's version.
    pub const VERSION: &str = "version";
    /// The answer to a tax request.
    pub const TAX: &str = "tax";
    /// What went wrong, as the other side says.
    pub const ERROR: &str = "error";
    /// An order of the shop or the checkout.
    pub const ORDER_ID: &str = "order_id";
    /// A call's command.
    pub const CMD: &str = "cmd";
    /// How a call ended.
    pub const OUTCOME: &str = "outcome";
    /// A command to hosts.
    pub const COMMAND: &str = "command";
    /// How a command ended.
    pub const STATUS: &str = "status";
    /// A host, as `region/instance`.
    pub const HOST: &str = "host";
    /// The host that a command was handed to.
    pub const HANDED_TO: &str = "handed_to";
    /// What something is called.
    pub const NAME: &str = "name";
    /// What an order costs.
    pub const AMOUNT: &str = "amount";
    /// How many hosts have answered.
    pub const ANSWERED: &str = "answered";
    /// The region that processes an order.
    pub const HOME: &str = "home";
    /// A channel to the customer.
    pub const CHANNEL: &str = "channel";
    /// How often an event was counted.
    pub const COUNT: &str = "count";
    /// A user's name.
    pub const FULL_NAME: &str = "full_name";
    /// A user's number.
    pub const ID: &str = "id";
    /// The key of a counted event.
    pub const KEY: &str = "key";
    /// How many hosts are known.
    pub const KNOWN: &str = "known";
    /// The hosts that have not answered.
    pub const MISSING: &str = "missing";
    /// What is ordered.
    pub const SKU: &str = "sku";
    /// The state of an order.
    pub const STATE: &str = "state";
    /// How long a caller waited, in milliseconds.
    pub const TIMEOUT_MS: &str = "timeout_ms";
    /// How long an answer took, in milliseconds.
    pub const TOOK_MS: &str = "took_ms";
    /// The result of a check for fraud.
    pub const VERDICT: &str = "verdict";
    /// The address that HTTP is served at.
    pub const LISTEN: &str = "listen";
    /// Which of several replicas did it.
    pub const INSTANCE: &str = "instance";
}
