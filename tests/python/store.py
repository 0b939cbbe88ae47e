"""What a service keeps: SQLite in its own directory, with the outcome of each message."""

import contextlib
import json
import os
import sqlite3

from shared import DIRECTORY, KIND


class Store:
    def __init__(self, tables):
        self.path = os.path.join(DIRECTORY, f"{KIND}.db")
        with contextlib.closing(self.connect()) as database:
            seen = "CREATE TABLE IF NOT EXISTS seen (message_id TEXT PRIMARY KEY, outcome TEXT NOT NULL);"
            database.executescript(seen + tables)

    def connect(self):
        database = sqlite3.connect(self.path, timeout=2, isolation_level=None)
        database.row_factory = sqlite3.Row
        return database

    def row(self, sql, values=()):
        with contextlib.closing(self.connect()) as database:
            return database.execute(sql, values).fetchone()

    def once(self, message_id, work):
        """The outcome of a message, and whether it is new: `work(database)` is done the first time only."""
        with contextlib.closing(self.connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            seen = database.execute("SELECT outcome FROM seen WHERE message_id = ?", [message_id]).fetchone()
            if seen:
                return json.loads(seen["outcome"]), False
            outcome = work(database)
            database.execute("INSERT INTO seen VALUES (?, ?)", [message_id, json.dumps(outcome)])
            return outcome, True
