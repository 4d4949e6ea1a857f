"""The 15 corruptions of MNIST-C, at the severities of the published images.

Norman Mu and Justin Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019. Written
anew from the definitions; the random numbers are NumPy's of a seed, so that the images are not
those published, but drawn from the same distribution. Two operations of
libraries are written out: ImageMagick's motion blur and scikit-image's Canny edges.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from material.filters import SIDE, Floats, UInt8, blur, sample, to_bytes

Rng = np.random.Generator
CENTRE = (SIDE - 1) / 2
BATCH = 100  # images corrupted together: the map of a fog is 65,536 floats for each


def _shot_noise(x: Floats, rng: Rng) -> Floats:
    """Poisson's noise of 3 photons at white."""
    return rng.poisson(3 * x) / 3


def _impulse_noise(x: Floats, rng: Rng) -> Floats:
    """17 % of the pixels black or white, as likely."""
    hit, white = rng.random(x.shape) < 0.17, rng.random(x.shape) < 0.5
    return np.where(hit, white, x)


def _glass_blur(x: Floats, rng: Rng) -> Floats:
    """Blur, neighbours exchanged at random, twice, and blur again.

    Each blur is along the columns alone: the published images were made so, since scikit-image was
    told to take the columns for colours.
    """
    x = np.floor(255 * blur(x, 0.7, axes=(-2,)))
    each = np.arange(len(x))
    for _ in range(2):
        for row in range(SIDE - 1, 1, -1):
            for column in range(SIDE - 1, 1, -1):
                up, left = rng.integers(0, 2, (2, len(x))) * rng.integers(0, 2, len(x))
                here, there = (each, row, column), (each, row - up, column - left)
                x[here], x[there] = x[there], x[here]
    return blur(x / 255, 0.7, axes=(-2,))


def _motion_blur(x: Floats, rng: Rng) -> Floats:
    """One side of a Gaussian of 3 pixels, 21 long, along a direction of -45 to 45 degrees."""
    steps = np.arange(21)
    weights = np.exp(-0.5 * (steps / 3) ** 2)
    angles = np.radians(rng.uniform(-45, 45, len(x)))[:, None, None]
    y, x_at = np.mgrid[:SIDE, :SIDE]
    each, moved = np.arange(len(x))[:, None, None], np.zeros_like(x)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down, right = (np.ceil(step * part - 0.5) for part in (np.sin(angles), np.cos(angles)))
        rows, columns = (
            np.clip(at + by, 0, SIDE - 1).astype(int) for at, by in ((y, down), (x_at, right))
        )
        moved += weight * x[each, rows, columns]
    return moved


def _warped(x: Floats, matrix: npt.ArrayLike) -> Floats:
    """Each image through the map ``(x, y) -> matrix (x, y)`` about its centre, ``(n, 2, 2)``."""
    y, x_at = np.mgrid[:SIDE, :SIDE] - CENTRE
    (a, b), (c, d) = np.moveaxis(np.asarray(matrix, float), 0, -1)[..., None, None]
    return sample(x, c * x_at + d * y + CENTRE, a * x_at + b * y + CENTRE)


def _matrices(*rows: tuple[Floats | float, Floats | float]) -> Floats:
    """``(n, 2, 2)`` of entries that are ``(n,)`` or one number."""
    entries = np.broadcast_arrays(*(entry for row in rows for entry in row))
    return np.stack(entries, -1).reshape(-1, 2, 2)


def _signs(rng: Rng, *shape: int) -> Floats:
    """-1 or 1, as likely."""
    return rng.choice([-1.0, 1.0], shape)


def _shear(x: Floats, rng: Rng) -> Floats:
    """By 0.4 radians, to either side."""
    angle = 0.4 * _signs(rng, len(x))
    return _warped(x, _matrices((1, -np.sin(angle)), (0, np.cos(angle))))


def _scale(x: Floats, _: Rng) -> Floats:
    """To 0.7."""
    return _warped(x, np.broadcast_to(np.eye(2) / 0.7, (len(x), 2, 2)))


def _rotate(x: Floats, rng: Rng) -> Floats:
    """By 0.4 radians, to either side."""
    return rotated(x, 0.4 * _signs(rng, len(x)))


def rotated(x: Floats, angles: Floats) -> Floats:
    """Each image of ``(n, 28, 28)`` turned about its centre, radians ``(n,)``."""
    sin, cos = np.sin(angles), np.cos(angles)
    return _warped(x, _matrices((cos, -sin), (sin, cos)))


def _brightness(x: Floats, _: Rng) -> Floats:
    """Half of white added."""
    return x + 0.5


def _translate(x: Floats, rng: Rng) -> Floats:
    """3 pixels up or down, and 3 to the left or right."""
    down, right = 3 * _signs(rng, 2, len(x), 1, 1)
    y, x_at = np.mgrid[:SIDE, :SIDE]
    return sample(x, y + down, x_at + right)


def _stripe(x: Floats, _: Rng) -> Floats:
    """Inverted but for the middle 14 columns."""
    x = 1 - x
    x[..., 7:21] = 1 - x[..., 7:21]
    return x


def _plasma(rng: Rng, count: int, size: int = 256, decay: float = 1.4) -> Floats:
    """Random hills by the diamond-square algorithm, 0..1, ``(count, size, size)``, as a torus."""
    ground = np.zeros((count, size, size))
    step, rough = size, 100.0

    def hilly(sums: Floats) -> Floats:
        return sums / 4 + rough * rng.uniform(-rough, rough, sums.shape)

    while step >= 2:
        half = step // 2
        corners = ground[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, 1)
        ground[:, half::step, half::step] = hilly(pairs + np.roll(pairs, -1, 2))
        middles = ground[:, half::step, half::step]
        for rows, columns, axis in ((0, half, 1), (half, 0, 2)):
            beside = middles + np.roll(middles, 1, axis)
            ends = corners + np.roll(corners, -1, 3 - axis)
            ground[:, rows::step, columns::step] = hilly(beside + ends)
        step, rough = half, rough / decay
    ground -= ground.min((1, 2), keepdims=True)
    return ground / ground.max((1, 2), keepdims=True)


def _fog(x: Floats, rng: Rng) -> Floats:
    """Hills of three times white added, and all brought back to what was white."""
    white = x.max((1, 2), keepdims=True)
    return (x + 3 * _plasma(rng, len(x))[:, :SIDE, :SIDE]) * white / (white + 3)


def _spatter(x: Floats, rng: Rng) -> Floats:
    """Mud of a quarter of white where blurred noise is high."""
    wet = blur(rng.normal(0.65, 0.3, x.shape), 1) > 0.65
    mud = blur(wet.astype(float), 1.5)
    mud[mud < 0.8] = 0
    return x * (1 - mud) + 63 / 255 * mud


def _segment(c0: float, r0: float, c1: float, r1: float) -> Floats:
    """A line from column ``c0``, row ``r0`` to ``c1``, ``r1``; it fades over 2.3 rows."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.abs(rows - (r1 - r0) / (c1 - c0) * (columns - c0) - r0)
    ink = 1 + np.log(1 - np.minimum(distance, 2.299) / 2.3)
    inside = (columns >= np.floor(c0)) & (columns < np.ceil(c1))
    return np.where(inside, np.maximum(ink, 0), 0)


def _dotted_line(x: Floats, rng: Rng) -> Floats:
    """A line across, two columns of each four."""
    on = np.arange(SIDE) // 2 % 2 == 1
    ends = rng.integers(0, 27, (len(x), 2))
    return x + np.stack([_segment(0, left, 27, right) * on for left, right in ends])


def _zigzag_corners(r0: float, r1: float) -> Iterator[tuple[float, float]]:
    """Columns and rows of a zigzag 2 pixels high along a line from column 2 to 25."""
    theta = np.arctan((r1 - r0) / 23)
    length = 23 / np.cos(theta)
    corners = [(0.0, 0.0)]
    for i in range(int((length - 2) // 4) + 1):
        corners.append((4 * i + 2, 2 * (-1) ** i))
    rest = length - 4 * (length // 4)
    if rest:
        corners.append((length, corners[-1][1] / (2 * rest)))
    for along, across in corners:
        yield (
            2 + along * np.cos(theta) - across * np.sin(theta),
            r0 + along * np.sin(theta) + across * np.cos(theta),
        )


def _zigzag(x: Floats, rng: Rng) -> Floats:
    """A zigzag across, which climbs or falls by up to 5 rows."""
    x = x.copy()
    for image, r0, climb in zip(
        x, rng.integers(0, 27, len(x)), rng.integers(-5, 5, len(x)), strict=True
    ):
        corners = list(_zigzag_corners(r0, r0 + climb))
        for start, end in itertools.pairwise(corners):
            if start[0] != end[0]:
                image += _segment(*start, *end)
        np.minimum(image, 1, out=image)
    return x


def _slopes(x: Floats, axis: int) -> Floats:
    """Sobel's difference along ``axis`` of ``(n, rows, columns)``; the border is reflected."""
    around = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    other = 3 - axis
    ahead, behind = (np.take(around, range(first, first + SIDE), axis) for first in (2, 0))
    difference = ahead - behind
    return sum(
        weight * np.take(difference, range(first, first + SIDE), other)
        for first, weight in enumerate((1, 2, 1))
    )


def _spread(strong: npt.NDArray[np.bool_], weak: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What of ``weak`` hangs together with ``strong``, also over corners."""
    while True:
        around = np.pad(strong, ((0, 0), (1, 1), (1, 1)))
        near = np.zeros_like(strong)
        for down in range(3):
            for right in range(3):
                near |= around[:, down : down + SIDE, right : right + SIDE]
        if (near & weak == strong).all():
            return strong
        strong = near & weak


def _canny_edges(x: Floats, _: Rng) -> Floats:
    """Canny's edges: sigma 1, thresholds 0.1 and 0.2 of Sobel's slope; the border has none."""
    share = blur(np.ones_like(x[:1]), 1, "constant")
    smooth = blur(x, 1, "constant") / (share + np.finfo(float).eps)
    down, right = _slopes(smooth, 1), _slopes(smooth, 2)
    slope = np.hypot(down, right)
    # Along the slope on both sides, between two of the eight neighbours, lies less.
    y, x_at = np.mgrid[:SIDE, :SIDE]
    largest = np.maximum(np.maximum(np.abs(down), np.abs(right)), 1e-12)
    step_y, step_x = down / largest, right / largest
    ridge = slope > 0
    for way in (-1, 1):
        ridge &= slope >= sample(slope, y + way * step_y, x_at + way * step_x)
    ridge[:, [0, -1]] = False
    ridge[:, :, [0, -1]] = False
    weak = ridge & (slope >= 0.1)
    return _spread(weak & (slope >= 0.2), weak).astype(float)


#: By name: what changes images of 0..1, ``(n, 28, 28)``.
CORRUPTIONS: dict[str, Callable[[Floats, Rng], Floats]] = {
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "shear": _shear,
    "scale": _scale,
    "rotate": _rotate,
    "brightness": _brightness,
    "translate": _translate,
    "stripe": _stripe,
    "fog": _fog,
    "spatter": _spatter,
    "dotted_line": _dotted_line,
    "zigzag": _zigzag,
    "canny_edges": _canny_edges,
}


def corrupt(images: UInt8, name: str, seed: int) -> UInt8:
    """Images of MNIST changed by one of ``CORRUPTIONS``.

    Args:
        images: uint8 ``(n, 28, 28)``, 255 is ink.
        name: of the corruption.
        seed: of its random numbers; equal seeds make equal images.

    Returns:
        As many, uint8 ``(n, 28, 28)``.
    """
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    parts = [images[i : i + BATCH] / 255.0 for i in range(0, len(images), BATCH)]
    return np.concatenate([to_bytes(CORRUPTIONS[name](part, rng)) for part in parts])
