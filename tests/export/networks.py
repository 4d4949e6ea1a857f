"""Small networks with random weights, and programs that run generated C."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from pathlib import Path

import numpy as np

from lenet_export.checkpoint import Model, Stage
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.ink import Ink
from lenet_export.outputs.c import Options, render_c

LENET = (
    Stage("conv1", "conv", 6, "sigmoid", (5, 5), "SAME", "avg", 2),
    Stage("conv2", "conv", 16, "sigmoid", (5, 5), "VALID", "avg", 2),
    Stage("fc1", "dense", 120, "sigmoid"),
    Stage("fc2", "dense", 84, "sigmoid"),
    Stage("fc3", "dense", 10),
)
MLP = (Stage("fc1", "dense", 24, "relu"), Stage("fc2", "dense", 10))
#: Borders between convolutions, even kernels, no pool, a maximum, a 3x3 pool that drops a row.
DEEP = (
    Stage("stem", "conv", 3, "relu", (3, 3), "SAME"),
    Stage("conv2", "conv", 4, "sigmoid", (4, 2), "SAME", "max", 2),
    Stage("conv3", "conv", 5, "relu", (5, 3), "SAME", "avg", 3),
    Stage("head", "dense", 7),
)
ONE = (Stage("fc", "dense", 3),)
#: Codes with a zero point, in borders too, and activations that share a table and do not.
SIGNED = (
    Stage("conv1", "conv", 3, "tanh", (3, 3), "SAME", "avg", 2),
    Stage("conv2", "conv", 4, "gelu", (4, 2), "SAME", "max", 2),
    Stage("conv3", "conv", 5, "gelu", (4, 3), "SAME"),
    Stage("fc1", "dense", 6, "scaled_tanh"),
    Stage("fc2", "dense", 7),
)
#: Layer normalization with a pool, in front of a border, unpooled, dense, beside layers without.
NORMED = (
    Stage("conv1", "conv", 6, "gelu", (3, 3), "SAME", "max", 2, norm="layer"),
    Stage("conv2", "conv", 5, "relu", (3, 3), "SAME", "avg", 2),
    Stage("conv3", "conv", 5, "tanh", (2, 2), "VALID", norm="layer"),
    Stage("fc1", "dense", 12, "sigmoid", norm="layer"),
    Stage("fc2", "dense", 7),
)
#: A pool over the whole map.
GAP = (
    Stage("conv1", "conv", 4, "gelu", (3, 3), "SAME", stride=2),
    Stage("conv2", "conv", 6, "tanh", (3, 3), "SAME", "avg", 10),
    Stage("fc", "dense", 7),
)
#: Strides, even and odd, with pools and borders, and even kernels.
STRIDED = (
    Stage("conv1", "conv", 4, "relu", (5, 5), "SAME", stride=2),
    Stage("conv2", "conv", 3, "tanh", (3, 2), "SAME", "max", 2, stride=2),
    Stage("conv3", "conv", 6, "relu", (3, 4), "VALID", "avg", 2, stride=3),
    Stage("fc", "dense", 7),
)
#: Pools of their own: overlapping, with a border of each kind, not square, one behind another; and
#: another stride across than down.
POOLED = (
    Stage("conv1", "conv", 3, "leaky_relu(0.1)", (3, 3), "SAME", column_stride=2),
    Stage("pool1", "pool", 3, "none", (3, 3), "1,1,2,0", "max", stride=2),
    Stage("conv2", "conv", 4, "tanh", (3, 2), "SAME"),
    Stage("pool2", "pool", 4, "none", (3, 3), "SAME", "avg", stride=2),
    Stage("pool2_2", "pool", 4, "none", (2, 2), "SAME", "max"),
    Stage("conv3", "conv", 4, "gelu", (2, 2), "SAME", "max", 2),
    Stage("pool3_2", "pool", 4, "none", (1, 2), "VALID", "avg", column_stride=2),
    Stage("last", "dense", 3),
)
#: Depthwise convolutions, of as many channels and of twice as many, with a pool and strides; and
#: a row of more values than kernels write out.
SEPARABLE = (
    Stage("conv1", "depthwise", 4, "tanh", (3, 3), "SAME", column_stride=2),
    Stage("conv2", "conv", 8, "relu6", (1, 1)),
    Stage("conv2_2", "depthwise", 8, "relu", (3, 3), "SAME"),
    Stage("conv2_3", "conv", 8, "relu", (2, 5), "0,1,2,1"),
    Stage("conv3", "depthwise", 8, "hard_swish", (3, 2), "SAME", "max", 2),
    Stage("conv4", "depthwise", 16, "relu", (2, 3), "1,0,2,1", stride=2),
    Stage("conv5", "depthwise", 16, "relu", (2, 2), "SAME", "avg", 2, norm="layer"),
    Stage("last", "dense", 5),
)
#: More rows than a byte counts.
TALL = (Stage("conv1", "conv", 2, "relu", (3, 1), "SAME", "avg", 2), Stage("fc", "dense", 3))

CHAINS = {
    "lenet": LENET,
    "mlp": MLP,
    "deep": DEEP,
    "one": ONE,
    "tall": TALL,
    "signed": SIGNED,
    "strided": STRIDED,
    "gap": GAP,
    "normed": NORMED,
    "pooled": POOLED,
    "separable": SEPARABLE,
}
SHAPES = {
    "lenet": (28, 28, 1),
    "mlp": (28, 28, 1),
    "deep": (22, 17, 2),
    "one": (4, 5, 1),
    "tall": (300, 2, 1),
    "signed": (13, 11, 2),
    "strided": (60, 57, 1),
    "gap": (19, 20, 1),
    "normed": (14, 15, 1),
    "pooled": (25, 44, 1),
    "separable": (13, 28, 2),
}


#: Chains whose last output stands for "none of these".
NONE_OUTPUT = ("one", "strided")
#: Chains whose images' ink has limits, of all kinds; one has no border, one no least.
INK = {
    "deep": Ink(2, least=3_000, most=60_000, share=90, peak=200),
    "tall": Ink(0, least=2_000, most=50_000, share=256, peak=255),
    "strided": Ink(7, least=0, most=300_000, share=100, peak=0),
}


def random_model(stages, shape, seed=0, spread=2.0):
    """A model whose sums spread over the whole range of its activations."""
    rng = np.random.default_rng(seed)
    params = {}
    for stage, size in zip(stages, Model(shape, stages, {}).shapes, strict=False):
        if not stage.learns:
            continue
        kernel = stage.kernel_shape(size)
        inputs = int(np.prod(kernel[:-1]))
        params[f"{stage.name}/kernel"] = rng.normal(0, spread * inputs**-0.5, kernel)
        params[f"{stage.name}/bias"] = rng.normal(0, 0.3, stage.features)
        if stage.norm == "layer":
            params[f"{stage.norm_name}/scale"] = rng.uniform(-2, 2, stage.features)
            params[f"{stage.norm_name}/bias"] = rng.normal(0, 0.5, stage.features)
    rows = GapRow(0.0, 1000, 20), GapRow(0.5, 980, 5), GapRow(1.0, 900, 0)
    return Model(
        shape,
        tuple(stages),
        {name: value.astype(np.float32) for name, value in params.items()},
        {stage.name: 1.0 if stage.activation == "sigmoid" else 2.5 for stage in stages},
        GapTable(1000, rows),
    )


def named_model(name):
    """One of the chains above."""
    model = random_model(CHAINS[name], SHAPES[name])
    return dataclasses.replace(model, none_output=name in NONE_OUTPUT, ink=INK.get(name))


def write_files(plan, folder: Path, options: Options | None = None):
    """Renders ``plan`` into ``folder``."""
    for name, data in render_c(plan, options or Options()).items():
        (folder / name).write_bytes(data)


def rows_given(network, rows):
    """The logits of rows given one by one."""
    logits = network.new_logits()
    network.function("begin")(network.workspace)
    for row in rows:
        network.function("row")(network.workspace, network.bytes_of(row))
    network.function("finish")(network.workspace, network.numbers_of(logits))
    return logits


#: lenet_verdict.
ACCEPTED, UNSURE, MISCOUNTED, NO_CLASS, NO_INK, OUTSIDE = range(6)


#: lenet_self_test_result.
PASSED, CONSTANTS, ANSWERS, RUNNING = range(4)


def new_test(network):
    """A self-test in steps, begun."""
    test = network._ffi.new("lenet_self_test_state *")
    network.function("self_test_begin")(test)
    return test


def steps_of(network):
    """How many steps a self-test has: slices of the tables, rows of four images, and four ends."""
    slices = -(-network.plan.constant_bytes // 256)
    return slices + 4 * (network.plan.input_shape[0] + 1) - 1


def results_of(network, test, between=None, workspace=None):
    """What the steps of a self-test return, up to the first that is not RUNNING, or far too many.

    Args:
        network: a compiled network.
        test: of :func:`new_test`; it may have had steps.
        between: what to call in front of a step, by its number.
        workspace: default: the network's own.
    """
    ws = network.workspace if workspace is None else workspace
    step, results = network.function("self_test_step"), []
    while not results or (results[-1] == RUNNING and len(results) < 4 * steps_of(network)):
        (between or {}).get(len(results), lambda: None)()
        results.append(step(test, ws))
    return results


def verdict_of(network, rows, workspace=None, begun=True, fault=None):
    """What ``lenet_finish`` tells of rows given one by one.

    Args:
        network: a compiled network.
        rows: uint8 ``(rows, columns, channels)``.
        workspace: default: the network's own.
        begun: whether ``lenet_begin`` comes first.
        fault: ``(place, counter, bit)``: in front of the row at ``place``, or of ``lenet_finish``,
            this bit of ``ws->row`` or ``ws->left`` changes.
    """
    ws = network.workspace if workspace is None else workspace
    if begun:
        network.function("begin")(ws)
    for place in range(len(rows) + 1):
        if fault and place == fault[0]:
            setattr(ws, fault[1], getattr(ws, fault[1]) ^ 1 << fault[2])
        if place < len(rows):
            network.function("row")(ws, network.bytes_of(rows[place]))
    return network.function("finish")(ws, network.numbers_of(network.new_logits()))


def at_the_limits(ink, shape):
    """Images just within and just beyond each limit, uint8, and the verdict of each."""
    border = np.ones(shape, bool)
    border[ink.border : shape[0] - ink.border, ink.border : shape[1] - ink.border] = False
    cells = [np.flatnonzero(border if is_border else ~border) for is_border in (False, True)]

    def image(total, around=0, peak=255):
        """With a pixel of ``peak``, the rest as evenly as goes below it."""
        flat = np.zeros(border.size, np.uint8)
        flat[cells[0][-1]] = peak
        for places, amount in ((cells[0][:-1], total - around - peak), (cells[1], around)):
            high, more = divmod(amount, max(len(places), 1))
            flat[places] = high + (np.arange(len(places)) < more)
        assert (flat.sum(), flat.max()) == (total, peak)
        return flat.reshape(shape)

    middle = (ink.least + ink.most) // 2
    cases = [(image(ink.most), ACCEPTED), (image(ink.most + 1), OUTSIDE)]
    cases.append((np.zeros(shape, np.uint8), NO_INK if ink.least else ACCEPTED))
    if ink.least:
        cases += [(image(ink.least), ACCEPTED), (image(ink.least - 1), NO_INK)]
    if ink.peak:
        cases += [(image(middle, 0, ink.peak - less), (ACCEPTED, OUTSIDE)[less]) for less in (0, 1)]
    if ink.border and ink.share < 256:
        most = ((middle >> 8) + 1) * ink.share
        cases += [(image(middle, most), ACCEPTED), (image(middle, most + 1), OUTSIDE)]
    return np.stack([one for one, _ in cases]), np.array([verdict for _, verdict in cases])


def verdicts_of(network, images):
    """What ``lenet_logits`` tells of images."""
    logits = network.numbers_of(network.new_logits())
    function, ws = network.function("logits"), network.workspace
    return np.array([function(ws, network.bytes_of(image), logits) for image in images])


def faults_that_are_accepted(network, rows):
    """Of all faults that change one bit of a counter, those that ``lenet_finish`` does not tell."""
    faults = itertools.product(range(len(rows) + 1), ("row", "left"), range(16))
    return [fault for fault in faults if verdict_of(network, rows, fault=fault) != MISCOUNTED]


#: Reads images from standard input and writes their logits, for compilers and sanitizers.
DRIVER = """\
#include "lenet.h"
#include <stdio.h>

int main(void)
{
    static lenet_workspace ws;
    static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        LOGIT logits[LENET_LOGITS];
        lenet_logits(&ws, image, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return lenet_self_test(&ws);
}
"""


def run_program(plan, images, command, folder: Path, emulator=()):
    """The logits of a program compiled by ``command``, and what its self-test returns.

    Args:
        plan: as laid out.
        images: uint8 ``(images, rows, columns, channels)``.
        command: a compiler and its flags.
        folder: an empty one.
        emulator: the command that runs a program of another machine.
    """
    write_files(plan, folder)
    is_int = plan.dtype == "int8"
    (folder / "driver.c").write_text(DRIVER.replace("LOGIT ", "int32_t " if is_int else "float "))
    program = folder / "driver"
    subprocess.run([*command, "-o", program, folder / "driver.c", folder / "lenet.c"], check=True)
    done = subprocess.run([*emulator, program], input=images.tobytes(), capture_output=True)
    assert not done.stderr, done.stderr.decode()
    logits = np.frombuffer(done.stdout, np.int32 if is_int else np.float32)
    return logits.reshape(len(images), -1), done.returncode
