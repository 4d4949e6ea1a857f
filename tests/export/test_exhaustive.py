"""Equality for all inputs: of imitated instructions and what defines them, of kernels and plain C.

A layer here has so few inputs, or they so few values, that each image there is can be tried.
"""

from __future__ import annotations

import itertools
import subprocess
from functools import cache

import numpy as np
import pytest

from few_bits import on_grids
from lenet_export.checkpoint import Stage
from lenet_export.compiled import IMITATED, CompiledNetwork
from lenet_export.cpus.kernel import GENERIC, kernel_of
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.evidence.kernels import EXHAUSTED, sort_of
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import require

from .networks import random_model

#: Each value is defined anew, by numbers: no shift, no mask and no cast of what is imitated.
ALL_VALUES = r"""
#include <arm_acle.h>
#include <stdio.h>

static int32_t as_signed(uint32_t half) { return (int32_t)half - (half < 32768 ? 0 : 65536); }

int main(void)
{
    unsigned long long wrong = 0;
    uint32_t n = 0;
    do {
        int64_t value = n < 2147483648u ? (int64_t)n : (int64_t)n - 4294967296;
        wrong += __usat((int32_t)value, 8) != (uint32_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        wrong += __usat((int32_t)value, 9) != (uint32_t)(value < 0 ? 0 : value > 511 ? 511 : value);
        uint32_t first = n % 256, third = n / 65536 % 256;
        wrong += __uxtb16(n) != first + 65536 * third;
        uint32_t low = first < 128 ? first : first + 65280;
        uint32_t high = third < 128 ? third : third + 65280;
        wrong += (uint32_t)__sxtb16((int32_t)value) != low + 65536 * high;
        uint32_t a = n % 65536, b = n / 65536;
        int32_t product = as_signed(a) * as_signed(b);
        wrong += __smlad((int32_t)a, (int32_t)b, 7) != (int64_t)product + 7;
        wrong += __smlad((int32_t)(65536 * a), (int32_t)(65536 * b), -7) != (int64_t)product - 7;
        int32_t twice = (int32_t)(2u * (uint32_t)product);
        wrong += __smlad((int32_t)(a + 65536 * b), (int32_t)(b + 65536 * a), 0) != twice;
    } while (++n != 0);
    printf("%llu\n", wrong);
    return 0;
}
"""


@pytest.mark.wide
def test_imitated_instructions_are_as_defined_for_all_values(tmp_path):
    """Words of 32 bits, all; of two halfwords multiplied, all pairs, in each place."""
    (tmp_path / "all.c").write_text(ALL_VALUES)
    command = [require("gcc"), "-O3", "-fwrapv", "-I", str(IMITATED), "-o", "all", "all.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["./all"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "0\n"


#: Two pixels of any code.
DENSE = (Stage("fc1", "dense", 8, "relu"), Stage("fc2", "dense", 3)), (1, 2, 1)
#: Nine pixels, of three codes each.
CONV = (
    (
        Stage("conv1", "conv", 8, "relu", (2, 2), "SAME", "max", 2),
        Stage("fc", "dense", 3),
    ),
    (3, 3, 1),
)
CODES = (0, 97, 255)
#: Each CPU's fast kernels; those with kernels of their own for few bits have these too.
CASES = [
    (cpu, bits, kind)
    for cpu in CPUS
    # The first is what others are compared with, the second an AVR, the third not on all machines.
    if cpu not in ("generic", "atmega328p", "x86-64-v4")
    for bits in (("8", "4") if cpu in ("cortex-m0", "cortex-m55", "avr") else ("8",))
    for kind in ("dense", "conv")
]


def small(kind, bits):
    """The plan of a small network."""
    stages, shape = {"dense": DENSE, "conv": CONV}[kind]
    model = random_model(stages, shape)
    return make_plan(on_grids(model, [bits] * len(stages)) if bits != "8" else model, "int8")


def test_the_evidence_tells_of_these_kernels_and_of_no_others():
    found = {cpu: set() for cpu, _, _ in CASES}
    for cpu, bits, kind in CASES:
        found[cpu] |= {sort_of(layer) for layer in lay_out(small(kind, bits), cpu, "speed").layers}
    assert found == EXHAUSTED


@cache
def plain(kind, bits):
    """The plan of a small network, all images that it can be given, and what plain C reads."""
    plan = small(kind, bits)
    shape = plan.input_shape
    codes = range(256) if kind == "dense" else CODES
    images = np.array([*itertools.product(codes, repeat=int(np.prod(shape)))], np.uint8)
    images = images.reshape(-1, *shape)
    return plan, images, CompiledNetwork(plan, render_c(plan, Options())).logits(images)


@pytest.mark.wide
@pytest.mark.parametrize(("cpu", "bits", "kind"), CASES)
def test_a_kernel_is_plain_c_for_all_images(cpu, bits, kind):
    plan, images, expected = plain(kind, bits)
    own = lay_out(plan, cpu, "speed")
    assert all(kernel_of(layer) is not GENERIC for layer in own.layers)
    found = CompiledNetwork(own, render_c(own, Options())).logits(images)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected, axis=0)) > 1000
