"""Convolutions as products of polynomials: what they compute, up to the last bit of their sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lenet_export.checkpoint import Stage
from lenet_export.cpus.kernel import kernel_of
from lenet_export.cpus.kronecker import Kronecker
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan

from .networks import random_model
from .test_parity import assert_equals_jax

CPU = ("cortex-m4", "speed")
#: 255 times this is the most below 2^20 that weights can add up to.
LIMIT = (2**20 - 1) // 255


def plan_of_weights(total):
    """A plan whose first layer's positive or negative weights add up to ``total`` in a channel."""
    kernel = np.zeros((5 * 5 * 3, 2), np.int64)
    rng = np.random.default_rng(0)
    for channel, amounts in enumerate([(total, LIMIT - 4), (LIMIT - 4, total)]):
        parts = [spread(amount) * sign for amount, sign in zip(amounts, (1, -1), strict=True)]
        kernel[:-1, channel] = rng.permutation(np.concatenate(parts))
    conv = Stage("conv1", "conv", 2, "relu", (5, 5), "SAME", "avg", 2)
    model = random_model((conv, Stage("last", "dense", 3)), (8, 10, 3))
    params = model.params | {
        "conv1/kernel": kernel.reshape(5, 5, 3, 2).astype(np.float32) / 127,
        "conv1/bias": np.zeros(2, np.float32),
    }
    ranges = dict.fromkeys(model.activation_ranges, 64.0)
    plan = make_plan(replace(model, params=params, activation_ranges=ranges), "int8")
    weight = np.moveaxis(kernel.reshape(5, 5, 3, 2), -1, 0)
    assert (plan.layers[0].weight == weight).all()
    return plan


def spread(total, count=37):
    """``count`` weights of at most 127 that add up to ``total``, one of them 127."""
    each, more = divmod(total - 127, count - 1)
    return np.array([127] + [each + 1] * more + [each] * (count - 1 - more))


def test_sums_that_just_fit_their_21_bits_equal_jax():
    plan = lay_out(plan_of_weights(LIMIT), *CPU)
    assert isinstance(kernel_of(plan.layers[0]), Kronecker)
    (sums,) = kernel_of(plan.layers[0]).partial_sums(plan.layers[0])
    assert (sums.least.min(), sums.most.max()) == (2**20 - 255 * LIMIT, 2**20 + 255 * LIMIT)
    assert sums.least.min() < 255 and sums.most.max() > 2**21 - 256
    assert_equals_jax(plan, count=40)


def test_a_layer_whose_sums_need_more_bits_goes_to_another_kernel():
    plan = plan_of_weights(LIMIT + 1)
    laid_out = lay_out(plan, *CPU)
    assert not isinstance(kernel_of(laid_out.layers[0]), Kronecker)
    assert_equals_jax(laid_out, count=40)
    forced = replace(plan.layers[0], layout=Kronecker().layout(plan.layers[0]))
    with pytest.raises(AssertionError, match="uint21"):
        render_c(replace(laid_out, layers=(forced, *laid_out.layers[1:])), Options())


CONV = Stage("conv1", "conv", 4, "gelu", (3, 5), "SAME", "max", 2)


def kernels(*convs, shape=(9, 11, 1), zero=0):
    """The names of the kernels of a chain's convolutions; the C of all is that of JAX."""
    named = [replace(conv, name=f"conv{place}") for place, conv in enumerate(convs)]
    model = random_model(
        (*named, Stage("fc", "dense", 8, "relu"), Stage("last", "dense", 3)), shape
    )
    plan = lay_out(make_plan(replace(model, input_zero=zero), "int8"), *CPU)
    assert_equals_jax(plan, count=20)
    return [kernel_of(layer).template for layer in plan.row_layers]


def test_words_come_from_images_and_from_every_kernel():
    """Of an image of odd rows, of colours; of pairs, blocks, norms, and pools of their own."""
    separable = Stage("", "depthwise", 2, "relu", (3, 3), "SAME")
    small = replace(CONV, features=2, kernel=(2, 3), padding="VALID", pool="avg")
    assert kernels(CONV, replace(small, activation="relu"), shape=(15, 25, 1)) == [
        "kronecker",
        "kronecker",
    ]
    assert kernels(small, separable, small, shape=(16, 28, 3)) == [
        "kronecker",
        "blocked",
        "kronecker",
    ]
    normed = replace(small, norm="layer", pool="none", pool_size=1)
    assert kernels(normed, small, shape=(9, 15, 2)) == ["smlad", "kronecker"]


def test_borders_are_whole_words():
    """An odd border has a column more; what stands for 0 fills whole words alone, or is 0."""
    even = (9, 12, 1)
    assert kernels(CONV, shape=even, zero=7) == ["kronecker"]
    assert kernels(replace(CONV, kernel=(3, 3)), shape=even, zero=7) == ["kronecker"]
    assert kernels(CONV, zero=7) == ["smlad"]


@pytest.mark.parametrize(
    "of",
    [
        {"stride": 2, "kernel": (5, 5)},
        {"norm": "layer"},
        {"pool_size": 3},
        {"pool": "none", "pool_size": 1},
        {"kernel": (3, 1)},
    ],
    ids=str,
)
def test_what_has_no_such_form_goes_to_another_kernel(of):
    model = random_model((replace(CONV, **of), Stage("last", "dense", 3)), (12, 12, 1))
    layer = make_plan(model, "int8").layers[0]
    assert not Kronecker().suits(layer)
