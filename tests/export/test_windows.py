"""A pool window of any size is taken part by part: short functions and small stack frames."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from lenet_export import float_network, reference, verify
from lenet_export.checkpoint import Stage
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.plan import make_plan
from needs import pairs, require, wide

from .instruction_sets import X86, flags_of
from .networks import random_model, run_program, write_files

MOST_LINES, MOST_STACK = 120, 1024


def plan_of(size, pool, features, channels, dtype, cpu, norm="none"):
    """A convolution with a pool window of ``size`` and a dense layer."""
    activation = "sigmoid" if pool == "avg" else "relu"
    conv = Stage("conv1", "conv", features, activation, (3, 3), "SAME", pool, size, norm=norm)
    side = max(2, 16 // size) * size
    model = random_model((conv, Stage("fc", "dense", 3)), (side, side, channels))
    return lay_out(make_plan(model, dtype), cpu, "speed")


def lengths(text):
    """The lines of each function of a C file, by its name."""
    functions = re.findall(r"^(\w[^\n;=]*\n\{\n.*?\n\})$", text, re.MULTILINE | re.DOTALL)
    return {re.search(r"(\w+)\(", body)[1]: body.count("\n") + 1 for body in functions}


def frames(compiler, cpu, folder):
    """The bytes of stack of each function, by its name."""
    flags = ["-std=c99", "-O2", "-fstack-usage", *CPUS[cpu].flags]
    subprocess.run([require(compiler), *flags, "-c", "lenet.c"], cwd=folder, check=True)
    rows = (line.split("\t") for line in (folder / "lenet.su").read_text().splitlines())
    return {row[0].rpartition(":")[2]: int(row[1]) for row in rows}


#: An instruction set, and which compiler has it without ``make test-all``.
BY = {"x86-64-v3": "gcc", "x86-64-v4": "clang"}


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(
    ("cpu", "compiler"),
    [*BY.items(), *wide((cpu, by) for cpu in X86 for by in ("gcc", "clang") if BY[cpu] != by)],
)
@pytest.mark.parametrize("size", [16, *wide([2, 3, 5, 8, 13])])
def test_no_window_makes_a_long_function_or_a_large_frame(size, cpu, compiler, dtype, tmp_path):
    # A picture of one channel is computed by columns where float32's window allows it; a single
    # channel of output shares a vector with the columns of a window.
    for features, channels in [(16, 2), (1, 1)]:
        write_files(plan_of(size, "avg", features, channels, dtype, cpu), tmp_path)
        longest = max(lengths((tmp_path / "lenet.c").read_text()).values())
        largest = max(frames(compiler, cpu, tmp_path).values())
        assert longest <= MOST_LINES, features
        assert largest <= MOST_STACK, features


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("cpu", ["generic", "cortex-m0", "riscv32"])
def test_a_window_with_layer_normalization_is_taken_part_by_part(cpu, dtype, tmp_path):
    plan = plan_of(16, "avg", 16, 2, dtype, cpu, norm="layer")
    write_files(plan, tmp_path)
    assert max(frames("gcc", "generic", tmp_path).values()) <= MOST_STACK  # their C is plain
    if dtype == "int8":
        images = verify.stress_images(plan, random=5)
        command = [require("gcc"), "-std=c99", "-O1", "-w"]
        logits, self_test = run_program(plan, images, command, tmp_path)
        assert self_test == 0
        assert (logits != reference.run_integers(plan, images)["fc"]).sum() == 0


@pytest.mark.parametrize(
    ("cpu", "window", "dtype"),
    pairs(X86, [(4, "avg", 17), (11, "max", 9), (16, "avg", 1)], ["int8", "float32"]),
)
def test_windows_by_parts_equal_jax(cpu, window, dtype, tmp_path):
    size, pool, features = window
    plan = plan_of(size, pool, features, 2, dtype, cpu)
    images = verify.stress_images(plan, random=5)
    command = [require("gcc"), "-std=c99", "-O1", "-w", *flags_of(cpu)]
    logits, self_test = run_program(plan, images, command, tmp_path)
    assert self_test == 0
    if dtype == "int8":
        assert (logits != reference.run_integers(plan, images)["fc"]).sum() == 0
    else:
        expected = float_network.run_logits(plan.model, images)
        assert np.abs(logits - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
