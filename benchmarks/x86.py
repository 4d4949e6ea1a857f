"""CPU time of one image on x86-64: the generated C beside LiteRT, onnxruntime and JAX jit.

    pip install -e '.[bench]'
    python benchmarks/x86.py             prints the table
    python benchmarks/x86.py --update    adds this run to x86.json, with its machine, too

One thread, one image after another, all in this one process. First every float network must give
Flax's logits to 1e-3 and every int8 one the integer reference's, exactly; otherwise there is no
comparison. Then in each round every contestant runs for a few milliseconds, in an order that
rotates, and the round's ratio to LiteRT is taken; the median over the rounds is printed. Quote the
ratios: they hold where the machine's speed does not.

What is counted is process CPU time of computing the logits. The C is called in a loop inside C, and
reads the image's bytes; of the peers it is their own call for one inference, through Python, with
the image already theirs (float, scaled, in their layout), and bound once. What that call costs by
itself is measured too, with a network of one addition, and printed.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import peers
import runs
from lenet_export import checkpoint, reference, verify
from lenet_export.compiled import has_instructions_of
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.float_network import run_logits
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import Plan, make_plan

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "export/lenet_export/models/mnist.safetensors"

RUNS = Path(__file__).with_name("x86.json")
PRINTED_FOR = ("generic", "x86-64-v3", "x86-64-v3-vnni", "x86-64-v4")
CHECKED_IMAGES = 64
ROUND_SECONDS = 0.004
PEER_TOLERANCE = 1e-3

DRIVER = """
#include "lenet.h"
void lenet_many(lenet_workspace *ws, const uint8_t *image, {logit} *logits, int times);
void lenet_many(lenet_workspace *ws, const uint8_t *image, {logit} *logits, int times)
{{
    for (int k = 0; k < times; k++) {{
        lenet_logits(ws, image, logits);
    }}
}}
"""


@dataclass
class Contestant:
    """Something timed: ``run(n)`` computes the logits of one image ``n`` times."""

    name: str
    dtype: str
    run: Callable[[int], None]
    times: int = 1


class GeneratedC:
    """The C for one ``--cpu``, compiled by gcc -O3, with a loop around it."""

    def __init__(self, plan: Plan) -> None:
        """Compiles and loads it."""
        ffi = cffi.FFI()
        logit = "float" if plan.dtype == "float32" else "int32_t"
        ffi.cdef(f"void lenet_many(void *ws, const uint8_t *image, {logit} *logits, int times);")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, data in render_c(plan, Options()).items():
                (folder / file).write_bytes(data)
            (folder / "many.c").write_text(DRIVER.format(logit=logit))
            flags = ["-std=c99", "-O3", *CPUS[plan.cpu].flags, "-shared", "-fPIC"]
            # Two translation units, as in a user's program: nothing is hoisted out of the loop.
            sources = [folder / "lenet.c", folder / "many.c"]
            subprocess.run(["gcc", *flags, "-o", folder / "many.so", *sources], check=True)
            self._lib = ffi.dlopen(str(folder / "many.so"))
        self._ffi = ffi
        memory = np.zeros(plan.workspace_bytes + 64, np.uint8)
        start = ffi.cast("uint8_t *", ffi.from_buffer(memory))
        self._workspace = start + -int(ffi.cast("uintptr_t", start)) % 64
        self.memory = memory
        self.result = np.empty(plan.outputs, plan.logit_dtype)
        self._logits = ffi.from_buffer(f"{logit}[]", self.result, require_writable=True)

    def set_image(self, image: npt.NDArray[np.uint8]) -> None:
        """Gives it an image, uint8."""
        self._image = self._ffi.from_buffer("uint8_t[]", np.ascontiguousarray(image))

    def run(self, times: int) -> None:
        """Computes the logits so many times."""
        self._lib.lenet_many(self._workspace, self._image, self._logits, times)


def repeated(invoke: Callable[[], Any]) -> Callable[[int], None]:
    """A Python loop around one call."""

    def run(times: int) -> None:
        for _ in range(times):
            invoke()

    return run


def contestants(model: checkpoint.Model, images: npt.NDArray[np.uint8]) -> list[Contestant]:
    """All of them, checked, with an image given.

    Raises:
        SystemExit: one gives other logits.
    """
    expected = run_logits(model, images)
    found = []
    for kind in peers.PEERS:
        peer = kind(model)
        for image, logits in zip(images, expected, strict=True):
            peer.set_image(image)
            peer.invoke()
            difference = float(np.abs(peer.logits() - logits).max())
            if not difference <= PEER_TOLERANCE:
                sys.exit(f"{peer.name}: logits differ from Flax's by {difference}: no comparison")
        found.append(Contestant(peer.name, "float32", repeated(peer.invoke)))
    for dtype in ("float32", "int8"):
        plan = make_plan(model, dtype)
        exact = reference.run_integers(plan, images) if dtype == "int8" else None
        wanted, tolerance = (expected, 1e-4) if exact is None else (exact[plan.layers[-1].name], 0)
        for cpu in PRINTED_FOR:
            if cpu != "generic" and not has_instructions_of(cpu):
                continue
            network = GeneratedC(lay_out(plan, cpu, "speed"))
            for image, logits in zip(images, wanted, strict=True):
                network.set_image(image)
                network.run(1)
                difference = float(np.abs(network.result - logits).max())
                if not difference <= tolerance:
                    sys.exit(f"C {dtype} --cpu {cpu}: logits differ by {difference}: no comparison")
            found.append(Contestant(f"this project, --cpu {cpu}", dtype, network.run))
    return found


def overhead(rounds: int) -> float:
    """Seconds that LiteRT's call costs by itself: a network of one addition."""
    stage = checkpoint.Stage("fc", "dense", features=1)
    model = checkpoint.Model(
        stages=(stage,),
        params={"fc/kernel": np.ones((1, 1), np.float32), "fc/bias": np.ones(1, np.float32)},
        input_shape=(1, 1, 1),
        activation_ranges={},
        gap_table=None,
        info={},
    )
    peer = peers.LiteRT(model)
    peer.set_image(np.ones((1, 1, 1), np.uint8))
    run = repeated(peer.invoke)
    return statistics.median(seconds(run, 1000) for _ in range(rounds))


def seconds(run: Callable[[int], None], times: int) -> float:
    """CPU seconds of one of ``times``."""
    began = time.process_time_ns()
    run(times)
    return (time.process_time_ns() - began) / times / 1e9


def measure(found: list[Contestant], rounds: int) -> npt.NDArray[np.float64]:
    """CPU seconds an image, ``(rounds, contestants)``."""
    for contestant in found:
        for _ in range(3):
            once = max(seconds(contestant.run, contestant.times), 1e-7)
            contestant.times = max(1, round(ROUND_SECONDS / once))
    took = np.zeros((rounds, len(found)))
    for number in range(rounds):
        order = np.roll(np.arange(len(found)), number)
        for place in order:
            took[number, place] = seconds(found[place].run, found[place].times)
    return took


def summary(found: list[Contestant], took: npt.NDArray[np.float64], gcc: str) -> dict[str, Any]:
    """The run as x86.json has it: of each contestant the median time and ratio to LiteRT's."""
    times, ratios = np.median(took, axis=0) * 1e6, np.median(took / took[:, :1], axis=0)
    return {
        "machine": runs.machine(()),
        "compiler": f"gcc {gcc} -O3",
        "images": {
            f"{one.name}, {one.dtype}": {"us": round(float(us), 1), "ratio": round(float(ratio), 2)}
            for one, us, ratio in zip(found, times, ratios, strict=True)
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=100, help="of the comparison (default: 100)")
    parser.add_argument("--update", action="store_true", help="add this run to x86.json")
    options = parser.parse_args(arguments)
    if platform.machine() not in ("x86_64", "AMD64"):
        sys.exit(f"this machine is {platform.machine()}: the comparison is for x86-64")
    if shutil.which("gcc") is None:
        sys.exit("gcc is missing; install the package gcc")
    model = checkpoint.load(MODEL)
    images = verify.stress_images(make_plan(model, "int8"))[-CHECKED_IMAGES:]
    found = contestants(model, images)
    took = measure(found, options.rounds)
    ratios = took / took[:, :1]

    table = Table(title=f"One image, one thread, CPU time; median of {options.rounds} rounds")
    table.add_column("")
    table.add_column("dtype")
    table.add_column("µs", justify="right")
    table.add_column("ratio to LiteRT", justify="right")
    table.add_column("half the rounds within", justify="right")
    for place in np.argsort(np.median(took, axis=0)):
        low, middle, high = np.quantile(ratios[:, place], [0.25, 0.5, 0.75])
        table.add_row(
            found[place].name,
            found[place].dtype,
            f"{np.median(took[:, place]) * 1e6:.1f}",
            f"{middle:.3f}",
            f"{low:.3f} to {high:.3f}",
        )
    console = Console()
    console.print(table)
    gcc = subprocess.check_output(["gcc", "-dumpfullversion"], text=True).strip()
    console.print(
        f"gcc {gcc} -O3; LiteRT's call by itself: {overhead(10) * 1e6:.1f} µs",
        highlight=False,
    )
    if options.update:
        runs.add(RUNS, summary(found, took, gcc))


if __name__ == "__main__":
    main()
