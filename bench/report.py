"""Figures as text: lines on the terminal, tables in Markdown."""

import json
import platform
import os
from pathlib import Path
from typing import Any

from drive import Figures
from work import Work


def line(work: Work, connections: int, found: dict[str, Figures]) -> str:
    """One line of the terminal."""
    rates = "  ".join(f"{name} {one.rate:>8,.0f} /s p99 {one.p99_ms:>7.2f} ms" for name, one in found.items())
    return f"{work.name:<8}{connections:>3}  {rates}"


def machine() -> str:
    """What it ran on."""
    names = [row.partition(":")[2].strip() for row in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in row]
    return f"{os.cpu_count()} × {names[0] if names else platform.machine()}, Linux {platform.release()}"


def write(found: dict[str, Any], out: Path) -> None:
    """Writes the raw figures."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.json").write_text(json.dumps(found, indent=1) + "\n")
