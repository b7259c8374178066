"""Figures as text: lines on the terminal, tables in Markdown, and the bars that are to be reached."""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive import Figures
from work import WORKS, Work

TITLES = {work.name: work.title for work in WORKS}
MB = 1_000_000
Found = dict[str, Any]
"""The figures of a whole run, as they stand in compare.json."""


def line(work: Work, connections: int, found: dict[str, Figures]) -> str:
    """One line of the terminal."""
    rates = "  ".join(f"{name} {one.rate:>8,.0f} /s p99 {one.p99_ms:>7.2f} ms" for name, one in found.items())
    return f"{work.name:<8}{connections:>3}  {rates}"


def machine() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [row.partition(":")[2].strip() for row in lines if row.startswith("model name")]
    return f"{os.cpu_count()} × {models[0] if models else platform.machine()}, Linux {platform.release()}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows]) + "\n"


def settings(found: Found) -> str:
    """What was measured, as a sentence."""
    told = found["settings"]
    return f"{told['machine']}; {told['rows']:,} tickets; {rounds(told)}.\n"


def rounds(told: dict[str, Any]) -> str:
    """How many rounds of which length, in words."""
    many = "one round" if told["rounds"] == 1 else f"the median of {told['rounds']} rounds"
    return f"{many} of {told['seconds']} s"


def each(found: Found) -> list[tuple[str, str, dict[str, dict[str, float]]]]:
    """Work, connections and the figures by peer, in order."""
    return [(work, at, by) for work, found_at in found["figures"].items() for at, by in found_at.items()]


def ratio(by: dict[str, dict[str, float]], peer: str, to: str) -> float | None:
    """How many times the requests of another peer one answers."""
    return by[peer]["rate"] / by[to]["rate"] if peer in by and to in by else None


def times(value: float | None) -> str:
    """A ratio with as many digits as mean something."""
    return "" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rates(found: Found) -> str:
    """Requests a second, and the ratios of jqlite to each other peer."""
    peers = list(each(found)[0][2])
    others = [peer for peer in peers if peer != "jqlite"]
    head = ["work", "connections", *peers, *(f"× {peer}" for peer in others)]
    rows = [
        [TITLES[work], at]
        + [f"{by[peer]['rate']:,.0f}" for peer in peers]
        + [times(ratio(by, "jqlite", peer)) for peer in others]
        for work, at, by in each(found)
    ]
    return table(head, rows)


def latencies(found: Found) -> str:
    """Medians and 99th percentiles, and processor time."""
    peers = list(each(found)[0][2])
    names = [f"{what} {peer}" for what in ("p50", "p99", "CPU") for peer in peers]
    rows = [
        [TITLES[work], at]
        + [f"{by[peer]['p50_ms']:.2f}" for peer in peers]
        + [f"{by[peer]['p99_ms']:.2f}" for peer in peers]
        + [f"{by[peer]['cpu_seconds']:.3f}" for peer in peers]
        for work, at, by in each(found)
    ]
    return table(["work", "connections", *names], rows)


def sizes(found: Found) -> str:
    """Start, binary and file of each peer."""
    rows = [
        [
            peer,
            f"{found['start'][peer] * 1000:.1f}",
            f"{found['binary'][peer] / MB:.1f}",
            f"{found['file'][peer] / MB:.1f}",
        ]
        for peer in found["binary"]
    ]
    return table(["peer", "start ms", "binary MB", "database MB"], rows)


def memories(found: Found) -> str:
    """Memory of each peer after each kind of work, and the most of it."""
    peers = found["memory"]
    rows = [
        [TITLES[work], *(f"{peers[peer]['after'][work] / MB:,.1f}" for peer in peers)]
        for work in next(iter(peers.values()))["after"]
    ]
    peaks = ["the most at any time", *(f"{memory['peak'] / MB:,.1f}" for memory in peers.values())]
    return table(["after", *peers], [*rows, peaks])


@dataclass(frozen=True)
class Bar:
    """What is to be reached: a figure, and the least or the most that it may be."""

    text: str
    value: float | None
    bound: float
    unit: str
    at_most: bool = False

    def cells(self) -> list[str]:
        if self.value is None:
            return [self.text, self.asked(), "", "not measured"]
        reached = self.value <= self.bound if self.at_most else self.value >= self.bound
        return [self.text, self.asked(), f"{times(self.value)} {self.unit}", "yes" if reached else "**no**"]

    def asked(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {self.bound:g} {self.unit}"


RATES = [
    ("page", "8", "pocketbase", 5),
    ("page", "8", "echo", 0.7),
    ("page", "64", "pocketbase", 5),
    ("page", "64", "echo", 0.7),
    ("record", "8", "pocketbase", 4),
    ("record", "8", "echo", 0.8),
    ("record", "64", "pocketbase", 4),
    ("record", "64", "echo", 0.8),
    ("total", "8", "pocketbase", 15),
    ("total", "64", "pocketbase", 15),
    ("create", "64", "pocketbase", 6),
    ("page", "64", "jqlite-no-log", 0.95),
    ("record", "64", "jqlite-no-log", 0.95),
    ("create", "64", "jqlite-no-log", 0.95),
]
"""Work, connections, the other peer, and how many times its requests jqlite is to answer at least."""


def bars(found: Found) -> list[Bar]:
    """All bars, with what this run found."""
    listed = []
    for work, at, peer, bound in RATES:
        by = found["figures"].get(work, {}).get(at, {})
        listed.append(Bar(f"{TITLES[work]}, {at} connections", ratio(by, "jqlite", peer), bound, f"× {peer}"))
    peak = found["memory"].get("jqlite", {}).get("peak")
    start, binary = found["start"].get("jqlite in memory"), found["binary"].get("jqlite")
    return [
        *listed,
        Bar("memory at 64 connections, its peak", peak and peak / MB, 25, "MB", at_most=True),
        Bar("start to first answer, database in memory", start and start * 1000, 15, "ms", at_most=True),
        Bar("stripped release binary", binary and binary / MB, 8, "MB", at_most=True),
    ]


def page(found: Found, folder: str) -> str:
    """The whole part of docs/performance.md that a run fills in; plots lie in `folder`."""
    parts = [
        settings(found),
        table(["bar", "asked", "found", "reached"], [bar.cells() for bar in bars(found)]),
        f"![Requests a second with 64 connections]({folder}rates.svg)\n" if has_plots(found) else "",
        f"![99th percentile with 64 connections]({folder}p99.svg)\n" if has_plots(found) else "",
        "Requests a second, and how many times as many jqlite answers:\n",
        rates(found),
        "Milliseconds, and processor seconds of the server for a thousand requests:\n",
        latencies(found),
        "Resident memory in MB with 64 connections, after each kind of work in turn:\n",
        memories(found),
        sizes(found),
    ]
    return "\n".join(part for part in parts if part)


def has_plots(found: Found) -> bool:
    """Whether there is something to plot."""
    return any(at == "64" for _, at, _ in each(found))


def write(found: Found, name: str, text: str, out: Path) -> None:
    """Writes the raw figures to NAME.json; the text between two marks of the page beside the folder, or to NAME.md where there
    is no such page."""
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    beside = out.parent / "performance.md"
    begin, end = f"<!-- {name}: made by bench/run -->\n", f"<!-- end of {name} -->"
    whole = beside.read_text() if beside.exists() else ""
    if begin in whole and end in whole:
        before, _, rest = whole.partition(begin)
        after = rest[rest.index(end) :]
        beside.write_text(f"{before}{begin}\n{text}\n{after}")
    else:
        (out / f"{name}.md").write_text(text)
