"""What all programs share, whichever client library they use: region, log lines, bodies, messages."""

import json
import os
import re
import secrets
import sys
import time
import urllib.parse
import uuid
from datetime import datetime, timezone

KIND = sys.argv[1]
REGION = os.environ["REGION"]
REGIONS = os.environ["REGIONS"].split(",")
INSTANCE = os.environ.get("INSTANCE", KIND)
with open(os.environ["AMQP_URI_FILE"], encoding="utf-8") as uri_file:
    AMQP_URI = uri_file.read().strip()
# The service's own directory on the volume that a region's services share.
DIRECTORY = os.path.dirname(os.environ["AMQP_URI_FILE"])
DEAD_LETTER_QUEUE = f"dead-letters.{KIND}"
PORT = 8000
# The pauses before the retries of a failed message; there is none after the last.
PAUSES = (0.1, 0.2, 0.4, 0.8, None)


# Log lines

def log(event, level="info", **fields):
    """Writes one JSON line: what `fedctl demo` reads."""
    line = {"at": datetime.now(timezone.utc).isoformat(), "level": level}
    line |= {"region": REGION, "service": KIND, "event": event} | fields
    # At once, line end included: threads write here too.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


# Bodies

class Invalid(Exception):
    """What is wrong with a body: reasons by field."""

    def __init__(self, fields):
        super().__init__("; ".join(f"{field}: {' '.join(reasons)}" for field, reasons in fields.items()))
        self.fields = fields


class Poison(Exception):
    """A message that can never be processed."""


def is_integer(value):
    return type(value) is int and -(2**63) <= value < 2**63


def is_positive(value):
    return is_integer(value) and value > 0


def is_text(value):
    return isinstance(value, str)


def is_word(value):
    return is_text(value) and value.strip() != ""


def is_decimal(value):
    return is_text(value) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None


INTEGER = (is_integer, "Not a valid integer.")
POSITIVE = (is_positive, "Not a positive integer.")
TEXT = (is_text, "Not a valid string.")
WORD = (is_word, "Not a string, or a blank one.")
DECIMAL = (is_decimal, "Not a valid decimal string.")


def parse(body):
    """The JSON of a body."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise Invalid({"_schema": [f"not valid JSON: {error}"]}) from error


def check(schema, value):
    """The schema's fields of `value`, or all that is wrong with them."""
    if not isinstance(value, dict):
        raise Invalid({"_schema": ["Invalid input type."]})
    wrong = {}
    for field, (is_valid, reason) in schema.items():
        if field not in value:
            wrong[field] = ["Missing data for required field."]
        elif value[field] is None:
            wrong[field] = ["Field may not be null."]
        elif not is_valid(value[field]):
            wrong[field] = [reason]
    if wrong:
        raise Invalid(wrong)
    return {field: value[field] for field in schema}


# Messages

# The properties that a dead-lettered message keeps.
KEPT = ["content_type", "content_encoding", "correlation_id", "message_id", "reply_to", "priority"]


def fresh_id():
    """A UUID of version 7: consumers that keep the latest event order by its time."""
    bits = (time.time_ns() // 1_000_000 << 80) | (7 << 76) | (secrets.randbits(12) << 64)
    return str(uuid.UUID(int=bits | (2 << 62) | secrets.randbits(62)))


class Received:
    """A message and the queue it came from; `properties` are those of the client library, by name."""

    def __init__(self, queue, body, headers, exchange, key, redelivered, properties):
        self.queue = queue
        self.body = body
        self.headers = headers or {}
        self.exchange = exchange
        self.key = key
        self.redelivered = bool(redelivered)
        self.properties = {name: properties[name] for name in KEPT if properties.get(name) is not None}
        self.message_id = self.properties.get("message_id") or fresh_id()
        self.correlation_id = self.properties.get("correlation_id")
        self.reply_to = self.properties.get("reply_to")

    @property
    def routing_key(self):
        """The key it was first published with, which queue federation replaces."""
        return self.headers.get("x-original-routing-key", self.key)

    @property
    def hops(self):
        """The regions that it came through by federation, the first one first."""
        came = reversed(self.headers.get("x-received-from", []))
        return [hop.get("cluster-name") or urllib.parse.urlsplit(hop.get("uri", "")).hostname for hop in came]

    def about(self):
        """Its fields in a log line."""
        ids = {name: self.properties[name] for name in ("correlation_id", "message_id") if name in self.properties}
        return ids | {
            "routing_key": self.routing_key,
            "queue": self.queue,
            "hops": self.hops,
            "redelivered": self.redelivered,
        }

    def dead_letter_headers(self, reason):
        """Its headers in the dead-letter queue: those it has, why it is there, and where it was."""
        return self.headers | {
            "x-parked-reason": reason,
            "x-parked-exchange": self.exchange,
            "x-parked-routing-key": self.key,
            "x-parked-queue": self.queue,
        }
