"""The pictures of a run: what is on them, and that nothing is cut off."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from lenet_export.checkpoint import Model, Stage
from lenet_train import figures
from lenet_train.data import Examples

LONG = "lenet on digits, recipe best lr=0.002 augmentation.rotation=15 augmentation.shift=3, seed 7"
CHAINS = {
    "textbook": (
        Stage("conv1", "conv", 6, "sigmoid", (5, 5), "SAME", "avg", 2),
        Stage("conv2", "conv", 16, "sigmoid", (5, 5), "VALID", "max", 2),
        Stage("fc1", "dense", 120, "sigmoid"),
        Stage("fc2", "dense", 10),
    ),
    "many maps": (Stage("wide", "conv", 40, "relu", (3, 3), "SAME"), Stage("fc", "dense", 10)),
    "dense": (Stage("fc1", "dense", 256, "relu"), Stage("fc2", "dense", 10)),
}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, as matplotlib holds them."""
    kept = []
    png = figures._png
    monkeypatch.setattr(figures, "_png", lambda figure: kept.append(figure) or png(figure))
    return kept


def assert_whole(png):
    picture = matplotlib.image.imread(io.BytesIO(png))
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert np.all(border == 1), "something touches the border, so it is clipped"
    assert picture.min() < 0.5


def titles(figure: Figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("wrong", [0, 1, 7, 25, 60])
def test_the_surest_mistakes_come_first(wrong, drawn):
    random = np.random.default_rng(0)
    labels = np.arange(100) % 10
    test = Examples(random.integers(0, 256, (100, 28, 28), np.uint8), labels)
    # Of the wrong ones, the later the surer; the right ones are surer still.
    logits = np.full((100, 10), -1e3)
    logits[np.arange(100), labels] = 0
    for at in range(wrong):
        logits[at, labels[at]], logits[at, (labels[at] + 1) % 10] = 0, (at + 1) / 20
    assert_whole(figures.mistakes(test, logits, LONG))
    (figure,) = drawn
    sure = [1 / (1 + np.exp(-(at + 1) / 20)) for at in range(wrong)]
    expected = [
        f"{labels[at]}, taken for {(labels[at] + 1) % 10}\n{sure[at]:.1%} sure"
        for at in reversed(range(wrong))
    ]
    assert titles(figure) == expected[:25]
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    for image, at in zip(images, reversed(range(wrong)), strict=False):
        np.testing.assert_array_equal(image, test.images[at])
    kind = "1 mistake in" if wrong == 1 else f"{wrong} mistakes in"
    assert kind in figure.get_suptitle()
    assert ("the surest 25" in figure.get_suptitle()) == (wrong > 25)


@pytest.mark.parametrize("stages", CHAINS.values(), ids=CHAINS)
def test_the_features_are_those_of_the_layers_before_and_after_the_pools(stages, drawn):
    random = np.random.default_rng(0)
    shape, params = (28, 28, 1), {}
    for stage in stages:
        kernel = stage.kernel_shape(shape)
        params[f"{stage.name}/kernel"] = random.normal(size=kernel).astype(np.float32)
        params[f"{stage.name}/bias"] = np.zeros(stage.features, np.float32)
        shape = stage.output_shape(shape)
    image = random.integers(0, 256, (28, 28), np.uint8)
    assert_whole(figures.features(Model((28, 28, 1), stages, params), image, LONG))
    (figure,) = drawn
    *layers, odds = figure.axes
    names = [axes.get_ylabel() for axes in layers]
    assert names[0] == "image\n28x28x1"
    if stages == CHAINS["textbook"]:
        assert names[1:] == [
            "conv1, sigmoid\n28x28x6", "conv1, mean pool\n14x14x6",
            "conv2, sigmoid\n10x10x16", "conv2, maximum pool\n5x5x16",
            "fc1, sigmoid\n120", "fc2\n10",
        ]  # fmt: skip
        before, after = (np.asarray(axes.images[0].get_array())[:, :28] for axes in layers[1:3])
        pooled = before.reshape(14, 2, 14, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(after[:, :14], pooled, rtol=1e-5)
    if stages == CHAINS["many maps"]:
        assert names[1] == "wide, relu\n28x28x40, 16 shown"
    logits = np.asarray(layers[-1].images[0].get_array())[0]
    shares = [bar.get_height() for bar in odds.patches]
    assert sum(shares) == pytest.approx(100, rel=1e-4)
    assert np.argmax(shares) == logits.argmax()


def test_a_long_title_is_broken():
    figure = Figure(figsize=(6, 3))
    figures._title(figure, LONG, "second")
    lines = figure.get_suptitle().splitlines()
    assert len(lines) == 3 and lines[-1] == "second"
    assert " ".join(lines[:-1]) == LONG
