"""The service `compute-host` by pika: carries out commands on the machines it keeps, and answers."""

import functools
import os

from by_pika import Service
from shared import INSTANCE, POSITIVE, REGION, REGIONS, WORD, Invalid, Poison, check, log, parse
from store import Store

COMPUTING = "computing"
COMPETING = "computing-competing"
PREFETCHES = dict.fromkeys([COMPETING, f"computing-host.{REGION}.{INSTANCE}"], 64)
OWN = f"{REGION}/{INSTANCE}"
KNOWN = [host.strip() for host in os.environ.get("COMPUTE_HOSTS", OWN).split(",")]
CPUS = int(os.environ.get("CAPACITY") or "4")
IMAGES = [image.strip() for image in (os.environ.get("IMAGES") or "debian,alpine").split(",")]
CREATE = "create-vm"
WORDS = {
    CREATE: "vm_created",
    "start-vm": "vm_started",
    "stop-vm": "vm_stopped",
    "delete-vm": "vm_deleted",
    "list-vms": "vms_listed",
}
WANTED = {"name": WORD, "image": WORD, "cpus": POSITIVE}
TABLES = """
CREATE TABLE IF NOT EXISTS machines (
    name TEXT PRIMARY KEY, image TEXT NOT NULL, cpus INTEGER NOT NULL, state TEXT NOT NULL
);
"""


def queue_of(host):
    region, instance = host.split("/")
    return f"computing-host.{region}.{instance}"


def declare(channel):
    """All queues of all hosts, so that a command for one that is far away, or down, can wait."""
    channel.exchange_declare(COMPUTING, "direct", durable=True)
    for queue in [COMPETING, *map(queue_of, KNOWN), *(f"computing-replies.{region}" for region in REGIONS)]:
        channel.queue_declare(queue, durable=True)
    channel.queue_bind(COMPETING, COMPUTING, CREATE)
    for host in KNOWN:
        for command in WORDS.keys() - {CREATE}:
            channel.queue_bind(queue_of(host), COMPUTING, command)


def read(message):
    """The command and its fields."""
    # A message passed from host to host goes straight to its queue, so the key is not the command.
    command = message.headers.get("x-command") or message.routing_key
    if command not in WORDS:
        raise Invalid({"_schema": [f"unknown command `{command}`"]})
    schema = {CREATE: WANTED, "list-vms": {}}.get(command, {"name": WORD})
    return command, check(schema, parse(message.body))


# The outcome of a command: `done`, with its result; `refused`, with the reason; or `declined`, with what is short.

def create(database, wanted):
    used = database.execute("SELECT coalesce(sum(cpus), 0) FROM machines").fetchone()[0]
    if find(database, wanted["name"]):
        return {"refused": f"vm `{wanted['name']}` exists"}
    if wanted["image"] not in IMAGES:
        return {"declined": "image"}
    if wanted["cpus"] > CPUS - used:
        return {"declined": "capacity"}
    database.execute("INSERT INTO machines VALUES (:name, :image, :cpus, 'stopped')", wanted)
    return {"done": {"vm": find(database, wanted["name"])}}


def change(database, command, name):
    state = "running" if command == "start-vm" else "stopped"
    database.execute("UPDATE machines SET state = ? WHERE name = ?", [state, name])
    machine = find(database, name)
    if machine is None:
        return {"refused": "no such vm"}
    if command == "delete-vm":
        database.execute("DELETE FROM machines WHERE name = ?", [name])
    return {"done": {"vm": machine}}


def find(database, name):
    machine = database.execute("SELECT * FROM machines WHERE name = ?", [name]).fetchone()
    return dict(machine) if machine else None


def perform(database, command, fields):
    if command == CREATE:
        return create(database, fields)
    if command == "list-vms":
        rows = database.execute("SELECT * FROM machines ORDER BY name")
        return {"done": {"vms": [dict(row) for row in rows]}}
    return change(database, command, fields["name"])


# Who has declined, in the order in which they did: `<region>/<instance>=image` or `=capacity`.

def declined_by(header, lack):
    entries = header if isinstance(header, list) else (header or "").split(",")
    declined = dict(entry.strip().partition("=")[::2] for entry in entries if entry.strip())
    declined.pop(OWN, None)
    return declined | {OWN: lack}


def next_of(declined):
    """Who is asked after this host: the next known one, around the end, that has not declined."""
    place = KNOWN.index(OWN) + 1
    return next((host for host in KNOWN[place:] + KNOWN[:place] if host not in declined), None)


def verdict(declined, wanted):
    if set(declined.values()) == {"image"}:
        return f"no host has image `{wanted['image']}`"
    return f"no host has capacity for {wanted['cpus']} cpus with image `{wanted['image']}`"


class Host:
    def __init__(self):
        if OWN not in KNOWN:
            raise SystemExit(f"`COMPUTE_HOSTS` does not list this host, `{OWN}`")
        self.store = Store(TABLES)
        self.service = Service(declare, PREFETCHES, self.consume)

    def consume(self, message):
        try:
            command, fields = read(message)
        except Invalid as invalid:
            if not message.reply_to:
                raise Poison(str(invalid)) from invalid
            return self.answer(message, "", reason=str(invalid))
        work = functools.partial(perform, command=command, fields=fields)
        outcome, is_first = self.store.once(message.message_id, work)
        if not is_first:
            log("duplicate_skipped", **message.about(), host=OWN)
        if "declined" in outcome:
            return self.decline(message, fields, outcome["declined"])
        if is_first and "done" in outcome:
            log(WORDS[command], **message.about(), host=OWN, **outcome["done"].get("vm", {}))
        self.answer(message, command, outcome.get("done"), outcome.get("refused"))

    def decline(self, message, wanted, lack):
        """Passes a machine to the next host's own queue: from the shared one this host may take it again."""
        declined = declined_by(message.headers.get("x-declined"), lack)
        after = next_of(declined)
        fields = {"host": OWN, "name": wanted["name"], "handed_to": after}
        log("vm_declined", **message.about(), **fields, reason=lack)
        if after is None:
            return self.answer(message, CREATE, reason=verdict(declined, wanted))
        entries = ",".join(f"{host}={missing}" for host, missing in declined.items())
        headers = {"x-command": CREATE, "x-declined": entries}
        ids = {"message_id": message.message_id, "correlation_id": message.correlation_id}
        ids["reply_to"] = message.reply_to
        self.service.publish("", queue_of(after), wanted, headers=headers, noted=fields, **ids)

    def answer(self, message, command, result=None, reason=None):
        """Replies, also to a repeated command: the identifier makes a second reply harmless."""
        if not message.reply_to:
            return
        status = "success" if reason is None else "error"
        info = {"status": status} if reason is None else {"status": status, "reason": reason}
        body = {"execution-info": info, "response": (result or {}) | {"host": OWN}}
        fields = {"host": OWN, "command": command, "status": status}
        ids = {"message_id": f"{message.message_id}.reply.{OWN}", "correlation_id": message.correlation_id}
        self.service.publish("", message.reply_to, body, noted=fields, **ids)
        fields |= {} if reason is None else {"reason": reason}
        log("command_answered", **message.about(), **fields, reply_to=message.reply_to)


def main():
    Host().service.run()
