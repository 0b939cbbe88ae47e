"""The service `rpc-worker` by aio-pika: one worker, or `WORKERS` of them, each with a prefetch of one."""

import asyncio
import functools
import json
import os
import re
from collections import Counter, OrderedDict

import rpc_wiring
from aio_pika.exceptions import PublishError
from by_aio_pika import Service
from shared import INSTANCE, REGION, Poison, log

PREFETCH = 1
WORKERS = int(os.environ.get("WORKERS", "1"))
LONGEST_SLOW_MS = 10_000
REMEMBERED = 10_000


class Refusal(Exception):
    """A command that is refused: the error and the message that the caller gets."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


def invalid(message):
    return Refusal("invalid_request", message)


def read(body):
    """The command of a request and its data."""
    try:
        envelope = json.loads(body)
    except ValueError as error:
        raise invalid(f"not valid JSON: {error}") from error
    pattern = envelope.get("pattern") if isinstance(envelope, dict) else None
    command = pattern.get("cmd") if isinstance(pattern, dict) else None
    if not isinstance(command, str):
        raise invalid("no text in `pattern.cmd`")
    return command, envelope.get("data")


def analyze(data):
    data = data if isinstance(data, dict) else {}
    text, numbers = data.get("text"), data.get("numbers")
    if isinstance(text, str):
        return analyze_text(text)
    if isinstance(numbers, list) and all(type(number) in (int, float) for number in numbers):
        return analyze_numbers([float(number) for number in numbers])
    raise invalid("`analyze` needs `text` (a string) or `numbers` (a list of numbers)")


def analyze_text(text):
    counts = Counter(word.lower() for word in re.findall(r"[^\W_]+", text))
    most = min(counts.items(), key=lambda item: (-item[1], item[0]), default=None)
    return {
        "characters": len(text),
        "words": counts.total(),
        "distinct_words": len(counts),
        "most_frequent": most and {"word": most[0], "count": most[1]},
    }


def analyze_numbers(numbers):
    total = sum(numbers, 0.0)
    mean = total / len(numbers) if numbers else None
    ends = {"min": min(numbers, default=None), "max": max(numbers, default=None)}
    return {"count": len(numbers), "sum": total, "mean": mean} | ends


async def slow(data):
    ms = data.get("ms") if isinstance(data, dict) else None
    if type(ms) is not int or not 0 <= ms <= LONGEST_SLOW_MS:
        raise invalid(f"`ms`: not an integer up to {LONGEST_SLOW_MS}")
    await asyncio.sleep(ms / 1000)
    return {"ms": ms}


async def perform(command, data):
    match command:
        case "analyze":
            return analyze(data)
        case "ping":
            return {"region": REGION, "instance": INSTANCE}
        case "slow":
            return await slow(data)
        case "fail":
            said = data.get("message") if isinstance(data, dict) else None
            raise Refusal("internal_server_error", said if isinstance(said, str) else "failed as asked")
    raise Refusal("unknown_pattern", f"there is no command `{command}`")


class Worker:
    def __init__(self):
        self.answered = OrderedDict()
        declare = functools.partial(rpc_wiring.declare, consumed=rpc_wiring.REQUESTS)
        self.service = Service(declare, PREFETCH, self.consume, workers=WORKERS)

    async def consume(self, message):
        if message.message_id in self.answered:
            return log("duplicate_skipped", **message.about())
        if not message.reply_to:
            raise Poison("no `reply_to`")
        command = None
        try:
            command, data = read(message.body)
            outcome, reply = "success", {"status": "success", "data": await perform(command, data)}
        except Refusal as refusal:
            outcome, reply = refusal.error, {"error": refusal.error, "message": str(refusal)}
        await self.reply(message, reply)
        self.remember(message.message_id)
        fields = {"cmd": command, "outcome": outcome, "instance": INSTANCE, "reply_to": message.reply_to}
        log("rpc_handled", **message.about(), **fields)

    async def reply(self, message, reply):
        ids = {"correlation_id": message.correlation_id, "message_id": f"{message.message_id}.reply"}
        try:
            await self.service.publish("", message.reply_to, reply, **ids)
        except PublishError as error:
            # Retrying does not create a missing reply queue.
            raise Poison(str(error)) from error

    def remember(self, message_id):
        self.answered[message_id] = True
        if len(self.answered) > REMEMBERED:
            self.answered.popitem(last=False)


def main():
    Worker().service.run()
