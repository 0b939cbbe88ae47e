"""The service `payment` by pika: captures what a reserved order costs, up to a limit."""

import functools
import os
from decimal import Decimal

from by_pika import Service
from shared import POSITIVE, WORD, check, fresh_id, is_decimal, log, parse
from store import Store

EVENTS = "checkout.events"
QUEUE = "checkout.payment"
PREFETCH = 64
LIMIT = Decimal(os.environ.get("LIMIT") or "10000")
AMOUNT = (lambda value: is_decimal(value) and value[0] != "-", "Not a decimal string, zero or more.")
ORDER = {"order_id": WORD, "sku": WORD, "quantity": POSITIVE, "amount": AMOUNT, "region": WORD}
TABLES = "CREATE TABLE IF NOT EXISTS payments (order_id TEXT PRIMARY KEY, amount TEXT NOT NULL);"


def declare(channel):
    channel.exchange_declare(EVENTS, "topic", durable=True)
    channel.queue_declare(QUEUE, durable=True)
    channel.queue_bind(QUEUE, EVENTS, "inventory.reserved")


def capture(database, order):
    """The event that follows, kept with its identifier so that it is the same however often it is sent."""
    event = {"message_id": fresh_id(), "key": "payment.captured", "body": order}
    if Decimal(order["amount"]) > LIMIT:
        body = order | {"reason": f"{order['amount']} is over the limit of {LIMIT}"}
        return event | {"key": "payment.failed", "body": body}
    database.execute("INSERT INTO payments VALUES (?, ?)", [order["order_id"], order["amount"]])
    return event


class Payment:
    def __init__(self):
        self.store = Store(TABLES)
        self.service = Service(declare, {QUEUE: PREFETCH}, self.consume)

    def consume(self, message):
        order = check(ORDER, parse(message.body))
        event, is_first = self.store.once(message.message_id, functools.partial(capture, order=order))
        # In a log line `region` is where it was written.
        noted = {name: value for name, value in event["body"].items() if name != "region"}
        if is_first:
            log(event["key"].replace(".", "_"), **message.about(), **noted)
        else:
            log("duplicate_skipped", **message.about())
        ids = {"message_id": event["message_id"], "correlation_id": message.correlation_id}
        self.service.publish(EVENTS, event["key"], event["body"], noted=noted, **ids)


def main():
    Payment().service.run()
