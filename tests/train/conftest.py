from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lenet_export import idx
from lenet_train import figures
from lenet_train.recipes import BEST
from needs import wide


@dataclass(frozen=True)
class Run:
    epochs: int
    folder: Path
    cpu_seconds: float
    stdout: str
    stderr: str


def lenet_train(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lenet_train", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture(scope="module")
def no_pictures() -> Iterator[None]:
    """The runs of a file write empty ones: to draw takes longer than to train. Others draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "of_run", lambda *_: dict.fromkeys(figures.NAMES, b""))
        yield


#: Of a newcomer nothing is compiled yet, and all is compiled well.
NEWCOMER = {
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "false",
    "XLA_FLAGS": "",
}
#: So many reach 97 % too.
SOME_EPOCHS = 30


@pytest.fixture(scope="session", params=[SOME_EPOCHS, *wide([BEST.epochs])])
def digits_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What a newcomer runs first, as a newcomer runs it; in ``make test`` fewer epochs."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    arguments, environment = ["--dataset", "digits", "--out", folder], NEWCOMER
    if request.param != BEST.epochs:
        arguments = [*arguments, "--epochs", request.param]
        # It runs longer than it compiles.
        environment = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
    before = _children_seconds()
    done = lenet_train(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    return Run(request.param, folder, _children_seconds() - before, done.stdout, done.stderr)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """``LENET_DATA``, where a test needs MNIST; CI must have it."""
    folder = os.environ.get("LENET_DATA")
    if not folder and os.environ.get("CI") == "true":
        pytest.fail("CI must set LENET_DATA to a folder that holds MNIST")
    if not folder:
        pytest.skip("LENET_DATA is not set; it names a folder that holds MNIST's four files")
    return Path(folder)


def write_idx_folder(folder: Path, training: int = 120, test: int = 100) -> Path:
    """A small folder of IDX files that is right in every respect."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for part, count in (("train", training), ("t10k", test)):
        images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx.pack(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx.pack(labels))
    return folder


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    return write_idx_folder(tmp_path / "own")
