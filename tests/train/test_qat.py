"""Quantization-aware training: what the network computes while it learns is what its C will."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_export import checkpoint, reference
from lenet_export.checkpoint import BITS, GRIDS, Model, Stage
from lenet_export.errors import UserError
from lenet_export.float_network import BOUNDS
from lenet_export.plan import make_plan
from lenet_train import qat
from lenet_train.architectures import LENET_STAGES

FEW = [bits for bits in BITS if bits != "8"]

CHAINS = {
    "sigmoid and mean": (
        Stage("conv1", "conv", 4, "sigmoid", (3, 3), "SAME", "avg", 2),
        Stage("fc1", "dense", 12, "sigmoid"),
        Stage("fc2", "dense", 5),
    ),
    "relu and maximum": (
        Stage("conv1", "conv", 4, "relu", (3, 3), "VALID", "max", 3),
        Stage("fc1", "dense", 12, "relu"),
        Stage("fc2", "dense", 5),
    ),
    "tanh, GELU and a stride": (
        Stage("conv1", "conv", 3, "tanh", (3, 3), "SAME", stride=2),
        Stage("conv2", "conv", 4, "gelu", (3, 3), "VALID", "avg", 2),
        Stage("fc1", "dense", 5),
    ),
    "no pool": (
        Stage("conv1", "conv", 3, "relu", (2, 3), "SAME"),
        Stage("fc1", "dense", 5),
    ),
}
SHAPE = (11, 13, 1)


def test_a_channel_of_zeros_begins_with_the_step_of_the_others():
    stages = (Stage("fc", "dense", 3, "relu", bits="2"), Stage("last", "dense", 2, bits="4"))
    params = {name: np.array(value) for name, value in trained(stages, 1).items()}
    params["fc/kernel"][:, 1] = 0
    params["last/kernel"][:] = 0
    steps = {name: np.exp(layer["log_step"]) for name, layer in qat.begin(stages, params).items()}
    assert steps["fc"][1] == pytest.approx(steps["fc"].sum() / 4, rel=1e-5)
    assert steps["last"] == [1]


def trained(stages, seed):
    """What a float network could have learned."""
    random = np.random.RandomState(seed)
    params = {}
    for stage, shape in zip(stages, Model(SHAPE, stages, {}).shapes, strict=False):
        params[f"{stage.name}/kernel"] = random.normal(0, 0.3, stage.kernel_shape(shape))
        params[f"{stage.name}/bias"] = random.normal(0, 0.3, stage.features)
    return {name: value.astype(np.float32) for name, value in params.items()}


def checkpointed(stages, params, ranges):
    names = [stage.name for stage in stages[:-1]]
    return Model(SHAPE, stages, params, dict(zip(names, ranges, strict=True)))


@pytest.mark.parametrize("bits", FEW)
@pytest.mark.parametrize("chain", CHAINS)
def test_it_computes_what_the_exported_integers_compute(chain, bits):
    stages = qat.with_bits(CHAINS[chain], bits)
    ranges = tuple(BOUNDS.get(stage.activation, 3.0) for stage in stages[:-1])
    params = qat.begin(stages, trained(stages, 0))
    model = checkpointed(stages, qat.finish(stages, params), ranges)
    plan = make_plan(model, "int8")
    images = np.random.RandomState(1).randint(0, 256, (40, *SHAPE)).astype(np.uint8)
    network = qat.QuantizedNetwork(stages, ranges)
    z = jax.jit(network.apply)({"params": params}, images / np.float32(255))
    integers = reference.run_integers(plan, images)[stages[-1].name] * plan.logit_scale
    # A code beside the other's, where a sum lies between two, moves a logit a little; a table's
    # index is rounded besides.
    assert np.abs(z - integers).mean() < 0.02 * np.asarray(z).std()


@pytest.mark.parametrize("bits", FEW)
def test_a_checkpoint_takes_what_it_learned(bits, tmp_path):
    stages = qat.with_bits(CHAINS["relu and maximum"], bits)
    params = qat.finish(stages, qat.begin(stages, trained(stages, 3)))
    checkpoint.save(checkpointed(stages, params, (1.0, 2.0)), tmp_path / "model.safetensors")
    model = checkpoint.load(tmp_path / "model.safetensors")
    assert [stage.bits for stage in model.stages] == [bits] * 3
    for stage in model.stages:
        integers = checkpoint.grid_weights("", model, stage)
        assert len(np.unique(integers)) > 1
        kernel, step = params[f"{stage.name}/kernel"], params[f"{stage.name}/step"]
        np.testing.assert_array_equal(integers * step, kernel)


@functools.cache
def gradient_on(grid):
    """The gradients of a weight on a grid, by the weight and by its step."""
    return jax.jit(jax.grad(lambda w, s: qat.fake_quantize(grid, w, s)[0, 0], (0, 1)))


@given(
    st.sampled_from(sorted(GRIDS)),
    st.floats(-20, 20, width=32),
    st.floats(0.125, 8, width=32),
)
@settings(max_examples=200)
def test_the_gradient_passes_straight_through_and_the_step_s_is_lsq_s(bits, weight, step):
    grid = GRIDS[bits]
    of_weight, of_step = gradient_on(grid)(np.full((1, 1), weight, "f4"), np.full(1, step, "f4"))
    x = np.float32(weight) / np.float32(step)
    levels = np.arange(-grid.peak, grid.peak + 1, grid.spacing)
    if abs(x) < grid.peak:
        assert float(of_weight[0, 0]) == pytest.approx(1)
        whole = float(of_step[0]) + x
        assert np.abs(levels - whole).min() < 1e-4
        assert abs(whole - x) <= grid.spacing / 2 + 1e-4
    elif abs(x) > grid.peak:
        assert float(of_weight[0, 0]) == 0
        assert float(of_step[0]) == pytest.approx(np.sign(x) * grid.peak)


@pytest.mark.parametrize("bits", FEW)
def test_it_learns_weights_and_steps(bits):
    stages = qat.with_bits(CHAINS["relu and maximum"], bits)
    ranges = (2.0, 4.0)
    y = jnp.arange(50) % 5
    x = jnp.zeros((50, *SHAPE)).at[jnp.arange(50), :, 2 * y].set(1)
    network, params = qat.QuantizedNetwork(stages, ranges), qat.begin(stages, trained(stages, 2))
    optimizer = optax.adam(0.01)

    def loss_of(params):
        z = network.apply({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    start, state, losses = params, optimizer.init(params), []
    for _ in range(60):
        params, state, loss = step(params, state)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    for stage in stages:
        for name, before in start[stage.name].items():
            assert (params[stage.name][name] != before).any(), (stage.name, name)


@pytest.mark.parametrize(
    "text, bits",
    [
        ("8", "8 8 8 8 8"),
        ("2", "2 2 2 2 2"),
        ("ternary", "ternary ternary ternary ternary ternary"),
        ("fc1=2,conv=4", "4 4 2 8 8"),
        ("conv2=1,conv=4", "4 1 8 8 8"),
        ("4,fc1=2", "4 4 2 4 4"),
        ("dense=1,fc3=8,4", "4 4 1 1 8"),
    ],
)
def test_bits_are_given_to_all_layers_to_a_kind_or_by_name(text, bits):
    assert [stage.bits for stage in qat.with_bits(LENET_STAGES, text)] == bits.split()


@pytest.mark.parametrize(
    "text, says",
    [
        ("3", "'3' is not known"), ("", "'' is not known"), ("fc1=", "'fc1=' is not known"),
        ("fc1=16", "'fc1=16'"), ("fc9=2", "'fc9=2'"), ("=2", "'=2'"), ("fc1=2,", "''"),
        ("fc1=2=4", "'fc1=2=4'"),
        ("fc1=2,fc1=4", "'fc1=4' is given twice"), ("2,4", "'4' is given twice"),
    ],
)  # fmt: skip
def test_bits_that_make_no_sense_are_refused(text, says):
    with pytest.raises(UserError, match="--bits") as error:
        qat.with_bits(LENET_STAGES, text)
    assert says in str(error.value)
