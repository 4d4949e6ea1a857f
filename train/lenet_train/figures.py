"""The figures of a run, each as the bytes of a PNG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from lenet_export.checkpoint import Float32, Model
from lenet_export.flax_network import run_activations, run_floats
from lenet_export.pools import POOLS
from lenet_train.architectures import Architecture
from lenet_train.data import CLASSES, SIDE, Examples
from lenet_train.loop import Epoch
from lenet_train.summary import Row, parameters, rows

CURVES = "curves.png"
CONFUSION = "confusion.png"
MISTAKES = "mistakes.png"
FILTERS = "filters.png"
FEATURES = "features.png"
NAMES = (CURVES, CONFUSION, MISTAKES, FILTERS, FEATURES)

DPI = 120
MOST_FILTERS = 64
MOST_MISTAKES = 25
MOST_MAPS = 16
BETWEEN_MAPS = "#bcd4ea"

# The top of the accuracy's axis, in % of the images: a split without a mistake is drawn there.
FEWEST_MISTAKES = 0.1

# Of the drawing of the network, in pixels of the image: between two outputs, between two channels.
GAP = 10
STEP = 0.5


def of_run(
    model: Model, epochs: Sequence[Epoch], test: Examples, logits: Float32, title: str
) -> dict[str, bytes]:
    """All figures of a finished run, by file name.

    Args:
        model: the trained network.
        epochs: of the training.
        test: the test images.
        logits: the network's, ``(test images, 10)``.
        title: of the run.
    """
    first = model.stages[0].name
    guesses = logits.argmax(axis=1)
    example = test[int((guesses == test.labels).argmax())]
    return {
        CURVES: curves(epochs, title),
        CONFUSION: confusion(test.labels, guesses, title),
        MISTAKES: mistakes(test, logits, title),
        FILTERS: filters(model.params[f"{first}/kernel"], f"{first} of {title}"),
        FEATURES: features(model, example.images, title),
    }


def curves(epochs: Sequence[Epoch], title: str) -> bytes:
    """Loss and accuracy against the epoch."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    _title(figure, title)
    loss, accuracy = figure.subplots(1, 2)
    at = [epoch.epoch for epoch in epochs]
    # A single epoch is a dot, for a line needs two.
    style = {"marker": "o", "markersize": 3} if len(at) <= 20 else {}
    losses = [epoch.loss for epoch in epochs]
    loss.plot(at, losses, **style)
    scale = "log" if max(losses) > 10 * min(losses) else "linear"
    loss.set(title="Training loss", ylabel="mean cross-entropy", yscale=scale)
    for name, values in [
        ("training, as it learns", [epoch.train_accuracy for epoch in epochs]),
        ("validation", [epoch.validation_accuracy for epoch in epochs]),
    ]:
        mistakes = np.maximum(100 - 100 * np.array(values), FEWEST_MISTAKES)
        label = f"{name}: {100 * values[-1]:.2f} % at the end"
        accuracy.plot(at, mistakes, label=label, **style)
    # By the logarithm of the mistakes, for 99.0 and 99.5 % differ more than 50 and 51 %.
    ticks = [100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]
    accuracy.set(title="Accuracy", ylabel="images classified rightly, %", yscale="log")
    labels = [f"{100 - tick:g}" for tick in ticks]
    accuracy.set_yticks(ticks, [*labels[:-1], f"≥ {labels[-1]}"])
    accuracy.set_yticks([], minor=True)
    accuracy.set_ylim(100, FEWEST_MISTAKES * 0.9)
    accuracy.legend(loc="lower right", fontsize="small")
    for axes in (loss, accuracy):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return _png(figure)


def confusion(labels: Any, guesses: Any, title: str) -> bytes:
    """How many test images of each class (row) were taken for each class (column).

    Only the mistakes are coloured: beside 99 % on the diagonal they would all look alike.
    """
    counts = np.zeros((CLASSES, CLASSES), int)
    np.add.at(counts, (labels, guesses), 1)
    mistakes = counts * (1 - np.eye(CLASSES, dtype=int))
    figure = Figure(figsize=(7.5, 6.8), layout="constrained")
    axes = figure.subplots()
    # So that a class with a single mistake stays pale.
    most = max(int(mistakes.max()), 5)
    axes.set_facecolor("lightgray")
    coloured = np.ma.masked_array(mistakes, np.eye(CLASSES, dtype=bool))
    image = axes.imshow(coloured, cmap="Reds", vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        dark = mistakes[row, column] > 0.6 * most
        color = "white" if dark else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", color=color)
    _title(figure, title, f"{mistakes.sum():,} mistakes in {len(labels):,} test images")
    axes.set(
        xlabel="class given by the network",
        ylabel="true class",
        xticks=range(CLASSES),
        yticks=range(CLASSES),
    )
    bar = figure.colorbar(image, label="mistakes", shrink=0.8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def filters(kernel: Float32, title: str) -> bytes:
    """The first layer's kernels as images: ``(5, 5, 1, features)`` or ``(784, units)``."""
    pictures = kernel[:, :, 0] if kernel.ndim == 4 else kernel.reshape(SIDE, SIDE, -1)
    pictures = np.moveaxis(pictures, -1, 0)
    total, pictures = len(pictures), pictures[:MOST_FILTERS]
    columns = 3 if len(pictures) <= 9 else 8
    lines = -(-len(pictures) // columns)
    width = max(6.0, columns)
    height = 0.8 + lines * (0.8 * width / columns + 0.2)
    figure = Figure(figsize=(width, height), layout="constrained")
    shown = "" if len(pictures) == total else f" (the first {len(pictures)} of {total})"
    _title(figure, f"{title}{shown}")
    most = float(np.abs(pictures).max())
    grid = figure.subplots(lines, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_axis_off()
        if number < len(pictures):
            image = axes.imshow(pictures[number], cmap="RdBu_r", vmin=-most, vmax=most)
            if len(pictures) <= 9:
                axes.set_title(f"channel {number}", fontsize=9)
    figure.colorbar(image, ax=grid, label="weight", shrink=0.8)
    return _png(figure)


def mistakes(test: Examples, logits: Float32, title: str) -> bytes:
    """The test images that the network is surest about, and wrong."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = odds.max(axis=1) / odds.sum(axis=1)
    guesses = logits.argmax(axis=1)
    wrong = np.flatnonzero(guesses != test.labels)
    # Equals in the order of the images, so that the same run gives the same picture.
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]
    lines = -(-len(worst) // 5)
    figure = Figure(figsize=(7.5, 1 + 1.75 * lines), layout="constrained")
    kind = "mistake" if len(wrong) == 1 else "mistakes"
    shown = f", the surest {len(worst)}" if len(worst) < len(wrong) else ""
    _title(figure, title, f"{len(wrong):,} {kind} in {len(guesses):,} test images{shown}")
    for number, axes in enumerate(figure.subplots(max(lines, 1), 5, squeeze=False).flat):
        axes.set_axis_off()
        if number < len(worst):
            at = worst[number]
            axes.imshow(test.images[at], cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(
                f"{test.labels[at]}, taken for {guesses[at]}\n{confidence[at]:.1%} sure",
                fontsize=9,
            )
    return _png(figure)


def features(model: Model, image: Any, title: str) -> bytes:
    """What one image, uint8 ``(28, 28)``, becomes in each layer, and its probabilities."""
    layers = list(_layers(model, image[None, ..., None]))
    shown = [_side_by_side(v[..., :MOST_MAPS]) if v.ndim == 3 else v[None] for _, v in layers]
    # Maps keep their shape, so that many of them side by side make a low line.
    heights = [
        min(1.2, 7 * len(line) / line.shape[1]) if values.ndim == 3 else 0.4
        for line, (_, values) in zip(shown, layers, strict=True)
    ]
    figure = Figure(figsize=(9, sum(heights) + 0.15 * len(heights) + 2.7), layout="constrained")
    _title(figure, title, "one image on its way through the network; the darker, the larger")
    # Room for the names: the layout leaves too little beside maps that keep their shape.
    figure.get_layout_engine().set(rect=(0.04, 0, 0.96, 1))
    *places, last = figure.subplots(len(layers) + 1, 1, height_ratios=[*heights, 1.4])
    colours = colormaps["gray_r"].with_extremes(bad=BETWEEN_MAPS)
    for axes, line, (name, values) in zip(places, shown, layers, strict=True):
        shape = "x".join(map(str, values.shape))
        if values.ndim == 3 and values.shape[-1] > MOST_MAPS:
            shape += f", {MOST_MAPS} shown"
        axes.set_ylabel(
            f"{name}\n{shape}", rotation=0, ha="right", va="center", fontsize=9, labelpad=10
        )
        axes.imshow(line, cmap=colours, aspect="equal" if values.ndim == 3 else "auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(BETWEEN_MAPS)
    logits = layers[-1][1]
    odds = np.exp(logits - logits.max())
    bars = last.bar(range(len(odds)), 100 * odds / odds.sum(), color="#2b5c8a")
    last.bar_label(bars, fmt="%.1f", fontsize=8)
    # Each bar stands under its logit.
    last.set(
        xlim=(-0.5, len(odds) - 0.5),
        ylim=(0, 118),
        xticks=range(len(odds)),
        xlabel="class",
        ylabel="probability, %",
    )
    last.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _layers(model: Model, image: Any) -> Iterator[tuple[str, Float32]]:
    """The image and each stage's output, in front of its pool, too; each by its name."""
    pooled = [stage.name for stage in model.stages if stage.pool != "none"]
    activated, outputs = run_activations(model, image, pooled), run_floats(model, image)
    yield "image", image[0] / np.float32(255)
    for stage in model.stages:
        name = stage.name if stage.activation == "none" else f"{stage.name}, {stage.activation}"
        if stage.pool != "none":
            yield name, activated[stage.name][0]
            name = f"{stage.name}, {POOLS[stage.pool].noun} pool"
        yield name, outputs[stage.name][0]


def _side_by_side(maps: Float32) -> Any:
    """Maps ``(rows, columns, channels)`` in a line, with an empty space between two of them."""
    rows, columns, channels = maps.shape
    gap = max(1, columns // 8)
    line = np.full((rows, channels, columns + gap), np.nan, np.float32)
    line[..., :columns] = maps.transpose(0, 2, 1)
    return line.reshape(rows, -1)[:, :-gap]


def network(architecture: Architecture) -> bytes:
    """The shapes from image to logits: maps as stacks of squares, vectors as bars."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots()
    x = tallest = 0.0
    for row in rows(architecture):
        width, height = _draw(axes, row, x)
        tallest = max(tallest, height)
        name = f"{row.layer}\n" if row.layer else ""
        axes.text(
            x + width / 2, height / 2 + 1, name + row.what.replace(", ", "\n"),
            ha="center", va="bottom", fontsize=8,
        )  # fmt: skip
        axes.text(
            x + width / 2, -height / 2 - 1, row.shape_text,
            ha="center", va="top", fontsize=9, fontweight="bold",
        )  # fmt: skip
        x += width + GAP
    axes.set(
        title=f"{architecture.title}: shape of each layer's output, "
        f"{parameters(architecture):,} parameters",
        xlim=(-GAP, x), ylim=(-tallest / 2 - 4, tallest / 2 + 12), aspect="equal",
    )  # fmt: skip
    axes.set_axis_off()
    return _png(figure)


def _draw(axes: Axes, row: Row, x: float) -> tuple[float, float]:
    """Draws one output with its left side at ``x``; returns its width and height."""
    style: dict[str, Any] = {"facecolor": "#dbe9f6", "edgecolor": "#2b5c8a", "linewidth": 0.7}
    if len(row.shape) == 1:
        # As tall as the side of a square with as many pixels: the longest still fits the page.
        height = row.shape[0] ** 0.5
        axes.add_patch(Rectangle((x, -height / 2), 2, height, **style))
        return 2, height
    height, width, channels = row.shape
    depth = (channels - 1) * STEP
    for channel in range(channels):
        across = channel * STEP
        corner = (x + across, (depth - height) / 2 - across)
        axes.add_patch(Rectangle(corner, width, height, **style))
    return width + depth, height + depth


def _title(figure: Figure, *lines: str) -> None:
    """Puts ``lines`` above the figure, each broken where it is wider than the figure."""
    letters = int(9 * figure.get_figwidth())
    broken = [part for line in lines for part in textwrap.wrap(line, letters)]
    figure.suptitle("\n".join(broken))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
