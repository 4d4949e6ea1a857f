"""The Flax modules, their chains of stages and the textbook describe the same networks."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_export.checkpoint import Model
from lenet_train import cli, loop, model, summary
from lenet_train.recipes import BEST, TEXTBOOK

PARAMETERS = {"lenet": 61_706, "mlp": 203_530}
ACTIVATIONS = {"sigmoid": nn.sigmoid, "relu": nn.relu, "none": lambda x: x}


def initial(arch):
    make, stages = model.ARCHITECTURES[arch]
    variables = loop.start(make(), stages, TEXTBOOK, jax.random.key(1))
    return make(), stages, variables["params"]


def plain(stages, params, x):
    """A chain of stages run by Flax's own layers."""
    for stage in stages:
        variables = {"params": params[stage.name]}
        if stage.kind == "conv":
            x = nn.Conv(stage.features, stage.kernel, padding=stage.padding).apply(variables, x)
        else:
            x = x.reshape(len(x), -1)
            x = nn.Dense(stage.features).apply(variables, x)
        x = ACTIVATIONS[stage.activation](x)
        if stage.pool == "avg":
            size = (stage.pool_size, stage.pool_size)
            x = nn.avg_pool(x, size, strides=size)
    return x


def test_the_command_line_knows_the_architectures():
    assert set(cli.ARCHITECTURES) == set(model.ARCHITECTURES)


@pytest.mark.parametrize("arch", PARAMETERS)
def test_parameters_have_the_names_and_shapes_of_the_chain(arch):
    _, stages, params = initial(arch)
    network = Model(model.INPUT_SHAPE, stages, loop.flat(params))
    expected = {}
    for stage, shape in zip(stages, network.shapes[:-1], strict=True):
        expected[f"{stage.name}/kernel"] = stage.kernel_shape(shape)
        expected[f"{stage.name}/bias"] = (stage.features,)
    assert {name: value.shape for name, value in network.params.items()} == expected
    total = sum(math.prod(shape) for shape in expected.values())
    assert total == PARAMETERS[arch] == summary.parameters(stages)


@pytest.mark.parametrize("arch", PARAMETERS)
def test_logits_and_gradients_are_those_of_flax_s_own_layers(arch):
    network, stages, params = initial(arch)
    x = jax.random.uniform(jax.random.key(2), (5, 28, 28, 1))
    weight = jax.random.normal(jax.random.key(3), (5, 10))
    found, found_gradient = jax.value_and_grad(
        lambda p: (network.apply({"params": p}, x) * weight).sum()
    )(params)
    expected, expected_gradient = jax.value_and_grad(
        lambda p: (plain(stages, p, x) * weight).sum()
    )(params)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found_gradient, expected_gradient
    )


@pytest.mark.parametrize("arch", PARAMETERS)
def test_kernels_start_as_xavier_says_and_biases_at_zero(arch):
    _, _, params = initial(arch)
    for layer in params.values():
        *kernel, inputs, outputs = layer["kernel"].shape
        limit = math.sqrt(6 / (math.prod(kernel) * (inputs + outputs)))
        assert 0.9 * limit < jnp.abs(layer["kernel"]).max() <= limit
        assert not layer["bias"].any()


def test_best_starts_kernels_in_front_of_a_sigmoid_at_four_times_xavier():
    network, stages, params = initial("lenet")
    best = loop.start(network, stages, BEST, jax.random.key(1))["params"]
    for stage in stages:
        gain = 1 if stage.name == "fc3" else 4
        expected = gain * params[stage.name]["kernel"]
        np.testing.assert_array_equal(best[stage.name]["kernel"], expected)


def test_the_summary_tells_the_textbook_s_pyramid():
    assert [row.shape_text for row in summary.rows(model.LENET_STAGES)] == [
        "28x28x1", "28x28x6", "14x14x6", "10x10x16", "5x5x16", "400", "120", "84", "10",
    ]  # fmt: skip


def test_relu_ranges_come_from_the_images_and_sigmoid_ranges_are_one():
    images = np.random.RandomState(0).randint(0, 256, (300, 28, 28)).astype(np.uint8)
    network, stages, params = initial("mlp")
    x = images.reshape(300, -1).astype(np.float32) / 255
    hidden = np.maximum(x @ params["fc1"]["kernel"] + params["fc1"]["bias"], 0)
    ranges = loop.activation_ranges(network, stages, {"params": params}, images)
    assert ranges == {"fc1": pytest.approx(np.percentile(hidden, 99.99), rel=1e-4)}
    network, stages, params = initial("lenet")
    ranges = loop.activation_ranges(network, stages, {"params": params}, images)
    assert ranges == {"conv1": 1.0, "conv2": 1.0, "fc1": 1.0, "fc2": 1.0}
