"""A reading is accepted only if exactly the rows of one image were given, whatever went wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan

from .networks import ACCEPTED, MISCOUNTED, faults_that_are_accepted, named_model, verdict_of


@pytest.fixture(scope="module", params=["lenet", "mlp", "normed"])
def network(request):
    """A network and its rows; ``mlp`` keeps the image whole, and has no strip."""
    plan = make_plan(named_model(request.param), "int8")
    return CompiledNetwork(plan, render_c(plan, Options()))


@pytest.fixture(scope="module")
def rows(network):
    shape = network.plan.input_shape
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_the_rows_of_one_image_are_accepted_each_time(network, rows):
    assert [verdict_of(network, rows) for _ in range(3)] == [ACCEPTED] * 3
    image, logits = network.bytes_of(rows), network.numbers_of(network.new_logits())
    assert network.function("logits")(network.workspace, image, logits) == ACCEPTED
    reading = network.function("read")(network.workspace, image)
    assert (reading.verdict, reading.accepted) == (ACCEPTED, 1)


def test_rows_too_few_or_too_many_are_told(network, rows):
    for count in range(len(rows)):
        assert verdict_of(network, rows[:count]) == MISCOUNTED
    for more in (1, 2, len(rows), 2**16, 2**16 + len(rows)):
        too_many = np.concatenate([rows, np.resize(rows, (more, *rows.shape[1:]))])
        assert verdict_of(network, too_many) == MISCOUNTED


def test_an_image_that_is_not_begun_is_told(network, rows):
    assert verdict_of(network, rows) == ACCEPTED
    for _ in range(3):
        assert verdict_of(network, rows, begun=False) == MISCOUNTED
    assert verdict_of(network, rows) == ACCEPTED
    for fill in (0x00, 0x1B, 0x1C, 0x55, 0xFF):
        memory = np.full(network.workspace_bytes, fill, np.uint8)
        never_begun = network.workspace_in(memory)
        assert verdict_of(network, rows, never_begun, begun=False) == MISCOUNTED


def test_a_row_that_is_left_out_or_given_twice_is_told(network, rows):
    for at in range(len(rows)):
        assert verdict_of(network, np.delete(rows, at, 0)) == MISCOUNTED
        assert verdict_of(network, np.insert(rows, at, rows[at], 0)) == MISCOUNTED


def test_no_bit_of_the_counters_flips_unnoticed(network, rows):
    assert faults_that_are_accepted(network, rows) == []


def test_on_a_cpu_with_kernels_of_its_own_it_is_the_same():
    plan = lay_out(make_plan(named_model("lenet"), "int8"), "cortex-m4", "speed")
    network = CompiledNetwork(plan, render_c(plan, Options()))
    image = np.full(plan.input_shape, 9, np.uint8)
    assert verdict_of(network, image) == ACCEPTED
    assert faults_that_are_accepted(network, image) == []
