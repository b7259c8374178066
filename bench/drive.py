"""Drives servers with `wrk` and takes the figures."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers import HOST, Failed, Peer
from work import Request, Work

SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Figures:
    """What one run of one peer gave, or the medians of several."""

    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    """Processor seconds of the server, a thousand requests."""


def medians(rounds: list[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(**{name: statistics.median(asdict(one)[name] for one in rounds) for name in asdict(rounds[0])})


class Requests:
    """What is sent to a peer for a kind of work, as a file for `wrk`."""

    def __init__(self, peer: Peer, work: Work, rows: int, file: Path) -> None:
        requests = [peer.bytes_of(request) for request in work.requests(peer.dialect, rows)]
        file.write_bytes(b"".join(b"%d\n%s" % (len(request), request) for request in requests))
        self.first = requests[0]
        self.peer, self.work, self.file, self.rows = peer, work, file, rows

    def check(self) -> None:
        """Sends one and fails unless its answer is right."""
        request = self.work.requests(self.peer.dialect, self.rows)[0]
        self.peer.check(self.work, self.peer.ask(request), self.rows)

    def load(self, connections: int, seconds: int) -> Figures:
        """Sends them for so long."""
        self.peer.expect_connections(connections)
        before = self.peer.cpu_seconds()
        told = self.wrk(connections, max(seconds, self.work.least_seconds))
        spent = self.peer.cpu_seconds() - before
        # Each connection waits for one answer at a time, so that rate and mean tell how many were served.
        served = told["requests"] / told["seconds"] * told["mean_us"] / 1e6
        if served < connections / 2:
            where = f"{self.peer.name}, {self.work.name}"
            print(f"{where}: of {connections} connections some {served:.0f} were served", file=sys.stderr)
        return Figures(
            told["requests"] / told["seconds"],
            told["p50_us"] / 1000,
            told["p99_us"] / 1000,
            spent * 1000 / told["requests"],
        )

    def wrk(self, connections: int, seconds: int) -> dict[str, Any]:
        """What wrk counted; fails where an answer was not 2xx or a connection broke."""
        # One thread for one connection; for more two are as quick as one or quicker.
        threads = "1" if connections == 1 else "2"
        command = ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s"]
        command += ["-s", str(SCRIPT), f"http://{HOST}:{self.peer.port}/"]
        done = subprocess.run(command, env={**os.environ, "REQUESTS": str(self.file)}, capture_output=True, text=True)
        self.peer.alive()
        found = re.search(r"^FIGURES (.*)$", done.stdout, re.MULTILINE)
        told = json.loads(found[1]) if found else {}
        wrong = not told.get("requests") or told["refused"] or told["broken"] or "Non-2xx" in done.stdout
        if done.returncode or wrong:
            raise Failed(f"{self.peer.name}, {self.work.name}, {connections} connections:\n{done.stdout}{done.stderr}")
        return told


def fresh(peer: Peer, seeded: Path) -> None:
    """Stops a peer and gives it a copy of the data as they were seeded."""
    peer.stop()
    shutil.rmtree(peer.folder, ignore_errors=True)
    shutil.copytree(seeded, peer.folder)


def start_time(peer: Peer, request: Request, times: int = 11) -> float:
    """Seconds from the start of the process to its first good answer, the median of several starts."""
    return statistics.median(started(peer, request) for _ in range(times))


def started(peer: Peer, request: Request) -> float:
    """Seconds of one start."""
    begin = time.perf_counter()
    peer.spawn()
    try:
        while True:
            try:
                peer.ask(request)
                return time.perf_counter() - begin
            except OSError:  # nobody listens yet
                peer.alive()
                time.sleep(0.0002)
    finally:
        peer.stop()


def turns(todo: list[Requests], connections: int, rounds: int, seconds: int) -> dict[str, Figures]:
    """The medians of each peer; the peers take turns, so that a slow moment of the machine meets all of them."""
    found: dict[str, list[Figures]] = {}
    for _ in range(rounds):
        for requests in todo:
            found.setdefault(requests.peer.name, []).append(requests.load(connections, seconds))
            time.sleep(0.3)  # for what the server still writes
    return {name: medians(figures) for name, figures in found.items()}
