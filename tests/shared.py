"""What one process of a run of tests computed, for the others: pytest-xdist has many."""

from __future__ import annotations

import atexit
import fcntl
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import firmware

if "LENET_TESTS_SHARED" not in os.environ:  # It is set in the processes of this one.
    os.environ["LENET_TESTS_SHARED"] = tempfile.mkdtemp(prefix="lenet-tests-")
    atexit.register(shutil.rmtree, os.environ["LENET_TESTS_SHARED"], ignore_errors=True)

#: Is empty when a run begins, and removed when it ends: nothing in it is older than the run.
FOLDER = Path(os.environ["LENET_TESTS_SHARED"])


def firmware_of(preset: str, cpu: str | None, optimize: str | None, model: Path | None) -> Any:
    """The build of a preset, with the database of its commands: see ``firmware.build``.

    Args:
        preset: e.g. ``cortex-m4``.
        cpu: ``--cpu``, or that of the preset.
        optimize: ``--optimize``, if it is given.
        model: a file, by whose name it is known; or the bundled model.
    """
    name = "-".join(str(part) for part in ("firmware", preset, cpu, optimize, model and model.stem))

    def build() -> firmware.Firmware:
        folder, target = FOLDER / f"{name}.build", "firmware" if preset == "host" else "all"
        commands = {"CMAKE_EXPORT_COMPILE_COMMANDS": "ON"}
        return firmware.build(preset, folder, cpu, optimize, model, target, **commands)

    return once(name, build)


def once(name: str, make: Callable[[], Any]) -> Any:
    """What ``make`` returned when first asked for ``name``; who asks meanwhile waits for it."""
    path = FOLDER / name
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            data = pickle.dumps(make())
            path.with_suffix(".new").write_bytes(data)
            path.with_suffix(".new").rename(path)
    return pickle.loads(path.read_bytes())
