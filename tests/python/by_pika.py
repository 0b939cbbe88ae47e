"""A service by pika's blocking client: one thread, one connection, made again whenever it breaks."""

import functools
import http.server
import json
import signal
import threading

import pika
from pika.exceptions import AMQPChannelError, AMQPConnectionError, AMQPError, NackError, UnroutableError

from shared import AMQP_URI, DEAD_LETTER_QUEUE, INSTANCE, PAUSES, PORT, Invalid, Poison, Received, fresh_id, log

LONGEST_PAUSE = 5
# How soon a signal takes effect.
TURN = 0.2


class Service:
    """Consumes until SIGTERM.

    `wiring(channel)` declares, `prefetches` are the queues to consume, and `consume(message)` processes one: a
    failure is tried again a few times, then dead-lettered.
    """

    def __init__(self, wiring, prefetches, consume):
        self.wiring, self.prefetches, self.consume = wiring, prefetches, consume
        self.stopping = threading.Event()
        self.attached = False
        self.connection = self.confirming = None
        self.cancelled = False

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        serve_health(lambda: self.attached)
        pause = 0.5
        while not self.stopping.is_set():
            try:
                self.session()
            except (AMQPError, OSError) as error:
                pause = 0.5 if self.attached else min(2 * pause, LONGEST_PAUSE)
                self.attached = False
                log("disconnected", level="warn", reason=f"{type(error).__name__}: {error}")
                self.stopping.wait(pause)
        log("stopped")

    def session(self):
        """Connects, declares, and works until the connection breaks or the service is to stop."""
        parameters = pika.URLParameters(AMQP_URI)
        parameters.heartbeat = 10
        parameters.client_properties = {"connection_name": f"pika {INSTANCE}"}
        self.connection, self.cancelled = pika.BlockingConnection(parameters), False
        try:
            channels = [self.attach(queue, prefetch) for queue, prefetch in self.declared()]
            self.attached = True
            log("connected", broker=f"{parameters.host}:{parameters.port}")
            while not self.stopping.is_set():
                self.connection.process_data_events(time_limit=TURN)
                if self.cancelled or not all(channel.is_open for channel in channels):
                    raise AMQPConnectionError("the broker ended a consumer")
            self.attached = False
        finally:
            # Deliveries that were not begun are requeued with it.
            if self.connection.is_open:
                self.connection.close()

    def declared(self):
        self.confirming = self.connection.channel()
        self.confirming.confirm_delivery()
        self.wiring(self.confirming)
        self.confirming.queue_declare(DEAD_LETTER_QUEUE, durable=True)
        return self.prefetches.items()

    def attach(self, queue, prefetch):
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=prefetch)
        channel.add_on_cancel_callback(self.cancel)
        channel.basic_consume(queue, functools.partial(self.take, queue))
        return channel

    def cancel(self, _method):
        self.cancelled = True

    def take(self, queue, channel, method, properties, body):
        if self.stopping.is_set():
            return
        message = Received(
            queue, body, properties.headers, method.exchange, method.routing_key, method.redelivered, vars(properties)
        )
        for pause in PAUSES:
            try:
                self.consume(message)
                break
            except (UnroutableError, NackError) as error:
                failure = error
            except (AMQPConnectionError, AMQPChannelError):
                raise
            except Exception as error:
                failure = error
            if pause is None or isinstance(failure, (Invalid, Poison)):
                self.dead_letter(message, str(failure) or type(failure).__name__)
                break
            self.connection.sleep(pause)
        channel.basic_ack(method.delivery_tag)

    def dead_letter(self, message, reason):
        self.send("", DEAD_LETTER_QUEUE, message.body, headers=message.dead_letter_headers(reason), **message.properties)
        log("dead_lettered", level="warn", reason=reason, dead_letter_queue=DEAD_LETTER_QUEUE, **message.about())

    def send(self, exchange, key, body, **properties):
        """Returns when a queue has it, and raises when none does."""
        basics = pika.BasicProperties(delivery_mode=2, **properties)
        self.confirming.basic_publish(exchange, key, body, basics, mandatory=True)

    def publish(self, exchange, key, body, message_id=None, headers=None, noted=None, **ids):
        """Publishes JSON, and logs it."""
        ids = {"message_id": message_id or fresh_id()} | {name: value for name, value in ids.items() if value}
        kind = {"content_type": "application/json", "content_encoding": "utf-8"}
        self.send(exchange, key, json.dumps(body).encode(), headers=headers, **kind, **ids)
        log("published", **{"exchange": exchange, "routing_key": key} | ids | (noted or {}))


def serve_health(is_attached):
    """`GET /healthz`, in a thread of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/healthz":
                self.answer(404, {"error": "NOT_FOUND", "message": "Not found"})
            elif is_attached():
                self.answer(200, {"status": "ok"})
            else:
                self.answer(503, {"error": "UNAVAILABLE", "message": "the consumers are not attached"})

        def answer(self, status, body):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
