"""The float network, which is written in plain JAX, is the same chain of Flax's own layers."""

from __future__ import annotations

import re
import tracemalloc
from functools import partial

import jax
import numpy as np
import pytest
from flax import linen as nn

from export.networks import CHAINS, named_model
from lenet_export.activations import INNER, OUTER
from lenet_export.checkpoint import NORM_EPSILON
from lenet_export.float_network import FULL, activation_ranges, run_activations, run_floats

ACTIVATIONS = {"none": lambda x: x, "scaled_tanh": lambda x: OUTER * nn.tanh(INNER * x)}
POOLS = {"avg": nn.avg_pool, "max": nn.max_pool}


def activation_of(name):
    """The function called ``name``; a number behind it is the slope of a leaky ReLU."""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    word, slope = re.fullmatch(r"(\w+)(?:\((.+)\))?", name).groups()
    function = getattr(nn, word)
    return partial(function, negative_slope=float(slope)) if slope else function


class FlaxNetwork(nn.Module):
    """What each stage gives in front of its pool and behind it."""

    stages: tuple

    @nn.compact
    def __call__(self, x):
        outputs = {}
        for stage in self.stages:
            if stage.kind == "pool":
                x = POOLS[stage.pool](x, stage.kernel, stage.strides, stage.border or stage.padding)
                outputs[stage.name] = x, x
                continue
            if stage.kernel is not None:
                x = nn.Conv(
                    stage.features,
                    stage.kernel,
                    strides=stage.strides,
                    padding=stage.border or stage.padding,
                    feature_group_count=x.shape[-1] if stage.kind == "depthwise" else 1,
                    precision=FULL,
                    name=stage.name,
                )(x)
            else:
                x = x.reshape(len(x), -1)
                x = nn.Dense(stage.features, precision=FULL, name=stage.name)(x)
            if stage.norm == "layer":
                x = nn.LayerNorm(NORM_EPSILON, use_fast_variance=False, name=stage.norm_name)(x)
            activated = x = activation_of(stage.activation)(x)
            if stage.pool != "none":
                x = POOLS[stage.pool](x, *2 * [(stage.pool_size, stage.pool_size)])
            outputs[stage.name] = activated, x
        return outputs


@pytest.mark.parametrize("name", CHAINS)
def test_every_stage_gives_what_flax_s_own_layers_give(name):
    model = named_model(name)
    params = {}
    for key, value in model.params.items():
        layer, tensor = key.split("/")
        params.setdefault(layer, {})[tensor] = value
    images = np.random.default_rng(0).integers(0, 256, (5, *model.input_shape)).astype(np.uint8)
    expected = jax.jit(FlaxNetwork(model.stages).apply)(
        {"params": params}, images / np.float32(255)
    )
    names = [stage.name for stage in model.stages]
    found = run_activations(model, images, names), run_floats(model, images)
    assert found[1].keys() == set(names)
    for stage, values in expected.items():
        for ours, theirs in zip(found, values, strict=True):
            np.testing.assert_allclose(ours[stage], theirs, rtol=1e-5, atol=1e-5)


def test_ranges_of_many_images_are_their_percentiles_and_no_batch_is_kept():
    model = named_model("deep")
    images = (
        np.random.default_rng(0).integers(0, 256, (12_000, *model.input_shape)).astype(np.uint8)
    )
    tracemalloc.start()
    ranges = activation_ranges(model, images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for name, values in run_activations(model, images, ["stem", "conv3"]).items():
        above = np.maximum(values.astype(np.float64), 0)
        assert ranges[name] == pytest.approx(np.percentile(above, 99.99), rel=1e-6)
        assert values.nbytes > 3 * peak or name != "stem"
