"""The demo's services (products, indexer, taxes) as Nameko services: `main.py products`.

They keep the message contract of fedctl's own services and nothing else of them: other language, other
client library, other store. Where the contract leaves the choice, they do what a Nameko user would do.
"""

# flake8: noqa: E402 (eventlet has to patch the standard library before it is imported)

import eventlet

eventlet.monkey_patch()

import contextlib
import functools
import json
import logging
import os
import re
import sqlite3
import uuid

from eventlet.semaphore import Semaphore
from kombu import Exchange, Queue, binding
from kombu.exceptions import KombuError, OperationalError
from nameko.amqp.publish import Publisher as RawPublisher, UndeliverableMessage
from nameko.cli.run import run
from nameko.extensions import DependencyProvider
from nameko.messaging import Consumer, Publisher, QueueConsumer
from nameko.web.handlers import http
from werkzeug.wrappers import Response

from shared import (
    AMQP_URI,
    DEAD_LETTER_QUEUE,
    DECIMAL,
    INTEGER,
    KIND,
    PAUSES,
    REGION,
    REGIONS,
    TEXT,
    Invalid,
    Received,
    check,
    log,
    parse,
)

IS_MASTER = REGION == os.environ["MASTER_REGION"]

# The indexer's directory on the volume that a region's services share; they all run as one user.
CACHE = "/var/lib/fedctl/indexer/cache.db"

EVENTS = Exchange("products.events", type="topic")
ORDERS = Exchange("orders", type="direct")


def federated(key):
    """The federated queue that is bound to `orders` with `key`."""
    return Queue(f"fed.{key}", exchange=ORDERS, routing_key=key)


# Federation copies messages, not bindings: every region has all of these queues.
FEDERATED = [federated("order_product")] + [
    federated(f"{region}_{key}") for region in REGIONS for key in ("calculate_taxes", "calculate_taxes_reply")
]

INDEXER_KEYS = ["product_added", "product_updated"]
INDEXER_QUEUE = Queue(
    f"nameko.indexer.{REGION}", bindings=[binding(EVENTS, routing_key=key) for key in INDEXER_KEYS]
)


# Bodies

PRODUCT = {"id": INTEGER, "name": TEXT, "price": DECIMAL, "quantity": INTEGER}
ORDER = {"product_id": INTEGER, "quantity": INTEGER}
TAX_REQUEST = {"order_id": INTEGER}


# The region's products

@contextlib.contextmanager
def cache():
    """A transaction on the region's products."""
    with contextlib.closing(sqlite3.connect(CACHE, timeout=2, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        database.execute(
            "CREATE TABLE IF NOT EXISTS products"
            " (id INTEGER PRIMARY KEY, name TEXT, price TEXT, quantity INTEGER)"
        )
        database.execute("CREATE TABLE IF NOT EXISTS orders (message_id TEXT PRIMARY KEY)")
        with database:
            database.execute("BEGIN IMMEDIATE")
            yield database


def find(database, product_id):
    row = database.execute("SELECT id, name, price, quantity FROM products WHERE id = ?", [product_id])
    product = row.fetchone()
    return dict(product) if product else None


def store(product, only_if_new):
    conflict = "NOTHING" if only_if_new else "UPDATE SET name = :name, price = :price, quantity = :quantity"
    insert = "INSERT INTO products VALUES (:id, :name, :price, :quantity) ON CONFLICT (id) DO "
    with cache() as database:
        database.execute(insert + conflict, product)


def subtract(order, message_id):
    """The product after the order, and whether the order arrived for the first time."""
    with cache() as database:
        remember = "INSERT OR IGNORE INTO orders VALUES (?)"
        is_first = database.execute(remember, [message_id]).rowcount == 1
        if is_first:
            change = "UPDATE products SET quantity = quantity - :quantity WHERE id = :product_id"
            database.execute(change, order)
        product = find(database, order["product_id"])
        if product is None:
            raise LookupError(f"product {order['product_id']} is unknown")
        return product, is_first


# Messages

def received(queue, message):
    """A message of kombu's and the queue it came from."""
    came = message.delivery_info
    place = {"exchange": came["exchange"], "key": came["routing_key"], "redelivered": came.get("redelivered")}
    return Received(queue, message.body, message.headers, properties=message.properties, **place)


def publish(publisher, exchange, routing_key, body, correlation_id=None, reply_to=None, **noted):
    """Publishes JSON by a Nameko publisher, which waits for the confirm; an unroutable message raises."""
    ids = {"message_id": str(uuid.uuid4()), "correlation_id": correlation_id, "reply_to": reply_to}
    ids = {name: value for name, value in ids.items() if value}
    publisher(body, routing_key=routing_key, **ids)
    log("published", exchange=exchange.name, routing_key=routing_key, **ids, **noted)


def dead_letter(message, reason):
    """Dead-letters a message as it was, with the reason."""
    queue = Queue(DEAD_LETTER_QUEUE)
    publisher = RawPublisher(AMQP_URI, serializer="raw", declare=[queue], mandatory=True)
    headers = message.dead_letter_headers(reason)
    publisher.publish(message.body, routing_key=queue.name, headers=headers, **message.properties)
    log("dead_lettered", level="warn", reason=reason, dead_letter_queue=queue.name, **message.about())


class Queues(QueueConsumer):
    """Nameko's consumer of queues; it knows whether it is attached, and loses nothing undecodable."""

    attached = False

    @contextlib.contextmanager
    def extra_context(self, connection, channel):
        self.attached = True
        try:
            yield
        finally:
            self.attached = False

    # Nameko does not pass on the queue that it came from.
    def on_decode_error(self, message, exc):
        dead_letter(received("", message), f"not decodable: {exc}")
        message.ack()


class Work(Consumer):
    """An entrypoint that hands its method the whole message, not the body alone."""

    queue_consumer = Queues()

    def handle_message(self, body, message):
        super().handle_message(received(self.queue.name, message), message)


def consume(queue, here=True):
    """Has the method process `queue`, if `here`: a failure is retried a few times, then dead-lettered."""

    def decorate(method):
        @functools.wraps(method)
        def work(self, message):
            for pause in PAUSES:
                try:
                    return method(self, message)
                except Exception as error:
                    if pause is None or isinstance(error, Invalid):
                        return dead_letter(message, str(error) or type(error).__name__)
                eventlet.sleep(pause)

        # Nameko acknowledges a message whose handler raised, unless it is set to requeue: dead-lettering itself may fail.
        return Work.decorator(queue, requeue_on_error=True)(work) if here else method

    return decorate


class Attached(DependencyProvider):
    """Whether the service's consumers are attached."""

    queues = Queues()

    def get_dependency(self, worker_ctx):
        return lambda: self.queues.attached


# HTTP

class Refused(Exception):
    """An answer other than 200."""


def answer(status, body):
    return Response(json.dumps(body), status=status, mimetype="application/json")


def failure(status, error, message):
    return answer(status, {"error": error, "message": message})


def endpoint(method, url):
    """An HTTP entrypoint that answers failures as the contract has them."""

    def decorate(function):
        @functools.wraps(function)
        def respond(self, request, **values):
            try:
                return function(self, request, **values)
            except Invalid as invalid:
                return failure(400, "BAD_REQUEST", invalid.fields)
            except Refused as refused:
                return failure(404, "NOT_FOUND", str(refused))
            except UndeliverableMessage:
                return failure(500, "UNROUTABLE", "no queue is bound for this message")
            except sqlite3.Error as error:
                return failure(500, "STORE", f"store: {error}")
            except (OperationalError, KombuError, OSError) as error:
                return failure(503, "UNAVAILABLE", f"not connected to the broker: {error}")

        return http(method, url)(respond)

    return decorate


def accepted(correlation_id):
    return Response("", status=200, headers={"x-correlation-id": correlation_id})


class Service:
    """What all three have."""

    attached = Attached()

    @endpoint("GET", "/healthz")
    def healthz(self, request):
        if self.attached():
            return answer(200, {"status": "ok"})
        return failure(503, "UNAVAILABLE", "the consumers are not attached")


# The services

class Products(Service):
    """The HTTP API; in the master region it also processes orders."""

    name = "products"
    events = Publisher(exchange=EVENTS, mandatory=True)
    orders = Publisher(exchange=ORDERS, declare=FEDERATED, mandatory=True)
    # Each order's update must be published before the next one's: the last one stays in the caches.
    one_order = Semaphore()

    @endpoint("GET", "/products/<product_id>")
    def read_product(self, request, product_id):
        with cache() as database:
            is_number = re.fullmatch(r"-?[0-9]{1,18}", product_id)
            product = find(database, int(product_id)) if is_number else None
        if product is None:
            raise Refused("Product not found")
        return answer(200, product)

    @endpoint("POST", "/products")
    def add_product(self, request):
        product = check(PRODUCT, parse(request.get_data()))
        noted = {"product_id": product["id"], "quantity": product["quantity"]}
        correlation_id = str(uuid.uuid4())
        publish(self.events, EVENTS, "product_added", product, correlation_id, **noted)
        return accepted(correlation_id)

    @endpoint("POST", "/orders")
    def place_order(self, request):
        order = check(ORDER, parse(request.get_data()))
        correlation_id = str(uuid.uuid4())
        publish(self.orders, ORDERS, "order_product", order, correlation_id, **order)
        return accepted(correlation_id)

    @endpoint("POST", "/tax/<region>")
    def request_taxes(self, request, region):
        if region not in REGIONS:
            raise Refused(f"Region `{region}` not found; there are: {', '.join(REGIONS)}")
        correlation_id, reply_to = str(uuid.uuid4()), f"{REGION}_calculate_taxes_reply"
        request = {"order_id": 1}
        publish(self.orders, ORDERS, f"{region}_calculate_taxes", request, correlation_id, reply_to, **request)
        return accepted(correlation_id)

    @consume(federated("order_product"), here=IS_MASTER)
    def work_off_order(self, message):
        order = check(ORDER, parse(message.body))
        with self.one_order:
            product, is_first = subtract(order, message.message_id)
            noted = {"product_id": product["id"], "quantity": product["quantity"]}
            event = "order_processed" if is_first else "duplicate_skipped"
            log(event, **message.about(), ordered=order["quantity"], **noted)
            publish(self.events, EVENTS, "product_updated", product, message.correlation_id, **noted)

    @consume(federated(f"{REGION}_calculate_taxes_reply"))
    def take_reply(self, message):
        reply = parse(message.body)
        if not isinstance(reply, dict) or not {"result", "error"} & reply.keys():
            raise Invalid({"_schema": ["neither `result` nor `error` in a reply"]})
        tax = (reply.get("result") or {}).get("tax")
        log("reply_received", **message.about(), tax=tax, error=reply.get("error"))


class Indexer(Service):
    """Keeps the region's products up to date with the events of all regions."""

    name = "indexer"

    @consume(INDEXER_QUEUE)
    def index(self, message):
        product = check(PRODUCT, parse(message.body))
        # An update that was published here is in the cache already, and maybe the next one too: the
        # order itself has written it.
        is_own_update = message.routing_key == "product_updated" and not message.hops
        store(product, only_if_new=is_own_update)
        log("indexed", **message.about(), product_id=product["id"], quantity=product["quantity"])


class Taxes(Service):
    """Answers tax requests."""

    name = "taxes"
    orders = Publisher(exchange=ORDERS, declare=FEDERATED, mandatory=True)

    @consume(federated(f"{REGION}_calculate_taxes"))
    def calculate(self, message):
        if not message.reply_to:
            raise Invalid({"_schema": ["no `reply_to`"]})
        request = parse(message.body)
        order_id, tax, error = None, None, None
        try:
            order_id = check(TAX_REQUEST, request)["order_id"]
            tax = f"You do not owe taxes in region {REGION} for order id {order_id}"
        except Invalid as invalid:
            error = {"exc_type": "ValidationError", "value": invalid.fields}
        reply = {"result": {"tax": tax} if tax else None, "error": error}
        publish(self.orders, ORDERS, message.reply_to, reply, message.correlation_id, order_id=order_id)
        fields = {"order_id": order_id, "tax": tax, "error": error, "reply_to": message.reply_to}
        log("tax_calculated", **message.about(), **fields)


def main():
    """Runs the service that the first argument names, until SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    # One event at a time: a later one must not be overtaken by an earlier one that is retried.
    workers = 1 if KIND == Indexer.name else 10
    config = {"AMQP_URI": AMQP_URI, "HEARTBEAT": 10, "max_workers": workers}
    services = {service.name: service for service in (Products, Indexer, Taxes)}
    run([services[KIND]], config)
