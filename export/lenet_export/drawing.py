"""What drawings share: titles that fit, names below an axis, an image on its way through layers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_NAMED = 30  # classes that a figure has room to write at each
MOST_MAPS = 16
BETWEEN_MAPS = "#bcd4ea"

#: A layer's name and what it gives, ``(rows, columns, channels)`` or ``(units,)``.
Named = tuple[str, npt.NDArray[Any]]


def layers_of(layers: Sequence[Named], *lines: str) -> tuple[Figure, Axes]:
    """A figure of what one image becomes, layer by layer: the darker, the larger.

    Args:
        layers: the image, and each layer, in their order.
        lines: of the title.

    Returns:
        The figure, and axes below the last layer, for its bars.
    """
    shown = [_side_by_side(v[..., :MOST_MAPS]) if v.ndim == 3 else v[None] for _, v in layers]
    # Maps keep their shape, so that many of them side by side make a low line.
    heights = [
        min(1.2, 7 * len(line) / line.shape[1]) if values.ndim == 3 else 0.4
        for line, (_, values) in zip(shown, layers, strict=True)
    ]
    figure = Figure(figsize=(9, sum(heights) + 0.15 * len(heights) + 2.7), layout="constrained")
    titled(figure, *lines, "one image on its way through the network; the darker, the larger")
    # Room for the names: the layout leaves too little beside maps that keep their shape.
    figure.set_layout_engine("constrained", rect=(0.04, 0, 0.96, 1))
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
    return figure, last


def bars_of(
    axes: Axes, heights: npt.NDArray[Any], names: Sequence[str], label: str, form: str
) -> None:
    """A bar for each output, under its place in the line of the last layer.

    Args:
        axes: to draw in.
        heights: of the bars.
        names: of the outputs.
        label: what a height is.
        form: how it is written, as ``%.1f`` or ``{:,.0f}``.
    """
    bars = axes.bar(range(len(heights)), heights, color="#2b5c8a")
    if len(heights) <= MOST_NAMED:
        axes.bar_label(bars, fmt=form, fontsize=8)
    axes.set(xlim=(-0.5, len(heights) - 0.5), xlabel="class", ylabel=label)
    axes.set_xticks(range(len(heights)), names[: len(heights)], **turned(names))
    axes.spines[["top", "right"]].set_visible(False)


def labels_of(names: Sequence[str]) -> list[str]:
    """Names as short as fits; between two $ matplotlib would find formulas."""
    return [name[:24].replace("$", r"\$") for name in names]


def turned(names: Sequence[str]) -> dict[str, Any]:
    """How names stand below an axis: upright where they are long or many."""
    is_wide = len(names) > MOST_NAMED or max(map(len, names)) > 5
    return {"rotation": "vertical"} if is_wide else {}


def titled(figure: Figure, *lines: str) -> None:
    """Puts ``lines`` above the figure, each broken evenly where it is wider than the figure."""
    letters = int(9 * figure.get_figwidth())
    text = "\n".join(part for line in lines for part in _broken(line, letters))
    figure.suptitle(text, parse_math=False)  # A name is no formula, whatever dollars it has.


def _broken(line: str, letters: int) -> list[str]:
    """The line in as few parts of at most ``letters`` as it takes, the longest of them shortest.

    So no word is left alone in the last one.
    """
    fewest = len(textwrap.wrap(line, letters))
    widths = range(-(-len(line) // max(fewest, 1)) if fewest > 1 else letters, letters + 1)
    parts = (textwrap.wrap(line, width) for width in widths)
    return next(found for found in parts if len(found) == fewest)


def _side_by_side(maps: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Maps ``(rows, columns, channels)`` in a line, with an empty space between two of them."""
    rows, columns, channels = maps.shape
    gap = max(1, columns // 8)
    line = np.full((rows, channels, columns + gap), np.nan, np.float32)
    line[..., :columns] = maps.transpose(0, 2, 1)
    return line.reshape(rows, -1)[:, :-gap]
