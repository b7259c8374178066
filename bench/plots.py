"""Figures as SVG, the same bytes for the same figures."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "jqlite", "font.size": 10, "svg.fonttype": "none", "font.family": "sans-serif"})

from matplotlib import pyplot  # noqa: E402  (after the settings)
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import LogLocator  # noqa: E402

COLOURS = {"jqlite": "#0b6e4f", "pocketbase": "#c8553d", "echo": "#9aa5b1"}
CONNECTIONS = "64"


def save(axes: Axes, file: Path) -> None:
    """Writes one plot, without a date in it; its numbers are written out, not as powers."""
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis is axes.yaxis else (1,)))
            axis.set_major_formatter(lambda value, place: f"{value:,.12g}")
            axis.set_minor_formatter("")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea")
    axes.set_axisbelow(True)
    axes.figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
    pyplot.close(axes.figure)


def bars(figures: dict[str, Any], figure: str, label: str, file: Path) -> None:
    """A group of bars for each kind of work, a bar for each peer, with 64 connections."""
    works = [work for work, found in figures.items() if CONNECTIONS in found]
    peers = list(figures[works[0]][CONNECTIONS])
    width = 0.8 / len(peers)
    _, axes = pyplot.subplots(figsize=(9, 4))
    for turn, peer in enumerate(peers):
        values = [figures[work][CONNECTIONS][peer][figure] for work in works]
        places = [place + (turn - (len(peers) - 1) / 2) * width for place in range(len(works))]
        drawn = axes.bar(places, values, width, label=peer, color=COLOURS.get(peer))
        axes.bar_label(drawn, [short(value) for value in values], fontsize=6.5, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(works)), works)
    axes.set_ylabel(label)
    axes.legend(frameon=False, ncols=len(peers), loc="lower center", bbox_to_anchor=(0.5, 1))
    save(axes, file)


def short(value: float) -> str:
    """A number that fits over a bar."""
    return f"{value / 1000:.0f}k" if value >= 9950 else f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.3g}"


def compare(figures: dict[str, Any], out: Path) -> None:
    """The plots of a comparison."""
    bars(figures, "rate", "requests a second", out / "rates.svg")
    bars(figures, "p99_ms", "99th percentile, ms", out / "p99.svg")


def scale(figures: dict[str, Any], file: Path) -> None:
    """Median time by the number of rows, one connection, a line for each kind of work."""
    _, axes = pyplot.subplots(figsize=(7, 4))
    for work, found in figures.items():
        if "1" in found:
            sizes = [int(size) for size in found["1"]]
            axes.plot(sizes, [one["p50_ms"] for one in found["1"].values()], marker="o", label=work)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tickets")
    axes.set_ylabel("median, ms, one connection")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save(axes, file)
