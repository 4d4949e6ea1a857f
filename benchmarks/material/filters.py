"""What the material is made with: blur, bilinear samples, and MNIST's framing; images in 0..1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]

SIDE = 28  # of MNIST's images, pixels
BOX = 20  # of the digits in them


def to_bytes(values: npt.NDArray[Any]) -> UInt8:
    """Values of 0..1, what lies outside cut off, as bytes rounded to the nearest."""
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def blur(
    images: Floats, sigma: float, mode: str = "edge", axes: tuple[int, ...] = (-2, -1)
) -> Floats:
    """Gaussian blur of ``(..., rows, columns)``, cut off at 4 ``sigma``.

    Args:
        images: to blur.
        sigma: in pixels.
        mode: of :func:`numpy.pad`: what lies around the image.
        axes: along which it is blurred.
    """
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in axes:
        around = [(0, 0)] * images.ndim
        around[axis] = (reach, reach)
        padded, size = np.pad(images, around, mode=mode), images.shape[axis]
        images = sum(
            weight * np.take(padded, np.arange(i, i + size), axis)
            for i, weight in enumerate(weights)
        )
    return images


def sample(images: Floats, y: Floats, x: Floats) -> Floats:
    """Bilinear samples at the rows ``y`` and columns ``x``; around an image is 0.

    Args:
        images: ``(images, rows, columns)``.
        y: ``(images, m, n)``, or what broadcasts to it.
        x: likewise.

    Returns:
        ``(images, m, n)``.
    """
    _, rows, columns = images.shape
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    y, x = np.clip(y + 1, 0, rows + 1), np.clip(x + 1, 0, columns + 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = y - top, x - left
    i = np.arange(len(images))[:, None, None]
    above = padded[i, top, left] * (1 - right) + padded[i, top, left + 1] * right
    below = padded[i, top + 1, left] * (1 - right) + padded[i, top + 1, left + 1] * right
    return above * (1 - down) + below * down


def box_of(ink: npt.NDArray[Any], least: float = 0) -> tuple[int, int, int, int]:
    """The box ``(top, left, bottom, right)`` of what is above ``least``; the ends are outside it.

    Raises:
        ValueError: there is none.
    """
    rows, columns = np.flatnonzero((ink > least).any(1)), np.flatnonzero((ink > least).any(0))
    if not len(rows):
        raise ValueError("there is no ink")
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def crop(ink: npt.NDArray[Any], least: float = 0) -> npt.NDArray[Any]:
    """What is in the box of the ink."""
    top, left, bottom, right = box_of(ink, least)
    return ink[top:bottom, left:right]


def resize(ink: UInt8, rows: int, columns: int) -> UInt8:
    """As Pillow does it by cubic splines: an area's mean where it becomes smaller."""
    size = max(columns, 1), max(rows, 1)
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC))


def framed(ink: UInt8) -> UInt8:
    """Ink as MNIST has it: in a box of 20x20, its strongest 255, its centre of mass in the middle.

    Args:
        ink: of any size, 0 is paper.

    Returns:
        uint8 ``(28, 28)``; all 0 where there is no ink.
    """
    if not ink.any():
        return np.zeros((SIDE, SIDE), np.uint8)
    part = crop(ink)
    scale = BOX / max(part.shape)
    small = resize(part, *(round(scale * size) for size in part.shape)).astype(float)
    small /= max(small.max(), 1)
    mass = small.sum()
    places = []
    for axis, size in enumerate(small.shape):
        centre = (small.sum(1 - axis) * (np.arange(size) + 0.5)).sum() / mass
        places.append(int(np.clip(round(SIDE / 2 - centre), 0, SIDE - size)))
    image = np.zeros((SIDE, SIDE))
    top, left = places
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return to_bytes(image)
