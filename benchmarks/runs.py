"""Runs of a benchmark that times, in a file: each with its machine, for its figures hold there."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def machine(packages: Sequence[str]) -> str:
    """What a run's figures hold for: the processor, its cores, and the versions of ``packages``."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    parts = [(names or [platform.machine()])[0], f"{os.cpu_count()} cores"]
    parts.append(f"load {os.getloadavg()[0]:.1f} at the start")
    for package in packages:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def add(where: Path, run: dict[str, Any]) -> None:
    """Adds ``run`` to the file ``where``, as its last."""
    content = json.loads(where.read_text())
    content["runs"].append(run)
    where.write_text(json.dumps(content, indent=1) + "\n")
