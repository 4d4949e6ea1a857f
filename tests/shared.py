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

if "LENET_TESTS_SHARED" not in os.environ:  # It is set in the processes of this one.
    os.environ["LENET_TESTS_SHARED"] = tempfile.mkdtemp(prefix="lenet-tests-")
    atexit.register(shutil.rmtree, os.environ["LENET_TESTS_SHARED"], ignore_errors=True)

#: Is empty when a run begins, and removed when it ends: nothing in it is older than the run.
FOLDER = Path(os.environ["LENET_TESTS_SHARED"])


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
