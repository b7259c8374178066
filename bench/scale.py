"""Measures jqlite at several sizes of its data; `bench/run scale` starts it."""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import compare
import plots
import report
from drive import Requests, turns
from peers import Failed, Jqlite
from work import WORKS

SEARCH = "search"
"""Reads every row: with millions of them one answer takes as long as a load, so its requests are sent one by one."""
BOUND = 1.5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run scale",
        description=__doc__,
        epilog="example:\n  bench/run scale --quick --sizes 10000,100000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_shared(parser, rounds=3, connections=[1, 64])
    parser.add_argument(
        "--sizes",
        type=compare.numbers,
        default=[10_000, 1_000_000, 10_000_000],
        metavar="N,…",
        help="tickets [10000,1000000,10000000]; the largest takes some 6 GB of the temporary folder",
    )
    return compare.finished(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All figures. The sizes take turns, each with a server of its own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jqlite-scale-")))
        peers = {size: filled(size, folder / str(size), stack) for size in args.sizes}
        sizes = {str(size): peer.size() for size, peer in peers.items()}
        figures = {}
        for work in args.works:
            todo = [Requests(peer, work, size, folder / f"{size}.requests") for size, peer in peers.items()]
            for requests in todo:
                requests.check()
            if work.name == SEARCH:
                continue
            figures[work.name] = {}
            for at in args.connections:
                found = turns(todo, at, args.rounds, args.seconds)
                print(report.line(work, at, found), flush=True)
                figures[work.name][str(at)] = {size: asdict(one) for size, one in found.items()}
        return {
            "settings": {**compare.settings(args), "sizes": args.sizes},
            "figures": figures,
            "search_ms": {str(size): searched(peer) for size, peer in peers.items()},
            "memory": {str(size): dict(zip(["resident", "peak"], peer.memory())) for size, peer in peers.items()},
            "file": sizes,
        }


def filled(size: int, folder: Path, stack: contextlib.ExitStack) -> Jqlite:
    """A server with so many tickets."""
    print(f"filling {size:,} tickets", file=sys.stderr)
    folder.mkdir()
    peer = Jqlite(str(size), compare.JQLITE, folder)
    stack.callback(peer.stop)
    peer.seed(size)
    peer.start()
    return peer


def searched(peer: Jqlite) -> float | None:
    """Milliseconds of a search, the median of three; nothing where it was stopped for taking too long."""
    request = next(work for work in WORKS if work.name == SEARCH).jqlite(1, 0)
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        try:
            peer.ask(request)
        except Failed:
            return None
        taken.append((time.perf_counter() - begin) * 1000)
    return statistics.median(taken)


def page(found: dict[str, Any], folder: str) -> str:
    """The part of docs/performance.md that a run fills in."""
    sizes = [str(size) for size in found["settings"]["sizes"]]
    head = ["work", "connections", *(f"{int(size):,}" for size in sizes)]
    both = [
        [report.TITLES[work], at, *(f"{by[size]['rate']:,.0f} ({by[size]['p50_ms']:.2f} ms)" for size in sizes)]
        for work, at, by in report.each(found)
    ]
    search = [found["search_ms"][size] for size in sizes]
    rest = [
        [report.TITLES[SEARCH], "1", *("stopped" if ms is None else f"{1000 / ms:,.1f} ({ms:.1f} ms)" for ms in search)],
        ["memory MB, its peak", "", *(f"{found['memory'][size]['peak'] / report.MB:,.1f}" for size in sizes)],
        ["database MB", "", *(f"{found['file'][size] / report.MB:,.1f}" for size in sizes)],
    ]
    record = found["figures"].get("record", {}).get("1")
    ratio = record[sizes[-1]]["p50_ms"] / record[sizes[0]]["p50_ms"] if record else None
    title = f"record by id, median time at {int(sizes[-1]):,} tickets against {int(sizes[0]):,}"
    bar = report.Bar(title, ratio, BOUND, "×", at_most=True)
    told = found["settings"]
    return "\n".join(
        [
            f"{told['machine']}; {report.rounds(told)}.\n",
            report.table(["bar", "asked", "found", "reached"], [bar.cells()]),
            f"![Median time by the number of tickets]({folder}scale.svg)\n",
            "Requests a second, and the median time of one, by the number of tickets:\n",
            report.table(head, both + rest),
        ]
    )


def main() -> int:
    args = arguments()

    def work() -> None:
        found = run(args)
        args.out.mkdir(parents=True, exist_ok=True)
        plots.scale(found["figures"], args.out / "scale.svg")
        report.write(found, "scale", page(found, f"{args.out.name}/"), args.out)

    return compare.guarded(work)


if __name__ == "__main__":
    sys.exit(main())
