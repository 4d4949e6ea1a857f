"""Where the numbers of a map lie in a value: an array of the value's shape, the *wiring*.

It holds the place of each number in its map, which goes row by row, channels last, one image after
the other; -1 where a border of zeros was put around it. So layouts (channels in front, flattened,
transposed, one image by ``vmap``) are numbers, and need no cases of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lenet_export.readers.trace import Array

#: What operations that only move numbers make of a wiring.
MOVES: dict[str, Callable[[Array, dict[str, Any]], Array]] = {
    "reshape": lambda wiring, of: wiring.reshape(of["new_sizes"]),
    "transpose": lambda wiring, of: wiring.transpose(of["permutation"]),
    "squeeze": lambda wiring, of: wiring.squeeze(of["dimensions"]),
    "rev": lambda wiring, of: np.flip(wiring, of["dimensions"]),
    "broadcast_in_dim": lambda wiring, of: wiring.reshape(of["shape"]),
    "slice": lambda wiring, of: wiring[
        tuple(
            map(slice, of["start_indices"], of["limit_indices"], of["strides"] or wiring.ndim * [1])
        )
    ],
    "copy": lambda wiring, _: wiring,
    "copy_p": lambda wiring, _: wiring,
    "stop_gradient": lambda wiring, _: wiring,
    "optimization_barrier": lambda wiring, _: wiring,
}


def fresh(count: int, *shape: int) -> Array:
    """The wiring of ``count`` images of a map of ``shape`` as it lies itself."""
    return np.arange(count * math.prod(shape)).reshape(count, *shape)


def by_place(wiring: Array, array: Any) -> Array:
    """The numbers of a value, one axis, in the order of their maps."""
    array = np.asarray(array)
    values = np.empty(wiring.size, array.dtype)
    values[wiring.ravel()] = array.ravel()
    return values


def steps_of(wiring: Array) -> list[int]:
    """How far apart two neighbours along each axis lie; 0 along an axis of one."""
    return [
        int(wiring.take(1, axis).flat[0] - wiring.take(0, axis).flat[0]) if size > 1 else 0
        for axis, size in enumerate(wiring.shape)
    ]


def without_border(wiring: Array) -> tuple[Array, list[tuple[int, int]]]:
    """A map less the zeros around it, and how many rows and columns these are."""
    inside = np.argwhere(wiring >= 0)
    low, high = inside.min(0), inside.max(0) + 1
    border = [(int(low[axis]), int(wiring.shape[axis] - high[axis])) for axis in (1, 2)]
    return wiring[tuple(slice(*pair) for pair in zip(low, high, strict=True))], border


def windows_like(first: Array, count: int, shape: tuple[int, ...]) -> tuple[tuple[int, int], Array]:
    """The rows and columns of a window, and all windows of the maps that lie side by side with it.

    Args:
        first: the places in the window.
        count: images.
        shape: of the map.

    Returns:
        Its size, and the places ``(windows, places)``, in the order of the map that a pool gives;
        none where such windows do not fill the map.
    """
    rows, columns, channels = shape
    row, column = np.divmod(first // channels % (rows * columns), columns)
    down, across = int(1 + np.ptp(row)), int(1 + np.ptp(column))
    if rows % down or columns % across:
        return (down, across), np.empty((0, 1), int)
    places = fresh(count, rows // down, down, columns // across, across, channels)
    return (down, across), places.transpose(0, 1, 3, 5, 2, 4).reshape(-1, down * across)
