"""The table of what is asked: each row is one kind of work, as each peer is asked for it.

jqlite is asked for the fields that a client wants. PocketBase would narrow its whole records to them by `fields`, which
costs it 5 to 25 % of its rate (on one machine: 3,000 pages in place of 3,700, 5,200 records in place of 5,500); so it is
not asked to, and its answers are longer.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import data

VARIED = 4096
"""How many different requests there are where ids vary."""


@dataclass(frozen=True)
class Request:
    """A request before it has a host and a key."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Work:
    """One kind of work. `jqlite` and `pocketbase` make the request for a ticket's number, given a turn that counts up."""

    name: str
    title: str
    jqlite: Callable[[int, int], Request]
    pocketbase: Callable[[int, int], Request]
    varied: bool = False
    records: int = 0
    """Of a page: how many records it must have."""
    total: bool = False
    least_seconds: int = 1
    """How long a load must last for each connection to get some answers."""

    def requests(self, dialect: str, rows: int) -> list[Request]:
        """What is sent to a peer, in order."""
        make = getattr(self, dialect)
        numbers = random.Random(5).choices(range(1, rows + 1), k=VARIED if self.varied else 1)
        return [make(number, turn) for turn, number in enumerate(numbers)]


def jql(intent: str, meta: dict[str, Any], fields: dict[str, Any]) -> Request:
    """A request to jqlite about tickets."""
    meta = {"intent": intent, "namespace": "tickets.Ticket", **meta}
    return Request("POST", "/jql", {"__meta__": meta, **fields})


SHORT = {"id": None, "title": None, "status": None, "priority": None}
OPEN = {"filter": {"status": "open"}, "limit": 10}


def jqlite_page(meta: dict[str, Any], fields: dict[str, Any] = SHORT) -> Callable[[int, int], Request]:
    return lambda number, turn: jql("retrieve", meta, fields)


def jqlite_record(number: int, turn: int) -> Request:
    return jql("retrieveOne", {"uniqueObject": {"id": number}}, SHORT)


def jqlite_create(number: int, turn: int) -> Request:
    return jql("create", {}, {**written(number), "category": number % data.CATEGORIES + 1})


def jqlite_update(number: int, turn: int) -> Request:
    return jql("update", {"uniqueObject": {"id": number}}, {"priority": turn % 6})


RECORDS = "/api/collections/tickets/records"


def pocketbase_page(**query: Any) -> Callable[[int, int], Request]:
    words = urlencode({"page": 1, "perPage": 10, **query})
    return lambda number, turn: Request("GET", f"{RECORDS}?{words}")


def pocketbase_record(number: int, turn: int) -> Request:
    return Request("GET", f"{RECORDS}/{data.text_id('ticket', number)}")


def pocketbase_create(number: int, turn: int) -> Request:
    category = data.text_id("category", number % data.CATEGORIES + 1)
    return Request("POST", RECORDS, {**written(number), "category": category})


def pocketbase_update(number: int, turn: int) -> Request:
    return Request("PATCH", f"{RECORDS}/{data.text_id('ticket', number)}", {"priority": turn % 6})


def written(number: int) -> dict[str, Any]:
    """A new ticket, its category aside."""
    text = f"A new one after {number}. It goes on for a while."
    return {"title": f"New ticket {number}", "description": text, "status": "open", "priority": number % 6}


def mixed(read: Callable[[int, int], Request], create: Callable[[int, int], Request]) -> Callable[[int, int], Request]:
    """Nine reads, then a create."""
    return lambda number, turn: (create if turn % 10 == 9 else read)(number, turn)


IS_OPEN = "status='open'"
HOLDS = f"title~'{data.WORD}' || description~'{data.WORD}'"

WORKS = [
    Work(
        "page",
        "page of 10 by an indexed filter, no total",
        jqlite_page({**OPEN, "count": False}),
        pocketbase_page(filter=IS_OPEN, skipTotal=1),
        records=10,
    ),
    Work("record", "record by id", jqlite_record, pocketbase_record, varied=True),
    Work(
        "total",
        "the same page with its total",
        jqlite_page(OPEN),
        pocketbase_page(filter=IS_OPEN),
        records=10,
        total=True,
    ),
    Work(
        "nested",
        "page of 10 with a reference and a list nested",
        # PocketBase cannot bound the list (its own bound is 1,000); each ticket has two comments, so both answer the same.
        jqlite_page(
            {**OPEN, "count": False},
            {
                "id": None,
                "title": None,
                "category": {"name": None},
                "comments": {"__meta__": {"limit": 5}, "id": None, "text": None},
            },
        ),
        pocketbase_page(filter=IS_OPEN, skipTotal=1, expand="category,comments_via_ticket"),
        records=10,
    ),
    Work(
        "search",
        "text search for a rare word, no total",
        jqlite_page({"search": {"value": data.WORD}, "limit": 10, "count": False}),
        pocketbase_page(filter=HOLDS, skipTotal=1),
        records=10,
        least_seconds=8,
    ),
    Work("create", "create a ticket", jqlite_create, pocketbase_create, varied=True),
    Work("update", "update one field by id", jqlite_update, pocketbase_update, varied=True),
    Work(
        "mixed",
        "9 records by id, then 1 create",
        mixed(jqlite_record, jqlite_create),
        mixed(pocketbase_record, pocketbase_create),
        varied=True,
    ),
]
