"""A picture with one digit to the image that a network reads: in integers, the specification.

``templates/c/picture.c`` computes the same numbers, a row at a time; docs/preparation.md has the
formulas. All divisions round down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError
from lenet_export.paper import (
    Integers,
    around,
    at_pixels,
    ink_is_dark,
    least_around,
    mean_around,
    tile_means,
)

Mask = npt.NDArray[np.bool_]

LEAST, MOST = 12, 1024  # rows and columns of a picture
VIEW = 342  # rows and columns of the view, at most
SMALL = 48  # rows and columns of a view whose strokes may be a pixel wide: less than these
CELLS = 64
LEAST_CONTRAST = 8
SCAN = 64  # rows and columns that are kept of a scan, at most
SCAN_RATIO = 16  # of its sides, at most


@dataclass(frozen=True)
class Prepared:
    """What was found in a picture.

    Attributes:
        image: uint8 ``(rows, columns)`` of the network, 0 is paper; all 0 without ink.
        has_ink: whether anything stands out from the paper.
        is_dark: whether the ink is darker than the paper.
        box: ``(top, left, bottom, right)`` around the ink in the picture, the ends outside.
        contrast: between ink and paper, 0 to 255.
        ink: uint8, how far each pixel of the view is above the paper; 0 away from the digit. The C
            does not give it.
    """

    image: npt.NDArray[np.uint8]
    has_ink: bool
    is_dark: bool = False
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    contrast: int = 0
    ink: npt.NDArray[np.uint8] | None = None


def prepare(picture: Any, shape: tuple[int, int] = (28, 28)) -> Prepared:
    """Brings a picture to MNIST's convention: the ink light, in a box, its mass in the middle.

    Args:
        picture: uint8 ``(rows, columns)``, each 12 to 1024; one digit, dark or light, whose longer
            side is at least 1/16 of the picture's.
        shape: rows and columns of the network's images, at least 7.

    Returns:
        The image, and what was found of it in the picture.

    Raises:
        UserError: the picture is not such an array.
    """
    view, shrink = _view(check_picture(picture))
    found = _prepared(view, shape)
    top, left, bottom, right = (edge * shrink for edge in found.box)
    return replace(found, box=(top, left, bottom, right))


def prepare_scan(picture: Any, shape: tuple[int, int] = (28, 28)) -> Prepared:
    """The same where the rows come once and only 4 KB are kept of them: ``lenet_scan_begin`` in C.

    Args:
        picture: uint8 ``(rows, columns)``, each 12 to 1024, one at most 16 times the other; a digit
            whose longer side is three tenths of the picture's or more.
        shape: rows and columns of the network's images, at least 7.

    Returns:
        As :func:`prepare`; the box is as fine as the rows that are kept.

    Raises:
        UserError: the picture is not such an array.
    """
    given = check_picture(picture)
    rows, columns = size = given.shape
    if max(size) > SCAN_RATIO * min(size):
        remedy = f"give sides of which one is at most {SCAN_RATIO} times the other"
        raise UserError("picture", f"is {rows}x{columns}", remedy)
    kept = scanned(given)
    high, wide = kept.shape
    found = _prepared(kept.astype(np.int64), shape)
    top, left, bottom, right = found.box
    box = (
        *(top * rows // high, left * columns // wide),
        *(-(-bottom * rows // high), -(-right * columns // wide)),
    )
    return replace(found, box=box)


def scanned(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What is kept of a scan: its longer side shrunk to 64 by exact means over areas."""
    longer = max(picture.shape)
    if longer <= SCAN:
        return picture
    rows, columns = ((size * SCAN + longer // 2) // longer for size in picture.shape)
    return area_means(picture, rows, columns).astype(np.uint8)


def _prepared(view: Integers, shape: tuple[int, int]) -> Prepared:
    """What is found in a view; the box is one of the view."""
    nothing = Prepared(np.zeros(shape, np.uint8), has_ink=False)

    means = tile_means(view)
    differences = _without_specks(view) - at_pixels(mean_around(means), view.shape)
    lowest, _, highest = _ranks(differences)
    border = np.concatenate([_counted(differences)[:, [0, -1]].ravel(), differences[0, 1:-1]])
    is_dark = ink_is_dark(lowest, highest, border)
    if is_dark:
        view, means = 255 - view, 255 - means

    # Paper is what is not above a tile's mean, and darkest of the tiles around.
    paper = at_pixels(least_around(tile_means(view, means)), view.shape)
    differences = _without_specks(view) - paper
    lowest, base, highest = _ranks(differences)
    contrast, noise = highest - base, base - lowest
    if contrast < LEAST_CONTRAST or 8 * contrast < 9 * noise:
        return nothing

    # Above the threshold is ink: more than the noise, but no more than three quarters.
    above = max(contrast * (3 if _is_small(view) else 4) // 8, min(noise, contrast * 3 // 4))
    ink = differences > base + above
    cells = _digit_cells(ink)
    cell = _cell_side(view.shape)
    is_own = _pixels(cells, cell, view.shape)
    if not (ink & is_own).any():
        return nothing
    box = _box(is_own & (differences > base + contrast // 4))
    mean = int((differences - base)[ink & is_own].sum()) // int((ink & is_own).sum())

    is_near = _pixels(_spread(cells), cell, view.shape)
    levels = np.where(is_near, np.clip(view - paper - base, 0, 255), 0)
    image = _image(levels, box, mean, shape, _is_small(view))
    if not image.any():
        return nothing
    return Prepared(image, True, is_dark, box, min(mean, 255), levels.astype(np.uint8))


def is_prepared_for(shape: tuple[int, ...]) -> bool:
    """Whether a network of such images, ``(rows, columns, channels)``, can read pictures."""
    return shape[2] == 1 and 7 <= min(shape[:2]) <= max(shape[:2]) <= 128


def check_picture(picture: Any) -> npt.NDArray[np.uint8]:
    """``picture``, if it is one.

    Raises:
        UserError: it is not grey, or too small or large.
    """
    given = np.asarray(picture)
    found = f"is {given.dtype} {given.shape}"
    if given.dtype != np.uint8 or given.ndim != 2:
        raise UserError("picture", found, "give grey as uint8 (rows, columns)")
    if min(given.shape) < LEAST or max(given.shape) > MOST:
        raise UserError("picture", found, f"give {LEAST} to {MOST} rows and columns: cut or shrink")
    return given


def _view(picture: npt.NDArray[np.uint8]) -> tuple[Integers, int]:
    """The picture, a mean of 2x2 or 3x3 pixels each if it is large, and how many a side."""
    shrink = -(-max(picture.shape) // VIEW)
    rows, columns = (size // shrink for size in picture.shape)
    parts = picture[: rows * shrink, : columns * shrink].astype(np.int64)
    sums = parts.reshape(rows, shrink, columns, shrink).sum(3)
    share = (65535 + shrink**2) // shrink**2  # of 65536
    return (sums * share >> 16).sum(1), shrink


def _is_small(view: Integers) -> bool:
    return bool(max(view.shape) < SMALL)


def _without_specks(view: Integers) -> Integers:
    """The median of 3x3 pixels; a small view as it is, where that would take strokes away."""
    if _is_small(view):
        return view
    padded = np.pad(view.astype(np.uint8), 1, "edge")
    low, middle, high = _sorted(padded[:-2], padded[1:-1], padded[2:])
    low, middle, high = (_triples(values) for values in (low, middle, high))
    last = _sorted(low.max(0), _sorted(*middle)[1], high.min(0))
    return last[1].astype(np.int64)


def _triples(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Three values beside each other: ``(3, rows, columns - 2)``."""
    return np.stack([values[:, :-2], values[:, 1:-1], values[:, 2:]])


def _sorted(
    a: npt.NDArray[Any], b: npt.NDArray[Any], c: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The smallest, the middle and the largest of three."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.minimum(low, c), np.maximum(low, np.minimum(high, c)), np.maximum(high, c)


def _counted(differences: Integers) -> Integers:
    """Every second row, which tells enough; all of a small view."""
    return differences if _is_small(differences) else differences[::2]


def _ranks(differences: Integers) -> tuple[int, int, int]:
    """The difference that few pixels reach from below, the median, and the same from above.

    Few are 1/1024, fewer than a digit has; at least 6, or 3 in every second row.
    """
    counted = _counted(differences)
    size = counted.size
    few = max(size // 1024, 6 if _is_small(differences) else 3)
    ranks = [few - 1, size // 2 - 1, size - few]
    lowest, median, highest = np.partition(counted.ravel(), ranks)[ranks]
    return int(lowest), int(median), int(highest)


def _cell_side(shape: tuple[int, ...]) -> int:
    return -(-max(shape) // CELLS)


def _pixels(cells: Mask, side: int, shape: tuple[int, ...]) -> Mask:
    """For each pixel whether its cell is in the set."""
    return cells.repeat(side, 0).repeat(side, 1)[: shape[0], : shape[1]]


def _spread(cells: Mask) -> Mask:
    """The cells of a set and those around."""
    spread: Mask = around(cells, "constant").max(0)
    return spread


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """``(top, left, bottom, right)`` around a set; the ends are outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _digit_cells(ink: Mask) -> Mask:
    """The cells that have the digit's ink.

    A cell has ink where a quarter of its pixels do. The largest component of such cells is
    the digit's, with those that are a sixteenth of it and near; and cells around with a sixth.
    """
    side = _cell_side(ink.shape)
    counts = np.zeros((CELLS * side, CELLS * side), np.int64)
    counts[: ink.shape[0], : ink.shape[1]] = ink
    counts = counts.reshape(CELLS, side, CELLS, side).sum((1, 3))
    components = _components((counts > 0) & (4 * counts >= side**2))
    kept = np.zeros((CELLS, CELLS), bool)
    if components:
        main = max(components, key=lambda one: one.sum())  # of equals, the first
        top, left, bottom, right = _box(main)
        reach = max(bottom - top, right - left) // 3 + 1
        for one in components:
            above, before, below, behind = _box(one)
            is_near = below > top - reach and above < bottom + reach
            is_near &= behind > left - reach and before < right + reach
            if is_near and 16 * one.sum() >= main.sum():
                kept |= one
    digit: Mask = kept | (_spread(kept) & (counts > 0) & (6 * counts >= side**2))
    return digit


def _components(cells: Mask) -> list[Mask]:
    """The connected sets of cells, corners included, in the order of their first cells."""
    left = set(map(tuple, np.argwhere(cells).tolist()))
    components = []
    for first in sorted(left):
        if first not in left:
            continue
        component, found = np.zeros_like(cells), [first]
        left.remove(first)
        while found:
            y, x = found.pop()
            component[y, x] = True
            beside = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= beside
            found += beside
        components.append(component)
    return components


def _image(
    levels: Integers,
    box: tuple[int, int, int, int],
    contrast: int,
    shape: tuple[int, int],
    is_small: bool,
) -> npt.NDArray[np.uint8]:
    """The image of a box, from levels above the paper: its longer side 5/7 of the image's.

    Args:
        levels: of each pixel of the view.
        box: around the digit.
        contrast: what becomes 255; a fifth of it becomes 0.
        shape: of the image.
        is_small: whether the view is: what is larger than the image's box stays as sharp as it is.
    """
    top, left, bottom, right = box
    high, wide = bottom - top, right - left
    most_rows, most_columns = (size * 5 // 7 for size in shape)
    if high * most_columns >= wide * most_rows:
        side, goal = high, most_rows
        rows, columns = goal, max((wide * goal + side // 2) // side, 1)
    else:
        side, goal = wide, most_columns
        rows, columns = max((high * goal + side // 2) // side, 1), goal
    # Each pixel is made parts x parts by interpolation.
    parts = -(-2 * goal // side) if side < (goal if is_small else 2 * goal) else 1
    padded: Integers = np.pad(levels, 1, "edge")[top : bottom + 2, left : right + 2]
    (i, down), (j, along) = (_places(size, parts) for size in (high, wide))
    above: Integers = padded[i][:, j] * (16 - along) + padded[i][:, j + 1] * along
    below: Integers = padded[i + 1][:, j] * (16 - along) + padded[i + 1][:, j + 1] * along
    level: Integers = (above * (16 - down)[:, None] + below * down[:, None] + 128) >> 8
    least, most = contrast // 5, contrast
    if parts > 2:  # Much interpolation makes strokes wide: their slopes become steeper.
        least, most = contrast * 7 // 20, contrast * 4 // 5
    gain = 255 * 256 // (most - least)
    ink = np.minimum(np.maximum(level - least, 0) * gain >> 8, 255)

    sums = shares(high * parts, rows) @ ink @ shares(wide * parts, columns).T
    area = high * parts * wide * parts
    return placed(sums, area, shape)


def placed(sums: Integers, area: int, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image of a box: its strongest places 255, its centre of mass in the middle.

    Args:
        sums: of the ink in each of its places, ``(rows, columns)``.
        area: that each sums up.
        shape: of the image, at least as large; all 0 where the box is.
    """
    values = (sums + area // 2) // area
    top_value = _strongest(values)
    values = np.where(values < top_value, values * 255 // top_value, 255)

    image = np.zeros(shape, np.uint8)
    rows, columns = values.shape
    mass = int(values.sum())
    if mass:
        y = _begin(int((values.sum(1) * np.arange(rows)).sum()), mass, rows, shape[0])
        x = _begin(int((values.sum(0) * np.arange(columns)).sum()), mass, columns, shape[1])
        image[y : y + rows, x : x + columns] = values
    return image


def _places(size: int, parts: int) -> tuple[Integers, Integers]:
    """For each part the pixel before its middle, in a box with one around; and 16ths beyond it."""
    side = 256 // parts
    place = side // 2 + 128 + np.arange(size * parts) * side
    return place >> 8, place >> 4 & 15


def shares(count: int, places: int) -> Integers:
    """How much of each of ``count`` equal parts of an axis lies in each of ``places``."""
    begin = np.arange(count) * places
    place = np.arange(places)[:, None] * count
    share: Integers = np.minimum(begin + places, place + count) - np.maximum(begin, place)
    return np.maximum(share, 0)


def area_means(picture: npt.NDArray[np.uint8], rows: int, columns: int) -> Integers:
    """The picture with fewer ``rows`` and ``columns``: exact means over areas, rounded."""
    sums = shares(picture.shape[0], rows) @ picture @ shares(picture.shape[1], columns).T
    means: Integers = (sums + picture.size // 2) // picture.size
    return means


def _strongest(values: Integers) -> int:
    """What a twentieth of the values reach; at least half of the largest, and 1."""
    largest = max(int(values.max()), 1)
    rank = max(values.size // 20, 1)
    reached = int(np.sort(values.ravel())[-rank])
    return max(reached, largest // 2, 1)


def _begin(moment: int, mass: int, size: int, side: int) -> int:
    """Where a box begins, so that its centre of mass is in the middle of ``side``."""
    return min(max(side * mass - 2 * moment, 0) // (2 * mass), side - size)
