"""Convolutions by SMLAD, at places beside each other and of channels by themselves, equal JAX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lenet_export.checkpoint import Stage
from lenet_export.cpus.kernel import kernel_of
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan

from .networks import random_model
from .test_parity import assert_equals_jax

CPU = ("cortex-m4", "speed")
CONV = Stage("", "conv", 6, "relu", (3, 3), "SAME")
OWN = Stage("", "depthwise", 6, "relu", (3, 3), "SAME")
PLACES, DEPTHWISE = "smlad_places", "smlad_depthwise"


def laid_out(*convs, shape, zero=0):
    """The plan for an M4 of a chain of convolutions with random weights."""
    named = [replace(conv, name=f"conv{place}") for place, conv in enumerate(convs)]
    model = random_model((*named, Stage("last", "dense", 3)), shape)
    return lay_out(make_plan(replace(model, input_zero=zero), "int8"), *CPU)


def kernels(*convs, shape, zero=0):
    """The names of the kernels of a chain's convolutions; the C of all is that of JAX."""
    plan = laid_out(*convs, shape=shape, zero=zero)
    assert_equals_jax(plan, count=20)
    return [kernel_of(layer).template for layer in plan.row_layers]


def test_places_are_of_any_number_and_rows_of_any_length():
    """Even and odd columns, channels by 2 and 4, strides; rows in one part, in two, filled up."""
    convs = (
        replace(CONV, features=8, column_stride=2),
        replace(CONV, kernel=(1, 5), features=34, padding="VALID"),
        replace(CONV, kernel=(1, 1), features=6),
        replace(CONV, kernel=(2, 3), stride=2, activation="tanh"),
    )
    assert kernels(*convs, shape=(11, 25, 1)) == [PLACES] * 4


def test_channels_by_themselves_have_any_number_of_columns():
    """One step, three, more than are written out; kernels of 5; borders, even and odd, or none."""
    convs = (
        replace(OWN, kernel=(3, 5)),
        replace(OWN, kernel=(1, 3), padding="VALID"),
        replace(OWN, kernel=(2, 9), padding="1,0,3,2", activation="tanh"),
        replace(OWN, stride=2, column_stride=1, padding="VALID"),
    )
    assert kernels(*convs, shape=(9, 23, 6)) == [DEPTHWISE] * 4
    assert kernels(OWN, replace(OWN, padding="VALID"), shape=(5, 4, 6)) == [DEPTHWISE] * 2


@pytest.mark.parametrize("columns", [5, 6, 7, 12])
def test_one_writes_what_the_other_reads(columns):
    """Codes of two columns in a word, and two values of a row in another, from kernel to kernel."""
    convs = (replace(CONV, kernel=(1, 1)), OWN, replace(CONV, kernel=(1, 1), features=4))
    assert kernels(*convs, shape=(6, columns, 2)) == [PLACES, DEPTHWISE, PLACES]


def test_what_neither_computes_goes_to_another_kernel():
    """A norm, a pool, odd channels; a stride, an even kernel, a border that is not 0."""
    pooled = replace(CONV, pool="avg", pool_size=2)
    convs = replace(CONV, norm="layer"), replace(CONV, features=5), pooled
    assert PLACES not in kernels(*convs, shape=(9, 10, 1))
    convs = (
        replace(OWN, stride=2),
        replace(OWN, kernel=(2, 2)),
        replace(OWN, features=12),
        replace(OWN, features=12, norm="layer"),
    )
    assert DEPTHWISE not in kernels(*convs, shape=(9, 10, 6))
    assert kernels(OWN, shape=(5, 7, 6), zero=9) == ["blocked"]


def test_sums_that_need_more_than_24_bits_go_to_another_kernel():
    """The bounds refuse what is forced upon it."""
    plan = laid_out(replace(CONV, kernel=(1, 1), features=2), shape=(2, 4, 600))
    (layer,) = plan.row_layers
    assert kernel_of(layer).template == PLACES
    wide = replace(layer, weight=np.full_like(layer.weight, 127))
    wide = replace(wide, integers=replace(layer.integers, acc_max=layer.integers.acc_max + 2**23))
    assert not kernel_of(layer).suits(wide)
    with pytest.raises(AssertionError, match="int24"):
        render_c(replace(plan, layers=(wide, *plan.layers[1:])), Options())


def test_words_are_loaded_whole_where_a_strip_begins_at_one():
    """A strip of bytes in front of another may end in the middle of a word."""
    pooled = replace(CONV, padding="2,2,0,4", kernel=(3, 5), pool="avg", pool_size=2)
    convs = pooled, replace(OWN, kernel=(1, 2), padding="VALID"), replace(CONV, features=4)
    for columns, is_whole in ((15, False), (17, True)):
        plan = laid_out(*convs, shape=(12, columns, 2))
        assert kernel_of(plan.row_layers[2]).template == PLACES
        assert plan.strips[1].nbytes % 4 == (0 if is_whole else 2)
        assert (b"= word_of_pair(" in render_c(plan, Options())["lenet.c"]) == is_whole
