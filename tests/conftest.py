"""What all tests share: data and networks."""

from __future__ import annotations

import functools
import gc
import os
import signal
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import shared
from lenet_export import checkpoint, idx
from lenet_export.errors import UserError
from lenet_export.outputs import c
from lenet_export.plan import make_plan
from material import digits
from needs import ROOT, missing

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Tests send Ctrl-C, which whatever a shell starts in the background ignores, with all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Most programs run once or twice here, so that compiling them well costs more than it saves. And
# what was compiled for one test need not be compiled again for the next, in whatever process.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(shared.FOLDER / "jax")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Nor need XLA fuse loops by its own emitters: that is most of its compilation. An unknown flag ends
# a process, so that other versions go without.
if version("jaxlib").startswith("0.10."):
    flags = (os.environ.get("XLA_FLAGS"), "--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join(filter(None, flags))


def printed_once(format_table):
    """Tables as text, which takes longest of all that is printed: many CPUs have the same ones."""

    @functools.lru_cache(64)
    def of_bytes(data, dtype, shape):
        return format_table(np.frombuffer(data, dtype).reshape(shape))

    return lambda values: of_bytes(values.tobytes(), values.dtype, values.shape)


def pytest_collection_finish():
    """What is imported by now stays, and need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


c.format_table = printed_once(c.format_table)

#: Of the tests of these files each goes to the next process that is idle. Those of another file
#: stay in one process, for they share what takes long to make.
SPREAD = ("test_contract.py", "test_goldens.py", "test_mutations.py", "test_parity.py")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """Parts the tests among the processes by files; those with most tests go first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition("::")[0]
            return nodeid if Path(path).name in SPREAD else path

    return ByFile(config, log)


def pytest_assertrepr_compare(op, left, right):
    """Where two files differ, not how: pytest takes minutes to work that out."""
    if op == "==" and isinstance(left, bytes) and isinstance(right, bytes):
        pairs = enumerate(zip(left, right, strict=False))
        place = next((n for n, (a, b) in pairs if a != b), min(len(left), len(right)))
        both = (data[place : place + 60] for data in (left, right))
        return [f"bytes that differ from {place} on", *map(repr, both)]
    return None


@pytest.fixture(autouse=True)
def floats_stay_exact():
    """No test leaves a process in which floats are other than they were for the tests behind it."""
    yield
    smallest = np.full(1, 1e-45, np.float32)
    assert smallest * np.float32(1) > 0


@pytest.fixture(scope="session")
def mnist():
    """The MNIST test images, uint8 (10000, 28, 28, 1), and their labels."""
    folder = os.environ.get("LENET_DATA")
    if not folder:
        missing("MNIST", "set LENET_DATA to a folder with mnist/t10k-images-idx3-ubyte.gz")
    images = idx.find(Path(folder) / "mnist", "t10k-images-idx3-ubyte")
    labels = idx.find(Path(folder) / "mnist", "t10k-labels-idx1-ubyte")
    assert images and labels, f"{folder}/mnist does not hold MNIST"
    return idx.read(images, 3)[..., None], idx.read(labels, 1)


@pytest.fixture(scope="session")
def bundled():
    """The bundled MNIST model."""
    return checkpoint.load(ROOT / "export/lenet_export/models/mnist.safetensors")


@pytest.fixture(scope="session", params=["int8", "float32"])
def plan(request, bundled):
    """The bundled model, planned for each dtype."""
    return make_plan(bundled, request.param)


@pytest.fixture(scope="session")
def int8_plan(bundled):
    return make_plan(bundled, "int8")


@pytest.fixture(scope="session")
def written(mnist):  # noqa: ARG001 - it says where MNIST is missing
    """The test split of MNIST with its writers: what the test material is made of."""
    try:
        return digits.load("test")
    except UserError as error:
        missing("QMNIST's labels", str(error))


@pytest.fixture(scope="session")
def by_five(written):
    """The digits of five writers of the test split."""
    return written[np.isin(written.writers, np.unique(written.writers)[:5])]
