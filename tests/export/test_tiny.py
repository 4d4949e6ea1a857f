"""Two networks of MLPerf Tiny, with random weights: small in int8, and the reference bit for bit.

Source: Banbury et al., "MLPerf Tiny Benchmark", 2021: keyword spotting and anomaly detection.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lenet_export import float_network, verify
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.readers.registry import read
from needs import wide

from .test_parity import can_run

NORM = partial(nn.BatchNorm, use_running_average=True, epsilon=1e-3)


class KeywordSpotting(nn.Module):
    """DS-CNN: depthwise separable convolutions on a spectrogram of 49x10, 12 words."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(NORM()(nn.Conv(64, (10, 4), strides=2)(x)))
        for _ in range(4):
            x = nn.relu(NORM()(nn.Conv(64, (3, 3), feature_group_count=64)(x)))
            x = nn.relu(NORM()(nn.Conv(64, (1, 1))(x)))
        x = nn.avg_pool(x, x.shape[1:3])
        return nn.softmax(nn.Dense(12)(x.reshape(len(x), -1)))


class AnomalyDetection(nn.Module):
    """An autoencoder of 640 numbers."""

    @nn.compact
    def __call__(self, x):
        for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
            x = nn.relu(NORM()(nn.Dense(units)(x)))
        return nn.Dense(640)(x)


#: What each reads, its multiplications, and its bytes of constants in int8.
NETWORKS = {
    KeywordSpotting: ((49, 10, 1), 2_656_768, 25_520),
    AnomalyDetection: ((640,), 264_192, 272_944),
}


def model_of(network):
    """The network as it is read, with ranges measured on random images, and these images."""
    shape = NETWORKS[network][0]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, *shape)).astype(np.uint8)
    module = network()
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)))

    def drawn(path, of):
        if path[-1].key == "var":
            return rng.uniform(0.5, 2, of.shape).astype("f4")
        if path[-1].key == "scale":
            return rng.uniform(0.5, 1.5, of.shape).astype("f4")
        inputs = np.prod(of.shape[:-1]) if of.ndim > 1 else 100
        return rng.normal(0, (2 / inputs) ** 0.5, of.shape).astype("f4")

    variables = jax.tree_util.tree_map_with_path(drawn, shapes)
    found = read(module, variables, shape)
    images = found.images(images)
    ranges = float_network.activation_ranges(found.model, images)
    found.model.activation_ranges.update(ranges)
    return found.model, images


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.__name__)
def planned(request):
    model, images = model_of(request.param)
    return request.param, make_plan(model, "int8"), images


def test_it_is_read_as_it_is_and_few_bytes_large(planned):
    network, plan, _ = planned
    _, multiply_adds, constant_bytes = NETWORKS[network]
    assert plan.multiply_adds == multiply_adds
    assert plan.constant_bytes == constant_bytes
    kinds = [layer.stage.kind for layer in plan.layers]
    if network is KeywordSpotting:
        assert kinds == ["conv", *["depthwise", "conv"] * 4, "pool", "dense"]
    else:
        assert kinds == ["dense"] * 10


OTHERS = wide(["generic", "cortex-m0", "cortex-m55", "riscv32", "x86-64-v3", "x86-64-v4"])


@pytest.mark.parametrize("cpu", ["cortex-m4", *OTHERS])
def test_its_c_is_the_reference_bit_for_bit(planned, cpu):
    if not can_run(cpu):
        pytest.skip(f"this machine has not the instructions of {cpu}")
    _, plan, images = planned
    plan = lay_out(plan, cpu, "speed")
    report = verify.verify(plan, render_c(plan, Options()), images=images)
    assert report.largest_difference == 0
