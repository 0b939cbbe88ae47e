"""The service `profile` by aio-pika: a user's name, changed in one region, becomes readable in every region."""

import functools
import re
import urllib.parse
import uuid

from by_aio_pika import Answer, Service, failure
from shared import INTEGER, REGION, WORD, Invalid, check, fresh_id, log, parse
from store import Store

UPDATES = "user_updates"
PREFETCH = 32
USER = {"full_name": WORD, "id": INTEGER}
TABLES = "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, version TEXT);"
KEEP = """
INSERT INTO users VALUES (:id, :full_name, :version)
ON CONFLICT (id) DO UPDATE SET full_name = :full_name, version = coalesce(:version, version)
WHERE :version IS NULL OR version IS NULL OR :version > version
"""


async def declare(channel):
    exchange = await channel.declare_exchange(UPDATES, "topic", durable=True)
    queue = await channel.declare_queue(f"profile.{REGION}", durable=True)
    await queue.bind(exchange, "user.profile.*")
    return queue


def version(message_id):
    """An identifier that sorts by time, spelled so that it does; others have none."""
    try:
        identifier = uuid.UUID(message_id)
    except ValueError:
        return None
    return str(identifier) if identifier.version == 7 else None


def keep(database, values):
    """Whether the user is now as the event says, which has the latest identifier so far."""
    return database.execute(KEEP, values).rowcount == 1


class Profile:
    def __init__(self):
        self.store = Store(TABLES)
        user = r"/users/(?P<number>[^/]+)"
        routes = {
            ("GET", user): self.read,
            ("POST", user): self.change,
            ("POST", user + r"/events/(?P<action>[^/]+)"): self.announce,
        }
        self.service = Service(declare, PREFETCH, self.consume, routes)

    async def consume(self, message):
        user = check(USER, parse(message.body))
        values = user | {"version": version(message.properties.get("message_id", ""))}
        is_kept, is_first = self.store.once(message.message_id, functools.partial(keep, values=values))
        word = "profile_updated" if is_kept else "stale_skipped"
        log(word if is_first else "duplicate_skipped", **message.about(), **user)

    async def read(self, _body, number):
        if re.fullmatch(r"-?[0-9]{1,18}", number):
            user = self.store.row("SELECT full_name, id FROM users WHERE id = ?", [int(number)])
            if user:
                return Answer(200, dict(user))
        return failure(404, "NOT_FOUND", "User not found")

    async def change(self, body, number):
        return await self.announce(body, number, "profile.update")

    async def announce(self, body, number, action):
        if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", action) or len(action) > 100:
            raise Invalid({"action": ["Not a valid routing key."]})
        form = urllib.parse.parse_qs(body.decode(errors="replace"))
        fields = {"id": int(number) if re.fullmatch(r"-?[0-9]{1,18}", number) else number}
        fields |= {name: values[0] for name, values in form.items() if name == "full_name"}
        user, correlation_id = check(USER, fields), fresh_id()
        await self.service.publish(UPDATES, f"user.{action}", user, noted=user, correlation_id=correlation_id)
        return Answer(201, {"full_name": user["full_name"]}, x_correlation_id=correlation_id)


def main():
    Profile().service.run()
