"""Each activation in integers is the function itself, within a step; a leaky ReLU has any slope."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lenet_export import UserError, checkpoint, float_network
from lenet_export.activations import (
    ACTIVATIONS,
    BOUNDS,
    function_of,
    is_known,
    leaky_relu,
    slope_of,
)
from lenet_export.checkpoint import Model, Stage
from lenet_export.cpus.registry import lay_out
from lenet_export.plan import make_plan
from lenet_export.readers.registry import read

from .networks import random_model
from .test_parity import assert_equals_jax, can_run

LEAKY = ("leaky_relu(0.1)", "leaky_relu(0.3)", "leaky_relu(1e-05)", "leaky_relu(0.999)")


@pytest.mark.parametrize("largest", [0.02, 1.0, 5.5, 300.0])
@pytest.mark.parametrize("name", [*ACTIVATIONS, *LEAKY])
def test_a_code_stands_for_the_function_within_a_step_over_its_range(name, largest):
    largest = BOUNDS.get(name, largest)
    of = function_of(name).codes(largest, "conv1")
    z = np.linspace(-1.2, 1.2, 4001) * max(largest, 10)
    index = np.clip(np.floor(z * of.steps + of.offset), 0, of.top).astype(int)
    codes = index if of.table is None else of.table[index].astype(int)
    value = (codes - of.zero_point) * of.scale
    exact = np.asarray(float_network.activation_of(name)(z), np.float64)
    if name.startswith("leaky"):
        exact = np.maximum(exact, -slope_of(name) * largest)
    # An index step of the argument may be several codes: how far the function goes in one.
    step = max(of.scale, 1 / of.steps) * 1.1
    assert np.abs(value - np.minimum(exact, largest)).max() <= step
    assert codes.min() <= 1
    assert codes.max() >= 254


def test_a_slope_is_in_the_name_and_no_function_has_two_names():
    assert leaky_relu(0.1) == "leaky_relu(0.1)"
    assert leaky_relu(np.float32(0.01)) == "leaky_relu"
    assert slope_of("leaky_relu(0.25)") == 0.25
    assert slope_of("relu") is None
    for other in ("(0.10)", "(1)", "(0)", "(-0.1)", "(nan)", "(0.01)", "(.1)", "()", "(0.1", " "):
        assert not is_known(f"leaky_relu{other}")


CPUS = [cpu for cpu in ("generic", "cortex-m4", "x86-64-v3", "x86-64-v4") if can_run(cpu)]
STAGES = (
    Stage("conv1", "conv", 4, "leaky_relu(0.1)", (3, 3), "SAME", "max", 2),
    Stage("conv2", "conv", 3, "leaky_relu(0.3)", (3, 3), "SAME", "avg", 2),
    Stage("fc1", "dense", 9, "leaky_relu"),
    Stage("fc2", "dense", 6, "leaky_relu(0.1)"),
    Stage("last", "dense", 4),
)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("cpu", CPUS)
def test_slopes_of_one_network_differ_and_its_c_is_the_reference(cpu, dtype):
    plan = lay_out(make_plan(random_model(STAGES, (12, 11, 1)), dtype), cpu, "speed")
    assert_equals_jax(plan, count=20)
    tables = [c.name for c in plan.constants if "leaky" in c.name]
    expected = ["leaky_relu_0_1_table", "leaky_relu_0_3_table", "leaky_relu_0_01_table"]
    assert tables == (expected if dtype == "int8" else [])


def test_a_file_keeps_a_slope_and_one_that_there_is_not_is_told(tmp_path):
    model = random_model(STAGES, (12, 11, 1))
    checkpoint.save(model, tmp_path / "model.safetensors")
    assert checkpoint.load(tmp_path / "model.safetensors").stages == STAGES
    wrong = (replace(STAGES[0], activation="leaky_relu(2)"), *STAGES[1:])
    with pytest.raises(UserError, match=r'conv1: activation "leaky_relu\(2\)" is not supported'):
        make_plan(replace(model, stages=wrong), "int8")


WRITTEN = {
    "leaky_relu(0.1)": lambda x: nn.leaky_relu(x, 0.1),
    "leaky_relu": nn.leaky_relu,
    "leaky_relu(0.2)": lambda x: jnp.maximum(x, 0.2 * x),
    "leaky_relu(0.25)": lambda x: jnp.where(x < 0, x / 4, x),
    "relu6": jax.nn.relu6,
    "hard_swish": nn.hard_swish,
    "hard_sigmoid": lambda x: jnp.clip(x / 6 + 0.5, 0, 1),
    "silu": lambda x: x / (1 + jnp.exp(-x)),
    "elu": nn.elu,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_activation_is_read_however_it_is_written(name):
    kernel = np.random.default_rng(0).normal(0, 1, (36, 20)).astype("f4")
    network = read(lambda x: WRITTEN[name](x.reshape(-1, 36) @ kernel) @ kernel[:20], None, (6, 6))
    assert [stage.activation for stage in network.model.stages] == [name, "none"]


def test_the_range_of_a_leaky_relu_is_that_of_its_argument_on_both_sides():
    fc = Stage("fc1", "dense", 1, "leaky_relu(0.1)")
    stages = (fc, Stage("last", "dense", 2))
    for sign, expected in ((1, 3.0), (-1, 3.0)):
        params = {
            "fc1/kernel": np.full((1, 1), 3.0 * sign, np.float32),
            "fc1/bias": np.zeros(1, np.float32),
            "last/kernel": np.ones((1, 2), np.float32),
            "last/bias": np.zeros(2, np.float32),
        }
        images = np.full((2, 1, 1, 1), 255, np.uint8)
        ranges = float_network.activation_ranges(Model((1, 1, 1), stages, params), images)
        assert ranges["fc1"] == pytest.approx(expected)
