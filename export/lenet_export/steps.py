"""Drawings of pictures on their way: ink, the network's image, its layers, its logits."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lenet_export import drawing, reference
from lenet_export.errors import UserError, printable
from lenet_export.plan import Layer, Plan
from lenet_export.pools import POOLS
from lenet_export.reading import Read

MARK = "#d95f02"
HEADS = ("picture", "ink", "image", "logits")
LONGEST = 16  # letters of a file's name that fit under its picture


def steps(results: Sequence[Read], kind: str) -> bytes:
    """The drawing, a row for each picture, as a file of ``kind``: png, svg, pdf."""
    figure = Figure((9, 2.3 * len(results) + 0.3), layout="constrained")
    rows = figure.subplots(len(results), 4, squeeze=False)
    for place, (axes, result) in enumerate(zip(rows, results, strict=True)):
        _draw(axes, result)
        for ax, head in zip(axes, HEADS, strict=True):
            if place == 0:
                ax.set_title(head, fontsize=10)
    return _file(figure, kind)


def layers(plan: Plan, result: Read, kind: str) -> bytes:
    """What each layer makes of one picture, in the integers of the C, as a file of ``kind``.

    Raises:
        UserError: there is no ink in it, or the C's logits are not the reference's, which gives
            the layers.
    """
    if result.logits is None:
        remedy = "give a picture with a digit, or leave out --layers"
        raise UserError(result.path, "has no ink, so that no layer is computed", remedy)
    image = result.found.image[..., None]
    found = reference.network(plan, image[None])
    named = [(_name(layer), found[layer.name][0]) for layer in plan.layers]
    if not np.array_equal(named[-1][1], result.logits):
        raise UserError(result.path, "is read by C otherwise than by NumPy", "report this as a bug")
    name = printable(result.path.name)
    class_name = printable(result.outputs[result.digit]) if result.digit >= 0 else "no class"
    figure, last = drawing.layers_of(
        [("image", image), *named], f"{name}: {class_name}, gap {result.gap:,}, {result.verdict}"
    )
    names = drawing.labels_of(result.outputs)
    drawing.bars_of(last, result.logits, names, "logit", "{:,.0f}")
    last.margins(y=0.2)
    last.set_yticks([])
    last.axhline(0, color="#888888", linewidth=0.6)
    return _file(figure, kind)


def _name(layer: Layer) -> str:
    """A layer and what is computed behind its sums."""
    stage = layer.stage
    words = [stage.name] + ([] if stage.activation == "none" else [stage.activation])
    return ", ".join(
        [*words, *([] if stage.pool == "none" else [f"{POOLS[stage.pool].noun} pool"])]
    )


def _file(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names may be in letters that matplotlib's font lacks: it draws boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format=kind, dpi=120)
    return file.getvalue()


def _draw(axes: Sequence[Axes], result: Read) -> None:
    """One picture's row."""
    picture, ink, image, logits = axes
    for ax in (picture, ink, image):
        ax.set_xticks([])
        ax.set_yticks([])
    picture.imshow(result.picture, cmap="gray", vmin=0, vmax=255)
    # A name is no formula, whatever dollars it has.
    name = printable(result.path.name)
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    picture.set_xlabel(f"{name}: {_said(result)}", fontsize=9, parse_math=False)
    found = result.found
    if found.ink is None or result.logits is None:
        for ax in (ink, image, logits):
            ax.set_axis_off()
        return
    top, left, bottom, right = found.box
    picture.add_patch(
        Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=MARK)
    )
    ink.imshow(found.ink, cmap="gray", vmin=0, vmax=max(found.contrast, 1))
    ink.set_xlabel(f"{'dark' if found.is_dark else 'light'}, contrast {found.contrast}", fontsize=9)
    image.imshow(found.image, cmap="gray", vmin=0, vmax=255)
    image.set_xlabel("{}x{}".format(*found.image.shape), fontsize=9)
    places = np.arange(len(result.logits))
    colours = [MARK if place == result.digit else "#bdbdbd" for place in places]
    logits.barh(places, result.logits, color=colours)
    logits.invert_yaxis()
    logits.set_yticks(places, result.outputs, fontsize=7)
    logits.set_xticks([])
    logits.set_xlabel(f"gap {result.gap:,}", fontsize=9)
    _fit_digits(logits, result)


def _fit_digits(axes: Axes, result: Read) -> None:
    """Scales the axis to the digits' logits; one beyond them, as none's may be, is told there."""
    logits = [float(logit) for logit in result.logits] if result.logits is not None else []
    digits = [0.0, *(v for v, name in zip(logits, result.outputs, strict=True) if name != "none")]
    least, most = min(digits), max(digits)
    room = (most - least) / 12
    axes.set_xlim(least - room, most + room)
    for place, logit in enumerate(logits):
        if not least <= logit <= most:
            edge, side = (least, "left") if logit < least else (most, "right")
            axes.text(edge, place, f"{logit:,.0f}", fontsize=7, ha=side, va="center")


def _said(result: Read) -> str:
    return result.verdict if result.digit < 0 else f"{result.digit}, {result.verdict}"
