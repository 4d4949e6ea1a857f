"""Convolutions of grey images by dot products whose lanes are columns."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_export.checkpoint import Stage
from lenet_export.cpus.dot_columns import DotColumns
from lenet_export.cpus.kernel import kernel_of
from lenet_export.cpus.registry import lay_out
from lenet_export.plan import make_plan

from .networks import random_model
from .test_parity import assert_equals_jax

LAST = Stage("last", "dense", 3)


def plan_of(*convs, columns=24, channels=1):
    """A network of convolutions, laid out."""
    model = random_model((*convs, LAST), (24, columns, channels))
    return lay_out(make_plan(model, "int8"), "aarch64-dotprod", "speed")


def computes(plan):
    """Whether the kernel has the first layer."""
    return isinstance(kernel_of(plan.layers[0]), DotColumns)


#: Channels of each number, kernels that leave none, one, two and three columns of a group of four,
#: of one, three and more rows than two groups below one another; each pool, each kind of table.
@pytest.mark.parametrize(
    "conv",
    [
        Stage("conv1", "conv", 1, "relu", (1, 1), "SAME", "max", 2),
        Stage("conv1", "conv", 2, "tanh", (3, 5), "SAME", "max", 2),
        Stage("conv1", "conv", 3, "gelu", (4, 5), "SAME", "avg", 2),
        Stage("conv1", "conv", 4, "sigmoid", (2, 8), "SAME", "max", 2),
        Stage("conv1", "conv", 5, "relu", (8, 5), "SAME", "avg", 2),
        Stage("conv1", "conv", 6, "hard_swish", (5, 7), "SAME", "avg", 2),
        Stage("conv1", "conv", 6, "sigmoid", (3, 6), "2,0,5,1", "avg", 2),
    ],
    ids=lambda conv: f"{conv.features} of {conv.kernel[0]}x{conv.kernel[1]}",
)
def test_kernels_of_all_shapes_equal_jax(conv):
    plan = plan_of(conv)
    assert computes(plan)
    assert_equals_jax(plan, count=10)


@pytest.mark.parametrize(
    ("conv", "columns", "channels"),
    [
        (Stage("conv1", "conv", 7, "relu", (5, 5), "SAME", "avg", 2), 24, 1),
        (Stage("conv1", "conv", 6, "relu", (5, 5), "SAME", "avg", 2), 22, 1),
        (Stage("conv1", "conv", 6, "relu", (5, 5), "SAME", "avg", 2), 24, 2),
        (Stage("conv1", "conv", 6, "relu", (5, 5), "SAME", "avg", 3), 24, 1),
        (Stage("conv1", "conv", 6, "relu", (5, 9), "SAME", "avg", 2), 24, 1),
        (Stage("conv1", "conv", 6, "relu", (5, 5), "SAME", "avg", 2, stride=2), 24, 1),
        (Stage("conv1", "conv", 6, "gelu", (5, 5), "SAME", "max", 2), 24, 1),
        (Stage("conv1", "conv", 6, "relu", (5, 5), "SAME"), 24, 1),
    ],
    ids=["channels", "windows", "colour", "pool", "kernel", "stride", "falls", "no pool"],
)
def test_what_it_has_no_form_of_goes_to_another_kernel(conv, columns, channels):
    assert not computes(plan_of(conv, columns=columns, channels=channels))


def test_plain_c_behind_it_reads_codes_that_are_not_less_128():
    first = Stage("conv1", "conv", 3, "tanh", (3, 3), "SAME", "max", 2)
    plan = plan_of(first, Stage("conv2", "conv", 2, "gelu", (3, 3), "SAME", "max", 2))
    assert computes(plan) and plan.layers[0].output_dtype == np.uint8
    assert_equals_jax(plan, count=10)
