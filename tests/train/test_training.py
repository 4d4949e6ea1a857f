"""The parts of a training run: batches, learning rate, weight decay, augmentation."""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_train import loop
from lenet_train.architectures import LENET_STAGES, MLP, MLP_STAGES, lenet
from lenet_train.augment import augment
from lenet_train.data import Examples
from lenet_train.model import Network
from lenet_train.recipes import BEST, CURED, RECIPES, TEXTBOOK, Augmentation, Recipe

STILL = Augmentation(0, 0, 0, 0)


def test_the_textbook_recipe_is_the_textbook_s():
    assert Recipe("textbook", epochs=10, batch=128, optimizer="sgd", lr=0.1) == TEXTBOOK


def test_the_cured_start_takes_the_plateau_s_two_causes_away():
    def start(recipe):
        of_key = partial(loop.initial_variables, Network(lenet()), LENET_STAGES, recipe)
        return jax.jit(partial(of_key, shape=(28, 28, 1)))(jax.random.key(0))["params"]

    ordinary, cured = map(start, (TEXTBOOK, CURED))
    for name in ("conv1", "conv2", "fc1", "fc2"):
        np.testing.assert_allclose(cured[name]["kernel"], 4 * ordinary[name]["kernel"], rtol=1e-6)
    for name in ("conv2", "fc1", "fc2"):  # an input of 1/2 everywhere is no offset
        kernel = cured[name]["kernel"].reshape(-1, cured[name]["bias"].size)
        np.testing.assert_allclose(0.5 * kernel.sum(0) + cured[name]["bias"], 0, atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, cured["fc3"], ordinary["fc3"])
    assert not cured["conv1"]["bias"].any()


@pytest.mark.parametrize("images, batch", [(55_000, 128), (1222, 30), (85, 2), (1, 1)])
def test_small_data_sets_take_small_batches(images, batch):
    assert BEST.batch_size(images) == batch


def test_the_lr_warms_up_for_an_epoch_and_falls_to_the_last():
    sizes = []
    optimizer = loop.make_optimizer(BEST.changed(["epochs=4"]), steps=10)
    params = {"fc": {"bias": jnp.zeros(1)}}
    state = optimizer.init(params)
    for _ in range(40):
        # Adam's step on a constant gradient is the learning rate.
        step, state = optimizer.update(jax.tree.map(jnp.ones_like, params), state, params)
        sizes.append(-float(step["fc"]["bias"][0]))
    assert sizes[0] == pytest.approx(BEST.lr / 10, rel=1e-3)
    assert np.argmax(sizes) == 10
    assert sizes[10] == pytest.approx(BEST.lr, rel=1e-3)
    assert np.all(np.diff(sizes[10:]) < 0)
    assert sizes[-1] < 0.02 * BEST.lr


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_one_epoch_is_possible(recipe):
    rate = loop.make_optimizer(recipe.changed(["epochs=1"]), steps=1)
    params = {"fc": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    gradient = jax.tree.map(jnp.ones_like, params)
    step, _ = rate.update(gradient, rate.init(params), params)
    assert all(jnp.isfinite(value).all() and value < 0 for value in jax.tree.leaves(step))


def test_only_kernels_decay():
    optimizer = loop.make_optimizer(BEST, steps=10)
    params = {"fc": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    nothing = jax.tree.map(jnp.zeros_like, params)
    step, _ = optimizer.update(nothing, optimizer.init(params), params)
    assert step["fc"]["kernel"] < 0
    assert step["fc"]["bias"] == 0


def lines_of_ink(count):
    """Images whose class is the row with ink in it."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[np.arange(count), np.arange(count) % 10 * 2] = 255
    return Examples(images, (np.arange(count) % 10).astype(np.uint8))


def training(network, recipe, count=50):
    return loop.Training(network, MLP_STAGES, recipe, 0, lines_of_ink(count), lines_of_ink(10))


def last(progress):
    *_, progress = progress
    return progress


def test_an_epoch_learns_and_without_a_running_mean_saves_what_it_learned():
    run = training(Network(MLP), TEXTBOOK.changed(["epochs=3", "batch=10"]))
    end = last(run.run(run.begin()))
    first, second, third = (epoch.loss for epoch in end.epochs)
    assert first > second > third
    assert end.step == 3 * run.steps == 15
    jax.tree.map(np.testing.assert_array_equal, end.state.variables, end.state.mean)


def test_an_epoch_shows_every_image_at_most_once_and_each_epoch_another_order():
    run = training(Network(MLP), TEXTBOOK.changed(["batch=8"]))
    orders = [run._shuffle(0, epoch)[0] for epoch in (1, 2)]
    for order in orders:
        assert order.shape == (6, 8)
        assert len(set(np.asarray(order).flat)) == 48
    assert not np.array_equal(*orders)


def test_where_a_run_pauses_and_goes_on_changes_no_bit(monkeypatch):
    run = training(Network(MLP), BEST.changed(["epochs=3", "min_steps=9", "augmentation=none"]))
    monkeypatch.setattr(loop, "CALL_SECONDS", 1e9)
    whole = last(run.run(run.begin()))
    monkeypatch.setattr(loop, "CALL_SECONDS", 0)
    seen = list(run.run(run.begin()))
    assert [progress.step for progress in seen] == list(range(1, 3 * run.steps + 1))
    for again in (seen[3], seen[run.steps - 1]):
        end = last(run.run(again))
        jax.tree.map(np.testing.assert_array_equal, end.state, whole.state)
        for mine, its in zip(end.epochs, whole.epochs, strict=True):
            assert dataclasses.replace(mine, seconds=0) == dataclasses.replace(its, seconds=0)


class Normalized(nn.Module):
    """A network with variables that are not trained."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(16, name="fc1")(x.reshape(len(x), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5, name="norm")(x)
        return nn.Dense(10, name="fc2")(nn.relu(x))


def test_variables_that_are_not_trained_pass_from_step_to_step():
    run = training(Normalized(), TEXTBOOK.changed(["epochs=5", "batch=25", "lr=1", "ema=0.5"]))
    begin = run.begin()
    end = last(run.run(begin))
    before, after, mean = (
        progress.state[kind]["batch_stats"]["norm"]["var"]
        for progress, kind in ((begin, 0), (end, 0), (end, 1))
    )
    assert np.all(before == 1)
    assert np.all(after != 1)
    assert np.all(mean != after)
    assert end.epochs[-1].validation_accuracy == 1


def test_no_amount_of_change_leaves_the_images_alone():
    x = jax.random.uniform(jax.random.key(0), (3, 28, 28, 1))
    np.testing.assert_allclose(augment(jax.random.key(1), x, STILL), x, atol=1e-5)


@pytest.mark.parametrize(
    "most",
    [
        Augmentation(10, 0, 0, 0),
        Augmentation(0, 0.1, 0, 0),
        Augmentation(0, 0, 0.1, 0),
        Augmentation(0, 0, 0, 2),
        Augmentation(0, 0, 0, 0, 1),
    ],
    ids=["rotation", "scale", "shear", "shift", "elastic"],
)
def test_each_change_moves_ink_a_little_and_each_image_its_own_way(most):
    x = jnp.zeros((4, 28, 28, 1)).at[:, 8:20, 8:20].set(1)
    y = np.asarray(augment(jax.random.key(1), x, most))
    assert y.shape == x.shape
    assert not np.allclose(y[0], x[0])
    assert not np.allclose(y[0], y[1])
    assert y.min() >= 0 and y.max() <= 1 + 1e-6
    np.testing.assert_allclose(y.sum((1, 2, 3)), 144, rtol=0.25)
    assert np.all(y[:, 12:16, 12:16] > 0.99)
    assert not y[:, :3].any() and not y[:, -3:].any()


def test_a_shift_brings_background_in_from_outside():
    x = jnp.ones((50, 28, 28, 1))
    y = np.asarray(augment(jax.random.key(0), x, Augmentation(0, 0, 0, 2)))
    assert np.all(y[:, 3:-3, 3:-3] > 0.999)
    assert y[:, 0].min() == 0
