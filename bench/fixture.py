"""Measures a server for tests: its start, and the way back to a state; `bench/run fixture` starts it."""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent.parent / "examples" / "models.json"
BYTES = 10_000_000


class Server:
    def __init__(self, *more: str) -> None:
        binary = Path(os.environ["BENCH_TARGET"]) / "release" / "jqlite"
        words = ["serve", "--ephemeral", "--json", "--listen", "127.0.0.1:0", "--models", str(MODELS), *more]
        self.process = subprocess.Popen([binary, *words], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        ready = json.loads(self.process.stdout.readline())
        self.headers = {"Authorization": f"Bearer {ready['key']}", "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(ready["url"].removeprefix("http://"), timeout=60)

    def query(self, intent: str, namespace: str, meta: dict[str, Any] = {}, **beside: Any) -> Any:
        request = {"__meta__": {"intent": intent, "namespace": namespace, **meta}, **beside}
        self.connection.request("POST", "/jql", json.dumps(request), self.headers)
        answer = self.connection.getresponse()
        envelope = json.loads(answer.read())
        assert answer.status == 200, envelope
        return envelope["data"]

    def act(self, intent: str, **arguments: Any) -> None:
        self.query(intent, "system.Fixture", {"schema": "controller"}, **arguments)

    def bytes(self) -> int:
        self.connection.request("GET", "/metrics", headers=self.headers)
        lines = self.connection.getresponse().read().decode().splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("jqlite_database_bytes "))

    def fill(self) -> None:
        """Makes tickets until there are 10 MB."""
        category = self.query("create", "tickets.Category", name="Billing")["id"]
        ticket = {"title": "The invoice is wrong " * 9, "category": category}
        while self.bytes() < BYTES:
            self.query("createMany", "tickets.Ticket", {"objects": [ticket] * 1000})

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(what: str, rounds: int, work: Callable[[], None], before: Callable[[], None] = lambda: None) -> None:
    """Prints how long `work` takes, in the middle and in the slowest tenth."""
    times = []
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    print(f"{what:<34} median {statistics.median(times):6.2f} ms   90 % within {times[len(times) * 9 // 10]:6.2f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/run fixture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="how often each is done [50]")
    rounds = parser.parse_args().rounds
    started: list[Server] = []

    def start() -> None:
        started.append(Server())
        started[0].query("count", "tickets.Ticket")

    def seeded(folder: str) -> Server:
        """A server whose seed has 10 MB."""
        ticket = json.dumps({"title": "The invoice is wrong " * 9})
        seed = Path(folder) / "tickets.Ticket.jsonl"
        seed.write_text(f"{ticket}\n" * (BYTES // 250))
        return Server("--data", folder)

    def stop() -> None:
        while started:
            started.pop().stop()

    def reset() -> None:
        started[0].act("reset")

    def snapshot() -> None:
        started[0].act("snapshot", name="full")

    def restore() -> None:
        started[0].act("restore", name="full")

    def write() -> None:
        started[0].query("create", "tickets.Ticket", title="One more")

    def count() -> None:
        started[0].query("count", "tickets.Ticket")

    measure("start to first answer", rounds, start, stop)
    measure("reset, no records", rounds, reset)
    started[0].fill()
    print(f"{started[0].bytes() / 1e6:.1f} MB")
    measure("snapshot", rounds, snapshot)
    measure("restore after a write", rounds, restore, write)
    measure("first answer after a restore", rounds, count, restore)
    measure("count", rounds, count)
    stop()
    with tempfile.TemporaryDirectory() as folder:
        started.append(seeded(folder))
        print(f"{started[0].bytes() / 1e6:.1f} MB of seed")
        measure("reset after a write", rounds, reset, write)
        stop()


if __name__ == "__main__":
    main()
