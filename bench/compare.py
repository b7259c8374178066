"""Compares jqlite with PocketBase and with a bare HTTP server that answers the same bytes; `bench/run` starts it."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plots
import report
from drive import Figures, Requests, fresh, start_time, turns
from peers import Echo, Failed, Jqlite, Memory, Peer, PocketBase
from work import WORKS, Request, Work

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("BENCH_TARGET", ROOT / "target"))
JQLITE = TARGET / "release/jqlite"
PEERS = ["jqlite", "pocketbase", "echo", "jqlite-no-log"]
EXAMPLES = """examples:
  bench/run --quick                             one short round, figures beside the build
  bench/run                                     the figures of docs/performance.md
  bench/run --only page,record --connections 64
  bench/run --against OLD --peers jqlite,before what a change gains: OLD is another binary of jqlite
  bench/run scale --sizes 10000,1000000         jqlite at several sizes of its data"""


def words(text: str) -> list[str]:
    """What stands between commas."""
    return text.split(",")


def numbers(text: str) -> list[int]:
    """The numbers between commas."""
    return [int(word) for word in text.split(",")]


def add_shared(parser: argparse.ArgumentParser, rounds: int, connections: list[int]) -> None:
    """The options that every measurement has."""
    listed = ",".join(map(str, connections))
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of which the median is taken [{rounds}]")
    parser.add_argument("--seconds", type=int, metavar="N", help="how long each load lasts [8]")
    parser.add_argument("--connections", type=numbers, default=connections, metavar="N,…", help=f"[{listed}]")
    parser.add_argument("--only", type=words, metavar="NAME,…", help=f"of {', '.join(work.name for work in WORKS)}")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the figures go [docs/performance; of a part, bench-part in the target folder]")
    parser.set_defaults(usual_rounds=rounds)


def finished(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with what was left out."""
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else args.usual_rounds)
    args.seconds = args.seconds or (1 if args.quick else 8)
    # Figures of a part would take the place of those of the whole in the documentation.
    part = args.quick or args.only or getattr(args, "peers", PEERS) != PEERS
    args.out = (args.out or (TARGET / "bench-part" if part else ROOT / "docs/performance")).absolute()
    args.works = chosen(parser, args.only)
    return args


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_shared(parser, rounds=5, connections=[1, 8, 64])
    parser.add_argument(
        "--peers",
        type=words,
        default=PEERS,
        metavar="NAME,…",
        help="of jqlite, pocketbase, echo, jqlite-no-log, before [all but before]",
    )
    parser.add_argument("--against", type=Path, metavar="FILE", help="the binary of the peer `before`")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="tickets [100000]")
    args = finished(parser)
    # The echo answers what jqlite answered, so jqlite goes first.
    args.peers = sorted(args.peers, key=lambda peer: peer != "jqlite")
    if "echo" in args.peers and "jqlite" not in args.peers:
        parser.error("the echo answers what jqlite answered: name jqlite too")
    return args


def chosen(parser: argparse.ArgumentParser, names: list[str] | None) -> list[Work]:
    """The work of these names, in the order of the table."""
    unknown = set(names or []) - {work.name for work in WORKS}
    if unknown:
        parser.error(f"there is no work {', '.join(sorted(unknown))}")
    return [work for work in WORKS if names is None or work.name in names]


def make_peer(name: str, folder: Path, args: argparse.Namespace) -> Peer:
    match name:
        case "jqlite":
            return Jqlite(name, JQLITE, folder)
        case "jqlite-no-log":
            return Jqlite(name, TARGET / "without-log/release/jqlite", folder)
        case "before" if args.against:
            return Jqlite(name, args.against.resolve(), folder)
        case "pocketbase":
            return PocketBase(name, Path(sys.executable).with_name("pocketbase"), folder)
        case "echo":
            return Echo(name, TARGET / "echo/release/echo", folder)
        case _:
            raise Failed(f"there is no peer {name}" + (" without --against" if name == "before" else ""))


def seeded(name: str, work: Path, args: argparse.Namespace, stack: contextlib.ExitStack) -> Peer:
    """A peer with its data; the data lie in `NAME-seeded` and its folder is `NAME`."""
    peer = make_peer(name, work / f"{name}-seeded", args)
    stack.callback(peer.stop)
    peer.folder.mkdir()
    print(f"filling {name}", file=sys.stderr)
    peer.seed(args.rows)
    peer.folder = work / name
    return peer


def compared(work: Work, peers: list[Peer], folder: Path, args: argparse.Namespace) -> dict[int, dict[str, Figures]]:
    """The figures of one kind of work, by connections and peer. Each begins with the data as they were seeded."""
    todo = []
    for peer in peers:
        fresh(peer, folder / f"{peer.name}-seeded")
        requests = Requests(peer, work, args.rows, folder / f"{peer.name}.requests")
        if isinstance(peer, Echo):
            source = next(one for one in todo if one.peer.name == "jqlite")
            peer.database().write_bytes(source.peer.send(source.first))
            requests = Echoed(source, peer)
        peer.start()
        requests.check()
        todo.append(requests)
    found = {}
    for connections in args.connections:
        found[connections] = turns(todo, connections, args.rounds, args.seconds)
        print(report.line(work, connections, found[connections]), flush=True)
    for peer in peers:
        peer.stop()
    return found


class Echoed(Requests):
    """The requests of another peer, sent to the echo."""

    def __init__(self, source: Requests, peer: Peer) -> None:
        self.peer, self.work, self.file, self.rows, self.first = peer, source.work, source.file, source.rows, source.first


def memory(peers: list[Peer], folder: Path, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Resident memory of servers that were just started, after each kind of work in turn with 64 connections; what reads most
    comes last, so that it hides nothing."""
    found = {}
    works = sorted(args.works, key=lambda work: work.least_seconds)
    for peer in peers:
        fresh(peer, folder / f"{peer.name}-seeded")
        peer.start()
        after = {}
        for work in works:
            Requests(peer, work, args.rows, folder / f"{peer.name}.requests").load(64, args.seconds)
            after[work.name] = peer.memory()[0]
        resident, peak = peer.memory()
        peer.stop()
        found[peer.name] = {"resident": resident, "peak": peak, "after": after}
    return found


def starts(peers: list[Peer], folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Seconds to the first good answer, which is a record by its id."""
    found = {}
    record = next(work for work in WORKS if work.name == "record")
    for peer in peers:
        fresh(peer, folder / f"{peer.name}-seeded")
        found[peer.name] = start_time(peer, record.requests(peer.dialect, args.rows)[0])
    (folder / "memory").mkdir()
    in_memory = Memory("jqlite in memory", JQLITE, folder / "memory")
    found[in_memory.name] = start_time(in_memory, Request("GET", "/readyz"))
    return found


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """How it was measured."""
    return {"rounds": args.rounds, "seconds": args.seconds, "machine": report.machine()}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jqlite-bench-")))
        peers = [seeded(name, folder, args, stack) for name in args.peers]
        figures = {}
        for work in args.works:
            by_connections = compared(work, peers, folder, args).items()
            figures[work.name] = {str(at): {peer: asdict(one) for peer, one in by.items()} for at, by in by_connections}
        real = [peer for peer in peers if not isinstance(peer, Echo)]
        return {
            "settings": {**settings(args), "rows": args.rows},
            "figures": figures,
            "memory": memory(real, folder, args),
            "start": starts(real, folder, args),
            "binary": {peer.name: peer.binary.stat().st_size for peer in real},
            "file": {peer.name: (folder / f"{peer.name}-seeded" / peer.database().name).stat().st_size for peer in real},
        }


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def guarded(work: Callable[[], None]) -> int:
    """The exit code of what was done; servers and files are gone, however it ends."""
    signal.signal(signal.SIGTERM, interrupted)
    try:
        work()
    except (Failed, OSError) as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> int:
    args = arguments()

    def work() -> None:
        found = run(args)
        args.out.mkdir(parents=True, exist_ok=True)
        if report.has_plots(found):
            plots.compare(found["figures"], args.out)
        text = report.page(found, f"{args.out.name}/")
        report.write(found, "compare", text, args.out)
        print(f"\n{text}\nfigures in {args.out}")

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
