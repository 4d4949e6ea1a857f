"""The Flax modules, their chains of stages and the textbook describe the same networks."""

from __future__ import annotations

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_export.checkpoint import Model, check_chain
from lenet_export.errors import UserError
from lenet_export.float_network import activation_ranges, run_floats, run_logits
from lenet_train import architectures, loop, summary
from lenet_train.architectures import INPUT_SHAPE, LENET5, MLP, TINY, lenet
from lenet_train.conv import Conv
from lenet_train.model import Network, deployed, recompute_batch_stats
from lenet_train.recipes import BEST, TEXTBOOK
from variables import drawn_for

MODERN = lenet("relu", "max", "batch", "he")
PARAMETERS = {lenet(): 61_706, MLP: 203_530, LENET5: 60_850, MODERN: 61_706 + 2 * 226} | {
    lenet("tanh", "stride", channels=(4, 8), kernels=(3, 5)): 40 + 808 + 24_120 + 10_164 + 850,
    lenet("relu", channels=(8, 24), dense=(84, 64)): 208 + 4_824 + 50_484 + 5_440 + 650,
    lenet("relu", dense=(9,)): 156 + 2_416 + 3_609 + 100,
    lenet("relu", dense=()): 156 + 2_416 + 4_010,
    TINY: 96 + 1_092 + 3_104 + 330 + 2 * 50,
    lenet("gelu", head="gap", channels=(6, 16, 32), kernels=(5, 3, 3), init="he"): 6_006,
    lenet("gelu", "stride", "batch", head="gap"): 2_742 + 2 * 22,
    lenet("relu", norm="layer"): 61_706 + 2 * 226,
}
NAMES = [architecture.title for architecture in PARAMETERS]


@pytest.fixture(params=PARAMETERS, ids=NAMES)
def architecture(request):
    return request.param


@functools.cache
def initial(architecture, recipe=TEXTBOOK):
    network = Network(architecture)
    start = functools.partial(loop.initial_variables, network, architecture.stages, recipe)
    return network, jax.jit(functools.partial(start, shape=INPUT_SHAPE))(jax.random.key(1))


def moved(variables):
    """Variables as a training leaves them: no bias is 0, no statistic what it started at."""
    rng = np.random.default_rng(5)
    return jax.tree.map(lambda v: v + rng.uniform(0, 0.1, v.shape).astype("f4"), variables)


def test_it_learns_as_many_numbers_as_the_summary_says(architecture):
    _, variables = initial(architecture)
    sizes = [value.size for value in jax.tree.leaves(variables["params"])]
    unseen = 60 * 25 - 6 * 16 * 25 if architecture == LENET5 else 0
    assert sum(sizes) + unseen == PARAMETERS[architecture] == summary.parameters(architecture)


def test_lenet5_has_the_parameters_of_1998_layer_by_layer():
    counts = {row.layer: row.parameters for row in summary.rows(LENET5) if row.layer}
    assert counts == {
        "c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 850,
    }  # fmt: skip


def test_what_is_saved_is_a_plain_chain_that_computes_the_same(architecture):
    """Of Flax's own layers, with norms folded, and zeros where a map sees nothing."""
    network, variables = initial(architecture)
    variables = moved(variables)
    model = Model(INPUT_SHAPE, architecture.stages, deployed(architecture, variables))
    check_chain("it", INPUT_SHAPE, model.stages)
    for stage, shape in zip(model.stages, model.shapes[:-1], strict=True):
        assert model.params[f"{stage.name}/kernel"].shape == stage.kernel_shape(shape)
        assert model.params[f"{stage.name}/bias"].shape == (stage.features,)
        assert model.params[f"{stage.name}/kernel"].dtype == np.float32
    images = np.random.default_rng(0).integers(0, 256, (20, *INPUT_SHAPE)).astype(np.uint8)
    expected = jax.jit(network.apply)(variables, images.astype(np.float32) / 255)
    found = run_logits(model, images)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_flax_s_own_layers(architecture, monkeypatch):
    network, variables = initial(architecture)
    rng = np.random.default_rng(2)
    x = rng.uniform(size=(5, *INPUT_SHAPE)).astype("f4")
    weight = rng.normal(size=(5, 10)).astype("f4")

    def gradient():
        def loss(params):
            z, _ = network.apply(
                variables | {"params": params}, x, train=True, mutable=["batch_stats"]
            )
            return (z * weight).sum()

        return jax.jit(jax.grad(loss))(variables["params"])

    found = gradient()

    def plain(*sizes, tile, **settings):
        del tile
        if settings["mask"] is not None:
            shape = (*sizes[1], *settings["mask"].shape[2:])
            settings["mask"] = np.broadcast_to(settings["mask"], shape)
        return nn.Conv(*sizes, **settings)

    monkeypatch.setattr("lenet_train.model.Conv", plain)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, gradient()
    )


def test_kernels_start_as_their_init_says_and_biases_at_zero(architecture):
    _, variables = initial(architecture)
    for name, layer in variables["params"].items():
        assert not layer["bias"].any()
        if "kernel" not in layer:
            continue
        *kernel, inputs, outputs = layer["kernel"].shape
        both = 2 * inputs if architecture.init == "he" else inputs + outputs
        limit = math.sqrt((12 if architecture.init == "he" else 6) / (math.prod(kernel) * both))
        assert 0.9 * limit < jnp.abs(layer["kernel"]).max() <= limit, name


def test_best_starts_kernels_in_front_of_a_sigmoid_at_four_times_xavier():
    (_, variables), (_, begun) = initial(lenet()), initial(lenet(), BEST)
    best = begun["params"]
    for stage in architectures.LENET_STAGES:
        gain = 1 if stage.name == "fc3" else 4
        expected = gain * variables["params"][stage.name]["kernel"]
        np.testing.assert_array_equal(best[stage.name]["kernel"], expected)


def test_lenet_without_exchanged_parts_is_the_textbook_s():
    assert lenet() == architectures.Architecture("lenet", architectures.LENET_STAGES)


def test_subsampling_is_one_coefficient_for_the_sum_of_four_places():
    _, variables = initial(LENET5)
    params = deployed(LENET5, moved(variables))
    coefficient = moved(variables)["params"]["s2"]["coefficient"]
    for i, j in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        np.testing.assert_array_equal(params["s2/kernel"][i, j], np.diag(coefficient))


def test_c3_sees_the_maps_of_the_paper_s_table():
    seen = deployed(LENET5, moved(initial(LENET5)[1]))["c3/kernel"].any((0, 1))
    assert seen.sum(0).tolist() == [3] * 6 + [4] * 9 + [6]
    assert seen.sum(1).tolist() == [10] * 6
    assert [row.tolist() for row in seen.T[[0, 9, 13]]] == [
        [True, True, True, False, False, False],
        [True, False, False, True, True, True],
        [False, True, True, False, True, True],
    ]


def test_the_summary_tells_the_textbook_s_pyramid():
    assert [row.shape_text for row in summary.rows(lenet())] == [
        "28x28x1", "28x28x6", "14x14x6", "10x10x16", "5x5x16", "400", "120", "84", "10",
    ]  # fmt: skip


def test_ranges_of_open_ended_activations_come_from_the_images():
    images = np.random.RandomState(0).randint(0, 256, (300, 28, 28, 1)).astype(np.uint8)
    params = deployed(MLP, initial(MLP)[1])
    x = images.reshape(300, -1).astype(np.float32) / 255
    hidden = np.maximum(x @ params["fc1/kernel"] + params["fc1/bias"], 0)
    ranges = activation_ranges(Model(INPUT_SHAPE, MLP.stages, params), images)
    assert ranges == {"fc1": pytest.approx(np.percentile(hidden, 99.99), rel=1e-4)}
    for architecture, largest in ((lenet(), 1), (LENET5, 1.7159)):
        params = deployed(architecture, initial(architecture)[1])
        ranges = activation_ranges(Model(INPUT_SHAPE, architecture.stages, params), images)
        hidden = [stage.name for stage in architecture.stages[:-1]]
        assert ranges == dict.fromkeys(hidden, largest)


def test_a_range_is_that_in_front_of_the_pool():
    architecture = lenet("relu")
    params = deployed(architecture, initial(architecture)[1])
    images = np.random.RandomState(0).randint(0, 256, (40, 28, 28, 1)).astype(np.uint8)
    model = Model(INPUT_SHAPE, architecture.stages, params)
    pooled = run_floats(model, images)["conv1"]
    assert activation_ranges(model, images)["conv1"] > 1.2 * np.percentile(pooled, 99.99)


def test_settled_statistics_are_those_of_the_images():
    network = Network(architectures.lenet(norm="batch"))
    x = np.random.default_rng(1).uniform(size=(50, 28, 28, 1)).astype("f4")
    variables = drawn_for(network, (28, 28, 1))
    found = recompute_batch_stats(network, variables, x)
    conv = Conv(6, (5, 5), padding="SAME")
    before = conv.apply({"params": variables["params"]["conv1"]}, x)
    statistics = found["batch_stats"]["conv1_norm"]
    np.testing.assert_allclose(statistics["mean"], before.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(statistics["var"], before.var((0, 1, 2)), rtol=1e-2, atol=1e-4)
    # So the network measured is the one that saw a batch of these images while it learned.
    learning, _ = network.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(network.apply(found, x), learning, atol=1e-3)
    plain = {"params": variables["params"]}
    assert recompute_batch_stats(Network(architectures.lenet()), plain, x) is plain


def test_lenet5_of_images_of_32x32_needs_no_border():
    given, of_mnist = architectures.lenet5((32, 32, 1), 26), LENET5
    shapes = [[row.shape for row in summary.rows(network)] for network in (given, of_mnist)]
    assert shapes[0][1:-1] == shapes[1][1:-1]
    assert shapes[0][0] == (32, 32, 1) and shapes[0][-1] == (26,)


@pytest.mark.parametrize("name", architectures.NAMED)
def test_a_network_of_other_images_and_classes_is_a_chain_that_exports(name):
    architecture = architectures.NAMED[name](input_shape=(20, 33, 1), classes=3)
    network = Network(architecture)
    variables = drawn_for(network, (20, 33, 1))
    model = Model((20, 33, 1), architecture.stages, deployed(architecture, variables))
    check_chain("it", model.input_shape, model.stages)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 33, 1)).astype(np.uint8)
    expected = jax.jit(network.apply)(variables, images.astype(np.float32) / 255)
    np.testing.assert_allclose(run_logits(model, images), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda shape: lenet(input_shape=shape), "conv2 does not fit its input, 5x10"),
        (lambda shape: lenet(input_shape=shape, kernels=(3, 3), head="gap"), "gives 3x8"),
        (architectures.lenet5, "s4 does not fit its input, 1x6"),
        (lambda _: architectures.tiny((12, 12, 1)), "conv2 does not fit its input, 5x3"),
    ],
)
def test_a_network_that_does_not_fit_the_images_is_told(network, message):
    with pytest.raises(UserError, match=message):
        network((10, 20, 1))
