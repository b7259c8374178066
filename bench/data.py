"""The records that every peer holds, the same ones in the same order."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

CATEGORIES = 20
COMMENTS = 2  # of each ticket
STATUSES = ("open", "pending", "closed")
WORD = "zanzibar"
"""Stands in ten descriptions, however many tickets there are."""
WORDS = 10
BEGIN = 1_700_000_000


@dataclass(frozen=True)
class Ticket:
    """One ticket, as a peer's seeding wants it; `category` is a number from 1."""

    number: int
    title: str
    description: str
    status: str
    priority: int
    category: int
    moment: time.struct_time


def tickets(rows: int) -> Iterator[Ticket]:
    """All tickets."""
    every = max(rows // WORDS, 1)
    for number in range(1, rows + 1):
        tail = f"It came from {WORD}." if number % every == 0 else "It goes on for a while."
        yield Ticket(
            number,
            f"Ticket number {number}",
            f"Something about {number}. {tail}",
            STATUSES[number % 3],
            number % 6,
            number % CATEGORIES + 1,
            time.gmtime(BEGIN + number * 60),
        )


def comments(rows: int) -> Iterator[tuple[int, str]]:
    """All comments: the number of the ticket, the text."""
    for number in range(1, rows + 1):
        for turn in range(COMMENTS):
            yield number, f"Remark {turn + 1} on ticket {number}"


def categories() -> list[str]:
    """The names of the categories, from number 1 on."""
    return [f"Category {number}" for number in range(1, CATEGORIES + 1)]


def opened(rows: int) -> int:
    """How many tickets are open."""
    return rows // 3


def text_id(kind: str, number: int) -> str:
    """The id of a record in PocketBase: 15 characters in no order, as its own are."""
    return hashlib.blake2b(f"{kind}{number}".encode(), digest_size=8).hexdigest()[:15]
