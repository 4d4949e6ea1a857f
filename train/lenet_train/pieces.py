"""What lies between two cuts through a line of digits, one of them or not.

The cuts are those of :mod:`lenet_export.amount`, so that what is learned is what will be read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lenet_export import amount
from lenet_train.architectures import CLASSES
from lenet_train.data import Examples, UInt8

ROWS = 56  # of a line
TALLEST = 44  # rows and columns of a digit at most; 2 rows moved, too, it fits into the cells
TRIES = 30  # lines that a piece is looked for in
INK = 64  # of 255: what touches
assert TALLEST + 4 <= amount.ROWS, "a cell of a line must be a pixel"
MOST = 0.06  # of a piece's ink that another digit may leave in it
LEAST = 0.93  # of a digit's ink that its piece must have
FOREIGN = 0.2  # of a piece's ink: with so much of another digit it is none
HALF = 0.3, 0.6  # of a digit's ink: with no more than that it is none


class Piece(NamedTuple):
    """An image uint8 ``(28, 28)``, and its class, :data:`CLASSES` if it is none."""

    image: UInt8
    label: int


def draw(random: np.random.RandomState, digits: Examples, of_digit: bool) -> Piece | None:
    """A piece of some line of two or three digits that are near or touch.

    Args:
        random: what draws.
        digits: what lines are made of; labels are numbers.
        of_digit: whether it is one digit; else it is a part of one, or has parts of two.

    Returns:
        ``None`` if many lines have none, as those of images without ink.
    """
    for _ in range(TRIES):
        layers, labels = _line(random, digits)
        cells = amount.cells_of(layers.max(0))
        if cells is None:
            continue
        known = _known(cells, _sheared(layers > INK, cells), labels)
        wanted = [(path, label) for *path, label in known if (label < CLASSES) == of_digit]
        if wanted:
            path, label = wanted[random.randint(len(wanted))]
            return Piece(cells.image(*path), label)
    return None


def _known(
    cells: amount.Cells, own: npt.NDArray[np.bool_], labels: npt.NDArray[Any]
) -> Iterator[tuple[amount.Array, amount.Array, int]]:
    """What lies between two paths, where it is clear what it is: the paths, and its class.

    Args:
        cells: of the line.
        own: which of them each digit has, ``(digits, rows, columns)``.
        labels: of the digits.
    """
    blocks = amount.blocks(cells).blocks
    cut = [itertools.combinations(block.edges, 2) for block in blocks]
    joined = [(one.edges[0], other.edges[-1]) for one, other in itertools.pairwise(blocks)]
    whole, column = own.sum((1, 2)), np.arange(cells.columns)
    for left, right in [*itertools.chain(*cut), *joined]:
        inside = (column >= left[:, None]) & (column < right[:, None])
        if not (cells.has_ink & inside).any():
            continue
        part = (own & inside).sum((1, 2))
        largest = int(part.argmax())
        others = part.sum() - part[largest]
        if part[largest] >= LEAST * whole[largest] and others <= MOST * part.sum():
            yield left, right, int(labels[largest])
        elif (
            others >= FOREIGN * part.sum()
            or HALF[0] < part[largest] / max(1, whole[largest]) < HALF[1]
        ):
            yield left, right, CLASSES


def _sheared(layers: npt.NDArray[np.bool_], cells: amount.Cells) -> npt.NDArray[np.bool_]:
    """The ``layers`` of a picture in its cells of one pixel, as these are sheared."""
    top, first = cells.corner
    around = [(0, 0), (0, cells.rows), (cells.columns, 2 * cells.columns)]
    padded = np.pad(layers, around)
    row, column = np.arange(cells.rows)[:, None], np.arange(cells.columns)
    return padded[:, top + row, cells.columns + first + column - cells.shift[:, None]]


def _line(random: np.random.RandomState, digits: Examples) -> tuple[UInt8, npt.NDArray[Any]]:
    """Each digit of a line on its own: uint8 ``(digits, ROWS, columns)``; and their labels."""
    count = 2 if random.rand() < 0.7 else 3
    places = random.randint(len(digits.labels), size=count)
    height, end = random.uniform(22, 36), 0
    layers = np.zeros((count, ROWS, 60 * count), np.uint8)
    last = np.full(ROWS, -1000)  # column with ink of each row
    for layer, place in zip(layers, places, strict=True):
        picture = Image.fromarray(digits.images[place])
        picture = picture.crop(picture.getbbox())
        scale = height * random.uniform(0.9, 1.1) / max(picture.size[1], 8)
        wide, tall = (max(1, min(round(scale * side), TALLEST)) for side in picture.size)
        ink = np.asarray(picture.resize((wide, tall), Image.Resampling.BILINEAR))
        top = (ROWS - tall) // 2 + random.randint(-2, 3)
        rows = slice(top, top + tall)
        is_ink = ink >= INK
        has = is_ink.any(1)
        # How near it can come, each row facing those around it.
        near = np.max([np.roll(last, shift)[rows] for shift in (-1, 0, 1)], 0)
        touching = (near - is_ink.argmax(1))[has].max(initial=-1000) + 1
        start = min(max(touching + random.randint(-4, 5), end - wide // 2, 0), end + 8)
        layer[rows, start : start + wide] = ink
        end = start + wide
        last[rows] = np.where(has, end - 1 - is_ink[:, ::-1].argmax(1), last[rows])
    return layers[:, :, : end + 1], digits.labels[places]
