"""Images of no class, and the output that stands for them."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from lenet_export import checkpoint
from lenet_train import architectures, cli, glyphs, loop, run, strangers
from lenet_train.augment import copy
from lenet_train.data import Examples
from lenet_train.model import Network
from lenet_train.recipes import FIELD, Augmentation, Dirt

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def digits():
    """Discs in the place of digits: all that is asked of them is ink."""
    y, x = np.mgrid[:28, :28] - 13.5
    disc = np.where(np.hypot(y / 1.4, x) < 6, 255, 0).astype(np.uint8)
    return Examples(np.stack([disc, np.zeros_like(disc), disc]), np.arange(3, dtype=np.uint8))


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_each_kind_draws_many_unlike_images(kind, digits):
    random = np.random.RandomState(0)
    images = np.stack([kind(random, digits) for _ in range(40)])
    assert images.shape == (40, 28, 28) and images.dtype == np.uint8
    # Of discs, all alike, few unlike pairs and pieces can be made.
    few = kind in (strangers._pair, strangers._cut, strangers._part, strangers._paper)
    assert len(np.unique(images.reshape(40, -1), axis=0)) > (8 if few else 35)


@pytest.mark.parametrize("kind", [strangers._letter, strangers._written, strangers._scribble])
def test_ink_is_framed_as_mnist_s(kind, digits):
    random = np.random.RandomState(1)
    for _ in range(30):
        image = kind(random, digits)
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert image.max() == 255
        centre = [(np.arange(28) + 0.5) @ image.sum(1 - axis) / image.sum() for axis in (0, 1)]
        assert np.abs(np.subtract(centre, 14)).max() <= 0.51


def test_no_ink_stays_an_empty_image():
    assert not glyphs.framed(np.zeros((30, 50), np.uint8)).any()


def test_the_same_seed_draws_the_same(digits):
    made = [strangers.make(np.random.RandomState(seed), 12, digits) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()


def test_no_letter_is_a_digit_or_a_digit_s_twin():
    assert not set(strangers.LETTERS) & set("0123456789OoQDlI|/SsZzBbGgqJji!")


def test_a_network_that_learns_them_has_an_output_for_none(idx_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "STRANGERS", 300)
    command = ["--dataset", idx_folder, "--arch", "mlp", "--epochs", "1", "--set", "strangers=0.5"]
    assert cli.main([*map(str, command), "--out", str(tmp_path / "out")]) == 0
    model = checkpoint.load(tmp_path / "out" / run.MODEL)
    assert model.none_output and model.classes == 10
    assert model.stages[-1].features == 11 == model.params["fc2/bias"].size
    assert model.gap_table.strangers == run.STRANGERS
    assert model.gap_table.rows[0].strangers <= run.STRANGERS
    assert model.info["arch"] == "mlp none"


@pytest.mark.parametrize("ahead", [-3.0, 5.0])
@pytest.mark.parametrize("dirt", [0.0, 1.0])
def test_as_few_validation_images_as_wanted_are_called_none(ahead, dirt):
    """As they are and changed, however often strangers came in training."""
    random = np.random.RandomState(0)
    validation = Examples(
        random.randint(0, 256, (4000, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 4000).astype(np.uint8),
    )
    network = Network(architectures.MLP.with_none_output())
    noise = Augmentation(dirt=Dirt(share=1.0, contrast=0.5)) if dirt else None
    recipe = dataclasses.replace(FIELD, augmentation=noise)
    training = loop.Training(
        network, network.architecture.stages, recipe, 0, validation, validation
    )
    variables = jax.device_get(training.begin().state.variables)
    variables["params"]["fc2"]["bias"] = ahead * np.eye(11, dtype=np.float32)[10]
    moved = run._with_none_bias(training, variables)
    changed = copy(jax.random.key(0), validation.images, noise)
    called = [
        int((loop.logits(network, moved, images).argmax(1) == 10).sum())
        for images in (validation.images, changed)
    ]
    most = [4000 * share for share in run.CALLED_NONE]
    assert all(count <= limit + 1 for count, limit in zip(called, most, strict=True))
    assert any(count >= limit - 1 for count, limit in zip(called, most, strict=True))
    z, before = (loop.logits(network, of, validation.images) for of in (moved, variables))
    np.testing.assert_array_equal(z[:, :10], before[:, :10])


def test_the_output_costs_so_many_weights():
    lenet = architectures.lenet("relu", "max")
    eleven = lenet.with_none_output()
    weights = [sum(stage.features for stage in net.stages) for net in (lenet, eleven)]
    assert weights[1] - weights[0] == 1
    assert eleven.weights(eleven.stages[-1], (84,)) - lenet.weights(lenet.stages[-1], (84,)) == 85
