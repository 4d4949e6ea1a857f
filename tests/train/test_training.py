"""The parts of a training run: batches, learning rate, weight decay, augmentation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lenet_train import loop
from lenet_train.augment import augment
from lenet_train.model import MLP
from lenet_train.recipes import BEST, RECIPES, TEXTBOOK, Augmentation, Recipe

STILL = Augmentation(0, 0, 0, 0)


def test_the_textbook_recipe_is_the_textbook_s():
    assert Recipe("textbook", epochs=10, batch=128, optimizer="sgd", learning_rate=0.1) == TEXTBOOK


@pytest.mark.parametrize("images, batch", [(55_000, 128), (1222, 30), (85, 2), (1, 1)])
def test_small_data_sets_take_small_batches(images, batch):
    assert BEST.batch_size(images) == batch


def test_the_learning_rate_warms_up_for_an_epoch_and_falls_to_the_last():
    sizes = []
    optimizer = loop.make_optimizer(BEST.with_epochs(4), steps=10)
    params = {"fc": {"bias": jnp.zeros(1)}}
    state = optimizer.init(params)
    for _ in range(40):
        # Adam's step on a constant gradient is the learning rate.
        step, state = optimizer.update(jax.tree.map(jnp.ones_like, params), state, params)
        sizes.append(-float(step["fc"]["bias"][0]))
    assert sizes[0] == pytest.approx(BEST.learning_rate / 10, rel=1e-3)
    assert np.argmax(sizes) == 10
    assert sizes[10] == pytest.approx(BEST.learning_rate, rel=1e-3)
    assert np.all(np.diff(sizes[10:]) < 0)
    assert sizes[-1] < 0.02 * BEST.learning_rate


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_one_epoch_is_possible(recipe):
    rate = loop.make_optimizer(recipe.with_epochs(1), steps=1)
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


def test_an_epoch_shows_every_image_at_most_once_and_learns():
    images = np.zeros((50, 28, 28), np.uint8)
    images[np.arange(50), np.arange(50) % 10 * 2] = 255
    labels = (np.arange(50) % 10).astype(np.uint8)
    network, recipe, mean = MLP(), TEXTBOOK, optax.ema(0.0)
    optimizer = loop.make_optimizer(recipe, 5)
    params = network.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    state = loop.State(params, params, optimizer.init(params), mean.init(params))
    losses = []
    for epoch in range(3):
        state, (loss, _) = loop.run_epoch(
            network, optimizer, mean, recipe, 10, state, jnp.asarray(images), jnp.asarray(labels),
            jax.random.key(epoch),
        )  # fmt: skip
        losses.append(float(loss))
    assert losses[0] > losses[1] > losses[2]
    jax.tree.map(np.testing.assert_array_equal, state.params, state.mean)


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
