"""A transactional outbox: the change and its event are one transaction, so neither is without the other.

    python3 outbox.py order 42     an order is paid: a row of `orders` and one of `outbox`
    python3 outbox.py relay        what lies in the outbox is published, and removed

A relay that dies in between publishes the row again: under the same key, so it is the same event.
"""
import json
import os
import sqlite3
import sys
import uuid

from publish import publish

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL
);
"""


def pay(database, order):
    with database:  # One transaction: both rows, or none.
        database.execute("INSERT INTO orders (id, state) VALUES (?, 'paid')", (order,))
        database.execute(
            "INSERT INTO outbox (key, type, data) VALUES (?, ?, ?)",
            (str(uuid.uuid4()), "order.paid", json.dumps({"order": order})),
        )


def relay(database):
    """Until the outbox is empty. Run it in a loop, or whenever something was put there."""
    rows = "SELECT position, key, type, data FROM outbox ORDER BY position LIMIT 100"
    while found := database.execute(rows).fetchall():
        for position, key, event_type, data in found:
            print(json.dumps(publish(event_type, json.loads(data), key)))
            with database:
                database.execute("DELETE FROM outbox WHERE position = ?", (position,))


if __name__ == "__main__":
    database = sqlite3.connect(os.environ.get("DATABASE", "shop.db"))
    database.executescript(SCHEMA)
    match sys.argv[1:]:
        case ["order", number]:
            pay(database, int(number))
        case ["relay"]:
            relay(database)
        case _:
            sys.exit(__doc__)
