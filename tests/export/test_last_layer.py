"""A network that ends in a convolution, or in a mean over its map, is exported and proven."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import lenet_export
from lenet_export import UserError, float_network
from lenet_export.checkpoint import Stage
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.readers.chain_builder import spread
from lenet_export.readers.registry import read
from needs import wide
from variables import drawn_for

CONV = partial(nn.Conv, 4, (3, 3))
HALF = partial(nn.avg_pool, window_shape=(2, 2), strides=(2, 2))


def mean(x):
    return x.mean((1, 2))


def flatten(x):
    return x.reshape(len(x), -1)


#: The shape of an image, the layers, and what is read of them: kinds and pools.
ENDS = {
    "kernel of the whole map": (
        (14, 14, 1),
        [CONV(), nn.sigmoid, HALF, nn.Conv(5, (7, 7), padding="VALID"), flatten],
        "conv avg dense none",
    ),
    "its map kept": (
        (8, 9, 1),
        [CONV(), nn.relu, nn.Conv(5, (8, 9), padding="VALID")],
        "conv none dense none",
    ),
    "a mean": (
        (14, 14, 1),
        [CONV(), nn.tanh, HALF, nn.Conv(5, (3, 3)), mean],
        "conv avg dense none",
    ),
    "an oblong map, strides, borders, a norm": (
        (20, 9, 2),
        [nn.Conv(5, (4, 3), strides=(3, 3)), nn.gelu, nn.Conv(6, (3, 2)), nn.BatchNorm(True), mean],
        "conv none dense none",
    ),
    "1x1 and a mean": (
        (14, 14, 1),
        [nn.Conv(4, (3, 3), strides=(2, 2)), nn.relu, nn.Conv(5, (1, 1)), mean],
        "conv avg dense none",
    ),
    "a mean and 1x1": (
        (9, 9, 1),
        [CONV(), nn.relu, partial(jnp.mean, axis=(1, 2), keepdims=True), nn.Conv(5, (1, 1))],
        "conv avg dense none",
    ),
    "1x1 behind a pool": (
        (14, 14, 1),
        [CONV(), nn.relu, HALF, nn.Conv(5, (1, 1)), mean],
        "conv avg dense none",
    ),
    "nothing else": ((9, 8, 1), [CONV(), mean], "dense none"),
    "a window that leaves a row": (
        (9, 9, 1),
        [
            nn.Conv(6, (3, 3)),
            lambda x: nn.avg_pool(x, (5, 5), (5, 5)),
            flatten,
            nn.relu,
            nn.Dense(3),
        ],
        "dense none dense none",
    ),
}


@pytest.fixture(scope="module", params=ENDS)
def network(request):
    shape, layers, kinds = ENDS[request.param]
    module = nn.Sequential(layers)
    return module, drawn_for(module, shape), shape, kinds


def images_of(shape, count=40):
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(np.uint8)


def test_the_end_is_read_as_a_dense_layer_with_the_same_logits(network):
    module, variables, shape, kinds = network
    model = read(module, variables, shape, images_of(shape)).model
    assert " ".join(f"{stage.kind} {stage.pool}" for stage in model.stages) == kinds
    logits = float_network.run_logits(model, images_of(shape))
    theirs = jax.jit(module.apply)(variables, images_of(shape) / np.float32(255))
    theirs = theirs.reshape(logits.shape)
    assert np.abs(logits - theirs).max() < 1e-5 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("dtype", ["int8", *wide(["float32"])])
def test_it_is_exported_and_no_logit_differs(network, dtype, tmp_path):
    module, variables, shape, _ = network
    images = images_of(shape)
    exported = lenet_export.export(module, variables, shape, tmp_path, images=images, dtype=dtype)
    assert exported.report.verified.largest_difference <= (0 if dtype == "int8" else 1e-4)
    assert exported.report.verified.same_class >= 0.9 * len(images)


def test_every_cpu_takes_it(tmp_path):
    shape, layers, _ = ENDS["a mean"]
    module = nn.Sequential(layers)
    variables = drawn_for(module, shape)
    exported = lenet_export.export(module, variables, shape, tmp_path, verify=False)
    plan = make_plan(exported.plan.model, "int8")
    for cpu in CPUS:
        laid_out = lay_out(plan, cpu, "speed")
        assert [layer.is_conv for layer in laid_out.layers] == [True, False]
        assert render_c(laid_out, Options())["lenet.c"]


def test_the_spread_kernel_is_what_each_place_adds_to_the_mean():
    rng = np.random.default_rng(0)
    stage = Stage("conv", "conv", 3, kernel=(3, 2), padding="SAME", stride=2)
    kernel, x = rng.normal(size=(3, 2, 2, 3)), rng.normal(size=(1, 7, 6, 2))
    layer = nn.Conv(3, (3, 2), strides=(2, 2), use_bias=False)
    y = layer.apply({"params": {"kernel": kernel}}, x)
    for window in ((4, 3), (2, 2)):
        expected = y[:, : window[0], : window[1]].mean((1, 2))
        ours = x.reshape(1, -1) @ spread(kernel, stage, (7, 6, 2), window)
        assert np.abs(ours - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        ([CONV()], "the last layer, conv2: gives a map of 12x12"),
        ([CONV(), flatten], "the last layer, conv2: gives a map of 12x12"),
        ([CONV(), lambda x: x.max((1, 2))], "conv2: ends in a maximum over a map"),
        ([CONV(), nn.relu, mean], "conv2: has the activation relu, and the C gives logits"),
        ([CONV(), nn.LayerNorm(), mean], "the last layer, conv2: has a norm"),
    ],
)
def test_an_end_that_is_not_linear_is_told_with_a_remedy(ending, says):
    module = nn.Sequential([CONV(), nn.relu, *ending])
    variables = drawn_for(module, (12, 12, 1))
    with pytest.raises(UserError) as caught:
        read(module, variables, (12, 12, 1))
    assert says in str(caught.value)
    assert "behind it" in caught.value.remedy


def test_a_mean_over_an_oblong_map_behind_an_activation_is_in_the_dense_layer(tmp_path):
    for shape, pool in (((20, 16, 1), mean), ((20, 20, 1), lambda x: nn.avg_pool(x, (20, 20)))):
        norm = nn.BatchNorm(True, bias_init=nn.initializers.constant(0.3))
        module = nn.Sequential([CONV(), nn.relu, norm, pool, flatten, nn.Dense(3)])
        variables = drawn_for(module, shape)
        exported = lenet_export.export(module, variables, shape, tmp_path, images=images_of(shape))
        assert exported.report.verified.largest_difference == 0
        assert exported.plan.layers[1].inputs == 4 * shape[0] * shape[1]
        assert f"the mean over a map of {shape[0]}x{shape[1]} is in fc1" in exported.notes[0]


@pytest.mark.parametrize(
    ("behind", "says", "remedy"),
    [
        ([nn.relu, mean, nn.tanh], "is a second activation behind conv1", "leave one of them out"),
        (
            [nn.relu, partial(jnp.mean, axis=(1, 2), keepdims=True), nn.Conv(3, (1, 1))],
            "is a convolution behind a mean over a map of 20x16",
            "take a dense layer in its place",
        ),
        (
            [nn.LayerNorm(), mean, nn.Dense(3)],
            "is a mean over 20x16",
            "behind an activation, means over the whole",
        ),
        (
            [nn.relu, lambda x: nn.avg_pool(x, (18, 16)), flatten, nn.Dense(3)],
            "is a mean over 18x16",
            "supported: windows of up to 256 numbers",
        ),
    ],
)
def test_what_cannot_be_behind_a_mean_over_an_oblong_map_is_told(behind, says, remedy):
    module = nn.Sequential([CONV(), *behind])
    variables = drawn_for(module, (20, 16, 1))
    with pytest.raises(UserError) as caught:
        read(module, variables, (20, 16, 1))
    assert says in caught.value.what
    assert remedy in caught.value.remedy
