"""The servers that are compared: how each gets its data, is started, asked and stopped."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import data
from work import Request, Work

HOST = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0
"""Seconds that a server may take to start or to stop."""


class Failed(Exception):
    """What ends the run, as a sentence."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


class Peer(ABC):
    """A server: its process, and the words that it is asked with."""

    dialect: str
    """Which column of the table of work it understands."""

    def __init__(self, name: str, binary: Path, folder: Path) -> None:
        self.name = name
        self.binary = binary
        self.folder = folder
        """Where its data is; it may be moved between a stop and a start."""
        self.port = free_port()
        self.token = ""
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def seed(self, rows: int) -> None:
        """Fills the folder."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """What starts the server."""

    @abstractmethod
    def database(self) -> Path:
        """The file with the records."""

    @abstractmethod
    def check(self, work: Work, answer: Any, rows: int) -> None:
        """Fails unless the answer to the first request of that work is right."""

    def spawn(self) -> None:
        """Starts the process and waits for nothing."""
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr.txt").open("wb"),
        )

    def start(self) -> None:
        """Starts the server and waits until it takes connections."""
        self.spawn()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.alive()
            try:
                socket.create_connection((HOST, self.port)).close()
                return
            except OSError:
                time.sleep(0.005)
        raise Failed(f"{self.name} did not start")

    def expect_connections(self, number: int) -> None:
        """Called before a load with so many connections."""

    def alive(self) -> None:
        """Fails if the process is gone."""
        if self.process is None or self.process.poll() is not None:
            told = (self.folder / "stderr.txt").read_text(errors="replace")
            raise Failed(f"{self.name} ended: {told[-2000:]}")

    def stop(self) -> None:
        """Stops the server in order, and kills it where it does not."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu_seconds(self) -> float:
        """Processor time that the process took so far."""
        assert self.process
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> tuple[int, int]:
        """Bytes of resident memory: now, and at most so far."""
        assert self.process
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return kib["VmRSS"] * 1024, kib["VmHWM"] * 1024

    def size(self) -> int:
        """Bytes of the database."""
        return self.database().stat().st_size

    def bytes_of(self, request: Request) -> bytes:
        """A whole HTTP request."""
        lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {HOST}:{self.port}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        body = b""
        if request.body is not None:
            body = json.dumps(request.body, separators=(",", ":")).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def send(self, request: bytes) -> bytes:
        """The whole answer to a request, head and body."""
        with socket.create_connection((HOST, self.port), timeout=PATIENCE) as connection:
            connection.sendall(request)
            answer = b""
            while not whole(answer):
                more = connection.recv(1 << 20)
                if not more:
                    raise Failed(f"{self.name} cut its answer short")
                answer += more
        return answer

    def ask(self, request: Request) -> Any:
        """What is answered, as JSON; fails unless the status is 2xx."""
        answer = self.send(self.bytes_of(request))
        head, _, told = answer.partition(b"\r\n\r\n")
        if head.split()[1][:1] != b"2":
            raise Failed(f"{self.name} answered {request.method} {request.path} with {answer.decode(errors='replace')}")
        return json.loads(unchunked(head, told))


def whole(answer: bytes) -> bool:
    """Whether all of an answer is there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
    return len(body) >= length if length is not None else body.endswith(b"0\r\n\r\n")


def unchunked(head: bytes, body: bytes) -> bytes:
    """The body of an answer, whatever it travelled as."""
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    joined = b""
    while body:
        length, _, body = body.partition(b"\r\n")
        joined += body[: int(length, 16)]
        body = body[int(length, 16) + 2 :]
    return joined


def expect(name: str, work: Work, seen: Any, wanted: Any) -> None:
    """Fails where they differ."""
    if seen != wanted:
        raise Failed(f"{name} answered {work.name} with {seen!r} in place of {wanted!r}")


class Jqlite(Peer):
    """jqlite on a file; keys checked, usage log on, `synchronous=FULL`."""

    dialect = "jqlite"
    MODELS = {
        "tickets.Category": {"fields": {"name": {"type": "string", "max_length": 80}}},
        "tickets.Ticket": {
            "fields": {
                "title": {"type": "string", "max_length": 200},
                "description": {"type": "text"},
                "status": {"type": "string", "choices": list(data.STATUSES), "index": True},
                "priority": {"type": "integer"},
                "category": {"type": "ref", "to": "tickets.Category", "on_delete": "restrict", "related_name": "tickets"},
                "created": {"type": "datetime", "auto_now_add": True},
                "updated": {"type": "datetime", "auto_now": True},
            },
            "search": ["title", "description"],
        },
        "tickets.Comment": {
            "fields": {
                "ticket": {"type": "ref", "to": "tickets.Ticket", "on_delete": "cascade", "related_name": "comments"},
                "text": {"type": "text"},
            }
        },
    }

    def database(self) -> Path:
        return self.folder / "jqlite.db"

    def command(self) -> list[str | Path]:
        return [self.binary, "--db", self.database(), "serve", "--listen", f"{HOST}:{self.port}"]

    def run(self, *words: str) -> str:
        """What a command on the file prints."""
        done = subprocess.run([self.binary, "--db", self.database(), *words], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"jqlite {' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def seed(self, rows: int) -> None:
        models = self.folder / "models.json"
        models.write_text(json.dumps(self.MODELS))
        self.run("models", "apply", str(models))
        self.token = self.run("bootstrap")
        with writing(self.database()) as database:
            database.executemany('INSERT INTO "tickets.Category" ("name") VALUES (?)', zip(data.categories()))
            database.executemany(
                'INSERT INTO "tickets.Ticket" ("id", "title", "description", "status", "priority", "category", "created",'
                ' "updated") VALUES (?, ?, ?, ?, ?, ?, ?7, ?7)',
                map(self.row, data.tickets(rows)),
            )
            database.executemany(
                'INSERT INTO "tickets.Comment" ("ticket", "text") VALUES (?, ?)', data.comments(rows)
            )

    @staticmethod
    def row(ticket: data.Ticket) -> tuple[Any, ...]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", ticket.moment)
        return (
            ticket.number,
            ticket.title,
            ticket.description,
            ticket.status,
            ticket.priority,
            ticket.category,
            moment,
        )

    def check(self, work: Work, answer: Any, rows: int) -> None:
        expect(self.name, work, answer["status"], "OK")
        found = answer["data"]
        if not work.records:
            expect(self.name, work, type(found["id"]), int)
            return
        expect(self.name, work, len(found), work.records)
        if work.total:
            expect(self.name, work, answer["extras"]["filtered"], data.opened(rows))
        if work.name == "nested":
            expect(self.name, work, [len(record["comments"]) for record in found], [data.COMMENTS] * 10)
            expect(self.name, work, {record["category"]["name"][:9] for record in found}, {"Category "})


class Memory(Jqlite):
    """jqlite on a database in memory, for its start alone. It has no key there, so it is asked whether it is ready."""

    def database(self) -> Path:
        return Path(":memory:")


class PocketBase(Peer):
    """PocketBase on a folder; its token is checked by the rules of each collection, its log of requests is on as it is by
    default (level INFO, kept for five days), and so is `synchronous=NORMAL`."""

    dialect = "pocketbase"
    PERSON = {"email": "person@example.com", "password": "correct horse battery"}

    def database(self) -> Path:
        return self.folder / "data.db"

    def command(self) -> list[str | Path]:
        return [self.binary, "serve", "--dir", self.folder, "--http", f"{HOST}:{self.port}"]

    def sign_in(self, collection: str) -> str:
        """The token of the person of a collection."""
        body = {"identity": self.PERSON["email"], "password": self.PERSON["password"]}
        return self.ask(Request("POST", f"/api/collections/{collection}/auth-with-password", body))["token"]

    def seed(self, rows: int) -> None:
        words = ["superuser", "upsert", self.PERSON["email"], self.PERSON["password"], "--dir", self.folder]
        subprocess.run([self.binary, *words], check=True, capture_output=True)
        self.start()
        self.token = self.sign_in("_superusers")
        self.make_collections()
        person = {**self.PERSON, "passwordConfirm": self.PERSON["password"]}
        self.ask(Request("POST", "/api/collections/users/records", person))
        self.token = self.sign_in("users")
        self.stop()
        with writing(self.database()) as database:
            names = enumerate(data.categories(), 1)
            database.executemany(
                "INSERT INTO categories (id, name) VALUES (?, ?)",
                ((data.text_id("category", number), name) for number, name in names),
            )
            database.executemany(
                "INSERT INTO tickets (id, title, description, status, priority, category, created, updated)"
                " VALUES (?, ?, ?, ?, ?, ?, ?7, ?7)",
                map(self.row, data.tickets(rows)),
            )
            database.executemany(
                "INSERT INTO comments (id, ticket, text) VALUES (?, ?, ?)",
                (
                    (data.text_id("comment", turn), data.text_id("ticket", number), text)
                    for turn, (number, text) in enumerate(data.comments(rows))
                ),
            )

    def make_collections(self) -> None:
        """The collections, with the rules that ask for a token and the indexes that jqlite has too."""
        auto = {"type": "autodate", "onCreate": True}
        category = self.collection("categories", [{"name": "name", "type": "text", "required": True, "max": 80}])
        ticket = self.collection(
            "tickets",
            [
                {"name": "title", "type": "text", "required": True, "max": 200},
                {"name": "description", "type": "text", "required": True},
                {"name": "status", "type": "select", "required": True, "maxSelect": 1, "values": list(data.STATUSES)},
                {"name": "priority", "type": "number", "onlyInt": True},
                {"name": "category", "type": "relation", "required": True, "collectionId": category, "maxSelect": 1},
                {"name": "created", **auto},
                {"name": "updated", **auto, "onUpdate": True},
            ],
            ["status", "category"],
        )
        self.collection(
            "comments",
            [
                {"name": "ticket", "type": "relation", "required": True, "collectionId": ticket, "maxSelect": 1},
                {"name": "text", "type": "text", "required": True},
            ],
            ["ticket"],
        )

    def collection(self, name: str, fields: list[dict[str, Any]], indexed: tuple[str, ...] | list[str] = ()) -> str:
        """Makes a collection and gives its id."""
        rules = dict.fromkeys(["listRule", "viewRule", "createRule", "updateRule"], '@request.auth.id != ""')
        indexes = [f"CREATE INDEX idx_{name}_{field} ON {name} ({field})" for field in indexed]
        body = {"name": name, "type": "base", **rules, "fields": fields, "indexes": indexes}
        return self.ask(Request("POST", "/api/collections", body))["id"]

    @staticmethod
    def row(ticket: data.Ticket) -> tuple[Any, ...]:
        moment = time.strftime("%Y-%m-%d %H:%M:%S.000Z", ticket.moment)
        return (
            data.text_id("ticket", ticket.number),
            ticket.title,
            ticket.description,
            ticket.status,
            ticket.priority,
            data.text_id("category", ticket.category),
            moment,
        )

    def check(self, work: Work, answer: Any, rows: int) -> None:
        if not work.records:
            expect(self.name, work, len(answer["id"]), 15)
            return
        found = answer["items"]
        expect(self.name, work, len(found), work.records)
        expect(self.name, work, answer["totalItems"], data.opened(rows) if work.total else -1)
        if work.name == "nested":
            comments = [len(record["expand"]["comments_via_ticket"]) for record in found]
            expect(self.name, work, comments, [data.COMMENTS] * 10)
            expect(self.name, work, {record["expand"]["category"]["name"][:9] for record in found}, {"Category "})


class Echo(Peer):
    """The bare server. It answers the bytes that it was given, which jqlite sent to the same request."""

    dialect = "jqlite"

    def seed(self, rows: int) -> None:
        self.database().write_bytes(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")

    def database(self) -> Path:
        return self.folder / "answer"

    def command(self) -> list[str | Path]:
        return [self.binary, str(self.port), self.database()]

    def check(self, work: Work, answer: Any, rows: int) -> None:
        expect(self.name, work, answer["status"], "OK")

    def expect_connections(self, number: int) -> None:
        """Makes `tiny_http` start a thread for each. Of many that come at once it would leave most unserved for the whole
        load; it makes threads for those that come one by one, and keeps them for five seconds."""
        with contextlib.ExitStack() as opened:
            for _ in range(number + 4):
                opened.enter_context(socket.create_connection((HOST, self.port)))
                time.sleep(0.001)


class writing:
    """A database that is filled in one transaction and gets its statistics; nobody serves it meanwhile."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise Failed(f"Python's SQLite is {sqlite3.sqlite_version}; the tables need 3.37 or newer")
        self.database = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("BEGIN")
        return self.database

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        if kind is None:
            self.database.execute("COMMIT")
            self.database.execute("ANALYZE")
            self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.database.close()
