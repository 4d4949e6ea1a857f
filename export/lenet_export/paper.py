"""The paper that ink stands on: how light it is in each of 8x8 tiles, and between them.

Pictures and lines are prepared by it, in integers whose divisions round down. In C it is the first
section that ``templates/c/picture.c`` has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

TILES = 8  # a side; fewer where they were less than 4 pixels


def tile_means(picture: Integers, most: Integers | None = None) -> Integers:
    """The mean of each tile, of its pixels up to ``most`` of the same tile; of all without it."""
    count = max(min(min(picture.shape) // 4, TILES), 2)
    rows, columns = (np.arange(count + 1) * size // count for size in picture.shape)
    is_counted = np.ones(picture.shape, np.bool_)
    if most is not None:
        is_counted = picture <= most.repeat(np.diff(rows), 0).repeat(np.diff(columns), 1)

    def total(values: Integers) -> Integers:
        return np.add.reduceat(np.add.reduceat(values, rows[:-1], 0), columns[:-1], 1)

    means: Integers = total(np.where(is_counted, picture, 0)) // total(is_counted.astype(np.int64))
    return means


def around(values: npt.NDArray[Any], mode: str) -> npt.NDArray[Any]:
    """The 3x3 values around each: ``(9, rows, columns)``; beyond the edge as ``np.pad`` has it."""
    padded = np.pad(values, 1, mode)  # type: ignore[call-overload]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return windows.reshape(*values.shape, 9).transpose(2, 0, 1)


def mean_around(tiles: Integers) -> Integers:
    """The mean of each 3x3 tiles."""
    count = around(np.ones_like(tiles), "constant").sum(0)
    means: Integers = around(tiles, "constant").sum(0) // count
    return means


def least_around(tiles: Integers) -> Integers:
    """The least of each 3x3 tiles."""
    return np.asarray(around(tiles, "edge").min(0))


def ink_is_dark(lowest: int, highest: int, border: Integers) -> bool:
    """Whether ink is darker than paper.

    Ink reaches further from the local mean than paper does, and the border is paper.

    Args:
        lowest: of the differences from the local mean, that some pixels reach.
        highest: likewise.
        border: the differences at the picture's border.
    """
    return bool((highest + lowest) * border.size < border.sum())


def at_pixels(tiles: Integers, shape: tuple[int, ...]) -> Integers:
    """The level at each pixel: between the tiles' centres, as at the nearest beyond them."""
    n = len(tiles)
    lines = []
    for size in shape:
        step = n * 65536 // size
        place = np.clip(np.arange(size) * step + step // 2 - 32768, 0, (n - 1) * 65536 - 1)
        lines.append((place >> 16, place >> 8 & 255))
    (i, down), (j, along) = lines
    rows = tiles[i] * (256 - down)[:, None] + tiles[i + 1] * down[:, None]
    level: Integers = (rows[:, j] * (256 - along) + rows[:, j + 1] * along) >> 16
    return level
