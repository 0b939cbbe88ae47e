"""A service by aio-pika: one event loop, and a connection that the library itself keeps up and restores."""

import asyncio
import json
import logging
import re
import signal
import urllib.parse

import aio_pika
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError

from shared import AMQP_URI, DEAD_LETTER_QUEUE, INSTANCE, PAUSES, PORT, Invalid, Poison, Received, fresh_id, log

FINISH_WITHIN = 5
LARGEST_BODY = 64 * 1024
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large"}


class Answer(Exception):
    """An answer to an HTTP request; raised if it is an error."""

    def __init__(self, status, body, **headers):
        self.status, self.headers = status, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class Service:
    """Consumes and answers until SIGTERM.

    `wiring(channel)` declares and gives the queue to consume, `consume(message)` processes one: a failure is
    tried again a few times, then dead-lettered. `routes` are pairs of method and path pattern, each with its function.
    Each of the `workers` is a consumer of its own.
    """

    def __init__(self, wiring, prefetch, consume, routes=None, workers=1):
        self.wiring, self.prefetch, self.consume, self.workers = wiring, prefetch, consume, workers
        self.routes = {("GET", "/healthz"): self.health} | (routes or {})
        self.attached = False
        self.busy = set()
        self.tags = []
        self.connection = self.confirming = self.queue = None

    def run(self):
        # The library warns about every failed attempt; our own lines have what matters.
        logging.basicConfig(level=logging.CRITICAL)
        asyncio.run(self.work())

    async def work(self):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await asyncio.start_server(self.respond, "0.0.0.0", PORT, limit=LARGEST_BODY)
        attaching, stopping = asyncio.create_task(self.attach()), asyncio.create_task(stop.wait())
        await asyncio.wait([attaching, stopping], return_when=asyncio.FIRST_COMPLETED)
        if attaching.done():
            attaching.result()
            await stopping
            await self.finish()
        attaching.cancel()
        server.close()
        log("stopped")

    async def attach(self):
        properties = {"connection_name": f"aio-pika {INSTANCE}"}
        self.connection = await aio_pika.connect_robust(
            AMQP_URI, fail_fast=False, reconnect_interval=1, heartbeat=10, client_properties=properties
        )
        self.connection.close_callbacks.add(self.lost)
        self.connection.reconnect_callbacks.add(self.restored)
        self.confirming = await self.connection.channel(publisher_confirms=True, on_return_raises=True)
        channel = await self.connection.channel()
        await channel.set_qos(self.prefetch)
        await self.confirming.declare_queue(DEAD_LETTER_QUEUE, durable=True)
        self.queue = await self.wiring(channel)
        self.tags = [await self.queue.consume(self.take) for _ in range(self.workers)]
        self.restored()

    def lost(self, _connection, error=None):
        self.attached = False
        log("disconnected", level="warn", reason=type(error).__name__)

    def restored(self, *_):
        self.attached = True
        log("connected")

    async def finish(self):
        """Stops consuming, finishes what is in flight, and leaves the rest to the broker."""
        if self.attached:
            try:
                for tag in self.tags:
                    await self.queue.cancel(tag, timeout=FINISH_WITHIN)
            except (AMQPError, OSError, RuntimeError, asyncio.TimeoutError):
                pass
        self.attached = False
        if self.busy:
            await asyncio.wait(self.busy, timeout=FINISH_WITHIN)
        self.connection.close_callbacks.remove(self.lost)
        await self.connection.close()

    # Messages

    async def take(self, incoming):
        task = asyncio.current_task()
        self.busy.add(task)
        try:
            await self.settle(incoming)
        except (AMQPError, OSError, RuntimeError) as error:
            # The connection is lost: the broker delivers the message again.
            log("interrupted", level="warn", reason=f"{type(error).__name__}: {error}")
        finally:
            self.busy.discard(task)

    async def settle(self, incoming):
        properties = {name: getattr(incoming, name) for name in ("content_type", "content_encoding", "priority")}
        properties |= {name: getattr(incoming, name) for name in ("correlation_id", "message_id", "reply_to")}
        message = Received(
            self.queue.name, incoming.body, incoming.headers, incoming.exchange, incoming.routing_key,
            incoming.redelivered, properties,
        )
        for pause in PAUSES:
            try:
                await self.consume(message)
                break
            except Exception as error:
                if pause is None or isinstance(error, (Invalid, Poison)):
                    await self.dead_letter(message, str(error) or type(error).__name__)
                    break
            await asyncio.sleep(pause)
        await incoming.ack()

    async def dead_letter(self, message, reason):
        headers = message.dead_letter_headers(reason)
        await self.send("", DEAD_LETTER_QUEUE, message.body, headers=headers, **message.properties)
        log("dead_lettered", level="warn", reason=reason, dead_letter_queue=DEAD_LETTER_QUEUE, **message.about())

    async def send(self, exchange, key, body, **properties):
        """Returns when a queue has it, and raises when none does."""
        if not self.attached:
            raise ConnectionError("not connected to the broker")
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)
        target = self.confirming.default_exchange
        if exchange:
            target = await self.confirming.get_exchange(exchange, ensure=False)
        await target.publish(message, key, mandatory=True, timeout=10)

    async def publish(self, exchange, key, body, message_id=None, noted=None, **ids):
        """Publishes JSON, and logs it."""
        ids = {"message_id": message_id or fresh_id()} | {name: value for name, value in ids.items() if value}
        kind = {"content_type": "application/json", "content_encoding": "utf-8"}
        await self.send(exchange, key, json.dumps(body).encode(), **kind, **ids)
        log("published", **{"exchange": exchange, "routing_key": key} | ids | (noted or {}))

    # HTTP: as much of it as is needed, one request per connection

    async def respond(self, reader, writer):
        try:
            answer = await self.answer(reader)
            head = f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Failed')}\r\n"
            headers = {"content-type": "application/json", "content-length": len(answer.body), "connection": "close"}
            headers |= {name.replace("_", "-"): value for name, value in answer.headers.items()}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write((head + lines + "\r\n").encode() + answer.body)
            await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def answer(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
        length = re.search(r"\r\ncontent-length: *([0-9]+)", head, re.IGNORECASE)
        length = int(length[1]) if length else 0
        if length > LARGEST_BODY:
            return failure(413, "TOO_LARGE", f"more than {LARGEST_BODY} bytes")
        body = await reader.readexactly(length)
        path = urllib.parse.unquote(path.split("?", 1)[0])
        for (wanted, pattern), function in self.routes.items():
            if method == wanted and (found := re.fullmatch(pattern, path)):
                return await answered(function, body, **found.groupdict())
        return failure(404, "NOT_FOUND", "Not found")

    async def health(self, _body):
        if self.attached:
            return Answer(200, {"status": "ok"})
        return failure(503, "UNAVAILABLE", "the consumers are not attached")


def failure(status, error, message):
    return Answer(status, {"error": error, "message": message})


async def answered(function, body, **values):
    """What the function answers, or its failure in the form of fedctl's services."""
    try:
        return await function(body, **values)
    except Answer as answer:
        return answer
    except Invalid as invalid:
        return failure(400, "BAD_REQUEST", invalid.fields)
    except PublishError as error:
        return failure(500, "UNROUTABLE", f"no queue is bound for this message: {error}")
    except (AMQPError, DeliveryError, ChannelInvalidStateError, OSError, asyncio.TimeoutError) as error:
        return failure(503, "UNAVAILABLE", f"not connected to the broker: {error}")
