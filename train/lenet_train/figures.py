"""The figures of a run, each as the bytes of a PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

from lenet_export import drawing
from lenet_export.checkpoint import Float32, Model
from lenet_export.float_network import run_activations, run_floats
from lenet_export.pools import POOLS
from lenet_train.architectures import Architecture
from lenet_train.data import Examples
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

# The top of the accuracy's axis, in % of the images: a split without a mistake is drawn there.
FEWEST_MISTAKES = 0.1

# Of the drawing of the network: from channel to channel, in pixels of the image; what a pixel and
# the page may be in inches; the space between two outputs and the height of a line, in inches; and
# the letters, in points.
STEP = 0.5
PIXEL, WIDEST = 0.05, 14.0
GAP, LINE, TITLE = 0.15, 0.15, 0.6
LETTER = 8


def of_run(
    model: Model,
    epochs: Sequence[Epoch],
    test: Examples,
    logits: Float32,
    title: str,
    names: Sequence[str],
) -> dict[str, bytes]:
    """All figures of a finished run, by file name.

    Args:
        model: the trained network.
        epochs: of the training.
        test: the test images.
        logits: the network's, ``(test images, outputs)``.
        title: of the run.
        names: of the classes.
    """
    # Behind the last one comes what is of none of them.
    names = [*drawing.labels_of(names), "none"]
    first = model.stages[0].name
    guesses = logits.argmax(axis=1)
    example = test[int((guesses == test.labels).argmax())]
    return {
        CURVES: curves(epochs, float(np.mean(guesses == test.labels)), title),
        CONFUSION: confusion(test.labels, guesses, title, names),
        MISTAKES: mistakes(test, logits, title, names),
        FILTERS: filters(model.params[f"{first}/kernel"], f"{first} of {title}", model.input_shape),
        FEATURES: features(model, example.images, title, names),
    }


def curves(epochs: Sequence[Epoch], test_accuracy: float, title: str) -> bytes:
    """Loss and accuracy against the epoch; the test images are looked at once, at the end."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    drawing.titled(figure, title)
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
        label = f"{name}: {100 * values[-1]:.2f} % at the end"
        accuracy.plot(at, _mistakes(values), label=label, **style)
    label = f"test: {100 * test_accuracy:.2f} %"
    accuracy.plot(at[-1:], _mistakes([test_accuracy]), "k*", label=label, clip_on=False, zorder=3)
    # By the logarithm of the mistakes, for 99.0 and 99.5 % differ more than 50 and 51 %.
    ticks = [100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]
    accuracy.set(title="Accuracy", ylabel="images classified rightly, %", yscale="log")
    labels = [f"{100 - tick:g}" for tick in ticks]
    accuracy.set_yticks(ticks, [*labels[:-1], rf"$\geq$ {labels[-1]}"])
    accuracy.set_yticks([], minor=True)
    accuracy.set_ylim(100, FEWEST_MISTAKES * 0.9)
    # Below the axes: inside, it hides a line wherever it stands.
    accuracy.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    for axes in (loss, accuracy):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    return _png(figure)


def _mistakes(accuracies: Sequence[float]) -> Any:
    """The places of accuracies on the axis: the mistakes, in % of the images."""
    return np.maximum(100 - 100 * np.array(accuracies), FEWEST_MISTAKES)


def confusion(labels: Any, guesses: Any, title: str, names: Sequence[str]) -> bytes:
    """How many test images of each class (row) were taken for each class (column).

    Beside each class stands the share of its images that were found, below it the share of the
    images taken for it that are such. Classes that occur in neither are left out. Only the mistakes
    are coloured: beside 99 % on the diagonal they would all look alike.
    """
    classes = np.union1d(labels, guesses)
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (np.searchsorted(classes, labels), np.searchsorted(classes, guesses)), 1)
    diagonal = np.eye(len(classes), dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    room = max(1.0, len(classes) / 16)
    figure = Figure(figsize=(7.8 * room, 7 * room), layout="constrained")
    # A little room: the layout lets long names push the label out.
    figure.set_layout_engine("constrained", rect=(0.02, 0, 0.98, 1))
    axes = figure.subplots()
    # So that a class with a single mistake stays pale.
    most = max(int(mistakes.max()), 5)
    axes.set_facecolor("lightgray")
    coloured = np.ma.masked_array(mistakes, diagonal)
    image = axes.imshow(coloured, cmap="Reds", vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        dark = mistakes[row, column] > 0.6 * most
        color = "white" if dark else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    drawing.titled(figure, title, f"{mistakes.sum():,} mistakes in {len(labels):,} test images")
    right, places = counts.diagonal(), range(len(classes))
    told = [names[label] for label in classes]
    below = _with_rates(told, "\n", right, counts.sum(axis=0))
    axes.set_xticks(places, below, **drawing.turned(told))
    axes.set_yticks(places, _with_rates(told, "   ", right, counts.sum(axis=1)))
    axes.set(
        xlabel="class given by the network, and how many of these are right",
        ylabel="true class, and how many of these are found",
    )
    bar = figure.colorbar(image, label="mistakes", shrink=0.8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def _with_rates(names: list[str], space: str, right: Any, of: Any) -> list[str]:
    """Each class and how many of its images are right; a class without images has no rate."""
    rates = [f"{r / n:.1%}" if n else "-" for r, n in zip(right, of, strict=True)]
    return [f"{name}{space}{rate}" for name, rate in zip(names, rates, strict=True)]


def filters(kernel: Float32, title: str, shape: tuple[int, int, int]) -> bytes:
    """The first layer's kernels as images: ``(5, 5, 1, features)`` or ``(pixels, units)``.

    Args:
        kernel: of the layer.
        title: of the figure.
        shape: of the network's images.
    """
    pictures = kernel[:, :, 0] if kernel.ndim == 4 else kernel.reshape(*shape[:2], -1)
    pictures = np.moveaxis(pictures, -1, 0)
    total, pictures = len(pictures), pictures[:MOST_FILTERS]
    columns = 3 if len(pictures) <= 9 else 8
    lines = -(-len(pictures) // columns)
    width = max(6.0, columns)
    height = 0.8 + lines * (0.8 * width / columns + 0.2)
    figure = Figure(figsize=(width, height), layout="constrained")
    shown = "" if len(pictures) == total else f" (the first {len(pictures)} of {total})"
    drawing.titled(figure, f"{title}{shown}")
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


def mistakes(test: Examples, logits: Float32, title: str, names: Sequence[str]) -> bytes:
    """The test images that the network is surest about, and wrong."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = odds.max(axis=1) / odds.sum(axis=1)
    guesses = logits.argmax(axis=1)
    wrong = np.flatnonzero(guesses != test.labels)
    # Equals in the order of the images, so that the same run gives the same picture.
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]
    lines = -(-len(worst) // 5)
    figure = Figure(figsize=(7.5, 1 + 1.9 * lines), layout="constrained")
    kind = "mistake" if len(wrong) == 1 else "mistakes"
    shown = f", the surest {len(worst)}" if len(worst) < len(wrong) else ""
    told = f"{len(wrong):,} {kind} in {len(guesses):,} test images{shown}"
    drawing.titled(figure, title, told + ("; numbered from 0" if len(worst) else ""))
    for number, axes in enumerate(figure.subplots(max(lines, 1), 5, squeeze=False).flat):
        if number >= len(worst):
            axes.set_axis_off()
        else:
            at = worst[number]
            # A frame tells which image a text is of: most of an image is empty.
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(drawing.BETWEEN_MAPS)
            axes.imshow(test.images[at], cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(
                f"{names[test.labels[at]]}, taken for {names[guesses[at]]}\n"
                f"{confidence[at]:.1%} sure\nimage {at:,}",
                fontsize=9,
            )
    return _png(figure)


def features(model: Model, image: Any, title: str, names: Sequence[str]) -> bytes:
    """What one image, uint8 ``(rows, columns)``, becomes in each layer, and its probabilities."""
    layers = list(_layers(model, image[None, ..., None]))
    figure, last = drawing.layers_of(layers, title)
    logits = layers[-1][1]
    odds = np.exp(logits - logits.max())
    drawing.bars_of(last, 100 * odds / odds.sum(), names, "probability, %", "%.1f")
    last.set_ylim(0, 118)
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


def network(architecture: Architecture) -> bytes:
    """The shapes from image to logits: maps as stacks of squares, vectors as bars."""
    drawn = [(row, _size(row.shape), _label(row)) for row in rows(architecture)]
    letters = [max(map(_inches, (*label.split("\n"), row.shape_text))) for row, _, label in drawn]

    def columns(scale: float) -> list[float]:
        """How wide each output is with its text, in inches, where a pixel is ``scale`` inches."""
        return [
            max(text, scale * width) + GAP
            for text, (_, (width, _), _) in zip(letters, drawn, strict=True)
        ]

    scale = PIXEL
    while sum(columns(scale)) > WIDEST and scale > PIXEL / 8:
        scale *= 0.9
    below, above = (
        max(height * scale / 2 + LINE * count(label) for _, (_, height), label in drawn)
        for count in (lambda _: 2, lambda label: label.count("\n") + 2)
    )
    size = (max(sum(columns(scale)), 6.0), below + above + TITLE)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]))
    axes.set_axis_off()
    x, middle = (size[0] - sum(columns(scale))) / 2, below
    for (row, (width, height), label), column in zip(drawn, columns(scale), strict=True):
        centre = x + column / 2
        _draw(axes, row.shape, centre - width * scale / 2, middle, scale)
        top, bottom = middle + height * scale / 2 + LINE / 2, middle - height * scale / 2 - LINE / 2
        axes.text(centre, top, label, ha="center", va="bottom", fontsize=LETTER)
        axes.text(
            centre, bottom, row.shape_text,
            ha="center", va="top", fontsize=LETTER, fontweight="bold",
        )  # fmt: skip
        x += column
    total = f"{parameters(architecture):,} parameters"
    drawing.titled(figure, f"{architecture.title}: shape of each layer's output, {total}")
    return _png(figure)


def _label(row: Row) -> str:
    """The text above an output, a line for each thing that is computed."""
    return (f"{row.layer}\n" if row.layer else "") + row.what.replace(", ", "\n")


def _inches(text: str) -> float:
    """How wide the text is in a label, in bold letters at most."""
    font = FontProperties(size=LETTER, weight="bold")
    return float(TextPath((0, 0), text or " ", prop=font).get_extents().width) / 72


def _size(shape: tuple[int, ...]) -> tuple[float, float]:
    """How wide and tall an output of ``shape`` is drawn, in pixels of the image."""
    if len(shape) == 1:
        # As tall as the side of a square with as many pixels: the longest still fits the page.
        return 2, shape[0] ** 0.5
    depth = (shape[2] - 1) * STEP
    return shape[1] + depth, shape[0] + depth


def _draw(axes: Axes, shape: tuple[int, ...], x: float, middle: float, scale: float) -> None:
    """Draws an output with its left side at ``x``, around the height ``middle``."""
    style: dict[str, Any] = {"facecolor": "#dbe9f6", "edgecolor": "#2b5c8a", "linewidth": 0.7}
    width, height = _size(shape)
    channels = 1 if len(shape) == 1 else shape[2]
    depth = (channels - 1) * STEP
    for channel in range(channels):
        across = channel * STEP
        corner = (x + across * scale, middle + ((depth - across) - height / 2) * scale)
        axes.add_patch(
            Rectangle(corner, (width - depth) * scale, (height - depth) * scale, **style)
        )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Names of classes may be in letters that matplotlib's font lacks: it draws boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
