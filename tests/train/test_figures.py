"""The pictures of a run: what is on them, and that nothing is cut off."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from lenet_export import drawing
from lenet_export.checkpoint import Model, Stage
from lenet_train import figures
from lenet_train.architectures import LENET5, MLP, lenet
from lenet_train.data import Examples
from lenet_train.loop import Epoch
from lenet_train.summary import rows
from needs import wide

NAMES = [*"0123456789", "none"]
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


def texts(figure: Figure):
    """Each text that is drawn, and its box in pixels of the figure."""
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = axis._update_ticks() if axes.axison else []
            ticks = {label for tick in shown for label in (tick.label1, tick.label2)}
            every = {text for tick in axis.get_major_ticks() for text in (tick.label1, tick.label2)}
            every |= {
                text for tick in axis.get_minor_ticks() for text in (tick.label1, tick.label2)
            }
            hidden = every - ticks if axes.axison else every | {axis.label}
            found = [text for text in found if text not in hidden]
    return [(text, text.get_window_extent()) for text in found]


def assert_readable(figure: Figure):
    """No text, of those returned with their boxes, lies on another one or leaves the figure."""
    drawn = texts(figure)
    width, height = figure.bbox.width, figure.bbox.height
    assert drawn
    for number, (text, box) in enumerate(drawn):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, f"{text.get_text()!r} leaves the figure"
        for other, there in drawn[:number]:
            assert not box.overlaps(there), f"{text.get_text()!r} lies on {other.get_text()!r}"
    return drawn


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
    assert_whole(figures.mistakes(test, logits, LONG, NAMES))
    (figure,) = drawn
    assert_readable(figure)
    sure = [1 / (1 + np.exp(-(at + 1) / 20)) for at in range(wrong)]
    expected = [
        f"{labels[at]}, taken for {(labels[at] + 1) % 10}\n{sure[at]:.1%} sure\nimage {at}"
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
    assert_whole(figures.features(Model((28, 28, 1), stages, params), image, LONG, NAMES))
    (figure,) = drawn
    assert_readable(figure)
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


def epochs(count, accuracy):
    return [Epoch(n, 2.3 / n, accuracy / 2, accuracy * n / count, 1.0) for n in range(1, count + 1)]


@pytest.mark.parametrize("count, accuracy", [(1, 0.1), (1, 0.99), (10, 0.1135), (100, 0.9962)])
def test_the_curves_legend_hides_no_line_and_names_the_test_accuracy(count, accuracy, drawn):
    assert_whole(figures.curves(epochs(count, accuracy), 0.98765, LONG))
    (figure,) = drawn
    assert_readable(figure)
    accuracies = figure.axes[1]
    legend = accuracies.get_legend()
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    assert [text.get_text() for text in legend.get_texts()] == [
        f"training, as it learns: {accuracy / 2:.2%} at the end".replace("%", " %"),
        f"validation: {accuracy:.2%} at the end".replace("%", " %"),
        "test: 98.77 %",
    ]
    (star,) = (line for line in accuracies.get_lines() if line.get_marker() == "*")
    np.testing.assert_allclose(star.get_xydata(), [[count, 1.235]])
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert all(label.lstrip("\N{MINUS SIGN}").isdecimal() for label in labels)


@pytest.mark.parametrize("classes", [2, 4, 10])
def test_the_confusion_shows_the_classes_that_occur_with_their_rates(classes, drawn):
    labels = np.repeat(np.arange(classes), 100)
    guesses = labels.copy()
    guesses[:3] = 1  # three images of class 0
    assert_whole(figures.confusion(labels, guesses, LONG, NAMES))
    (figure,) = drawn
    assert_readable(figure)
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape == (classes, classes)
    found = [tick.get_text().split() for tick in axes.get_yticklabels()]
    right = [tick.get_text().split() for tick in axes.get_xticklabels()]
    whole = [[str(label), "100.0%"] for label in range(2, classes)]
    assert found == [["0", "97.0%"], ["1", "100.0%"], *whole]
    assert right == [["0", "100.0%"], ["1", "97.1%"], *whole]


def test_the_confusion_of_many_classes_with_names_is_readable(drawn):
    names = [*(f"the letter {chr(65 + n)}" for n in range(26)), "none"]
    labels = np.repeat(np.arange(26), 10)
    guesses = np.where(np.arange(260) % 7, labels, (labels + 3) % 26)
    assert_whole(figures.confusion(labels, guesses, LONG, names))
    assert_readable(drawn[0])
    found = [tick.get_text().split("   ")[0] for tick in drawn[0].axes[0].get_yticklabels()]
    assert found == names[:-1]


def test_names_that_matplotlib_would_take_for_more_than_text_are_text():
    stages, params = (Stage("fc", "dense", 3),), {"fc/bias": np.zeros(3, np.float32)}
    params["fc/kernel"] = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    model = Model((6, 5, 1), stages, params)
    test = Examples(np.full((3, 6, 5), 9, np.uint8), np.arange(3))
    epochs_ = [Epoch(1, 1.0, 0.5, 0.5, 1.0)]
    logits = np.eye(3, dtype=np.float32)[[0, 2, 1]]
    names = ("$\\frac$ and $", "\u4e00", "long " * 30)
    found = figures.of_run(model, epochs_, test, logits, "title", names)
    assert set(found) == set(figures.NAMES)


def test_a_class_that_is_never_given_has_no_rate(drawn):
    figures.confusion(np.array([0, 1, 5]), np.array([0, 0, 3]), LONG, NAMES)
    ticks = drawn[0].axes[0].get_xticklabels(), drawn[0].axes[0].get_yticklabels()
    given, true = ([tick.get_text().split() for tick in axis] for axis in ticks)
    assert given == [["0", "50.0%"], ["1", "-"], ["3", "0.0%"], ["5", "-"]]
    assert true == [["0", "100.0%"], ["1", "0.0%"], ["3", "-"], ["5", "0.0%"]]


def test_what_is_of_no_class_is_called_none(drawn):
    figures.confusion(np.array([0, 1]), np.array([0, 10]), LONG, NAMES)
    given = [tick.get_text().split() for tick in drawn[0].axes[0].get_xticklabels()]
    assert given == [["0", "100.0%"], ["1", "-"], ["none", "0.0%"]]


#: The last two have more than are shown.
FILTERS = [(5, 5, 1, 6), (5, 5, 1, 9), (784, 256), *wide([((3, 3, 1, 100),)])]


@pytest.mark.parametrize("shape", FILTERS)
def test_the_filters_are_drawn_apart(shape, drawn):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert_whole(figures.filters(kernel, f"conv1 of {LONG}", (28, 28, 1)))
    (figure,) = drawn
    assert_readable(figure)
    assert sum(bool(axes.images) for axes in figure.axes) == min(shape[-1], figures.MOST_FILTERS)


NETWORKS = {
    "lenet": lenet(), "lenet5-1998": LENET5, "mlp": MLP,
    "stride": lenet("gelu", "stride", "batch", head="gap"),
    "wide": lenet("relu", "max", "layer", channels=(32, 64, 128), kernels=(5, 3, 3)),
    "very wide": lenet(channels=(512, 1024)),
}  # fmt: skip


@pytest.mark.parametrize("architecture", NETWORKS.values(), ids=NETWORKS)
def test_the_drawing_of_a_network_has_no_texts_that_touch(architecture, drawn):
    assert_whole(figures.network(architecture))
    (figure,) = drawn
    found = assert_readable(figure)
    shown = " ".join(text.get_text() for text, _ in found)
    assert all(row.shape_text in shown and row.layer in shown for row in rows(architecture))
    patches = [patch.get_window_extent() for patch in figure.axes[0].patches]
    for text, box in found:
        assert not any(box.overlaps(patch) for patch in patches), text.get_text()


def test_a_long_title_is_broken():
    figure = Figure(figsize=(6, 3))
    drawing.titled(figure, LONG, "second")
    lines = figure.get_suptitle().splitlines()
    assert len(lines) == 3 and lines[-1] == "second"
    assert " ".join(lines[:-1]) == LONG


@pytest.mark.parametrize("width", range(4, 13))
def test_no_word_of_a_title_is_left_alone(width):
    figure = Figure(figsize=(width, 3))
    drawing.titled(figure, f"conv1 of {LONG}")
    lines = figure.get_suptitle().splitlines()
    assert " ".join(lines) == f"conv1 of {LONG}"
    assert max(map(len, lines)) <= 9 * width
    assert min(map(len, lines)) > 0.4 * max(map(len, lines))
