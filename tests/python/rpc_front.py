"""The service `rpc` by aio-pika: `POST /rpc` asks whichever worker is free, and waits for its reply."""

import asyncio
import functools
import json
import time

import rpc_wiring
from by_aio_pika import Answer, Service, failure
from shared import REGION, WORD, check, fresh_id, is_integer, log, parse

PREFETCH = 64
TIMEOUT_MS = 5_000
LONGEST_TIMEOUT_MS = 60_000
BOUNDED = (lambda ms: is_integer(ms) and 1 <= ms <= LONGEST_TIMEOUT_MS, "Not an integer from 1 to 60000.")


class Front:
    def __init__(self):
        self.reply_to = rpc_wiring.replies(REGION)
        self.waiting = {}
        declare = functools.partial(rpc_wiring.declare, consumed=self.reply_to)
        self.service = Service(declare, PREFETCH, self.consume, {("POST", "/rpc"): self.call})

    async def consume(self, message):
        reply = self.waiting.get(message.correlation_id)
        if reply is None or reply.done():
            return log("late_reply_dropped", level="warn", **message.about())
        reply.set_result(message)

    async def call(self, body):
        asked = parse(body)
        call = check({"cmd": WORD}, asked)
        patience = check({"timeout_ms": BOUNDED}, {"timeout_ms": TIMEOUT_MS} | asked)["timeout_ms"]
        identity, begun = fresh_id(), time.monotonic()
        request = {"pattern": call, "data": asked.get("data"), "id": identity}
        reply = self.waiting[identity] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience / 1000):
                ids = {"correlation_id": identity, "reply_to": self.reply_to}
                await self.service.publish("", rpc_wiring.REQUESTS, request, noted=call, **ids)
                answer = self.replied(await reply, call["cmd"], begun)
        except TimeoutError:
            log("rpc_timeout", level="warn", correlation_id=identity, cmd=call["cmd"], timeout_ms=patience)
            answer = failure(504, "timeout", f"no reply to `{call['cmd']}` within {patience} ms")
        finally:
            del self.waiting[identity]
        answer.headers["x-correlation-id"] = identity
        return answer

    def replied(self, message, command, begun):
        try:
            reply = json.loads(message.body)
            said = reply if isinstance(reply, dict) else {}
            outcome = said.get("error", said.get("status"))
            answer = Answer(200, message.body)
        except ValueError as error:
            outcome = "invalid_reply"
            answer = failure(502, outcome, f"not valid JSON: {error}")
        took_ms = round((time.monotonic() - begun) * 1000)
        log("rpc_reply", **message.about(), cmd=command, outcome=outcome, took_ms=took_ms)
        return answer


def main():
    Front().service.run()
