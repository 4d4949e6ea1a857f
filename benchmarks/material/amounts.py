"""Amounts that one writer wrote: as digits that are cut already, and as lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from material.digits import Digits
from material.filters import UInt8, box_of, crop, resize
from material.scenes import INK, LIGHTS, photographed

Rng = np.random.Generator
#: By name: shares of pairs, and the least and most pixels of paper between the ink of two digits.
SPACINGS = {
    "spaced": [(1.0, 3, 9)],
    "near": [(1.0, 0, 4)],
    "touching": [(1.0, -4, 2)],
    "mix": [(0.82, 3, 9), (0.12, 0, 3), (0.06, -3, 0)],
}
ROWS = 64  # of a line's picture
ZIP_CODE = 5  # digits of one
MARGIN = 16  # columns of paper at either end, for the slant too


@dataclass(frozen=True)
class Line:
    """A line of digits.

    Attributes:
        picture: uint8 ``(64, columns)``.
        text: its digits; no comma is among them.
        boxes: of each digit's ink, ``(top, left, bottom, right)``; the ends are outside.
        writer: of all of them.
        is_dark: whether the ink is darker than the paper.
    """

    picture: UInt8
    text: str
    boxes: tuple[tuple[int, int, int, int], ...]
    writer: int
    is_dark: bool


@dataclass(frozen=True)
class Places:
    """Where each writer's digits are.

    Attributes:
        places: of the images, by writer and by digit.
        has: whether there are any, bool ``(writers, 10)``.
    """

    places: list[list[npt.NDArray[Any]]]
    has: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, digits: Digits) -> Places:
        """Of all writers of ``digits``."""
        places = [
            [
                np.flatnonzero((digits.writers == writer) & (digits.labels == digit))
                for digit in range(10)
            ]
            for writer in np.unique(digits.writers)
        ]
        return cls(places, np.array([[len(some) > 0 for some in own] for own in places]))


def benford(length: int, rng: Rng) -> str:
    """A number of ``length`` digits by Benford's law: its logarithm is drawn evenly."""
    return str(int(10 ** (length - 1 + rng.random())))


def _written(text: str, by: Places, rng: Rng) -> list[int]:
    """Which images make ``text``, all by one writer; none twice, where the writer has so many.

    Raises:
        ValueError: no writer has all of its digits.
    """
    wanted = [int(digit) for digit in text]
    able = np.flatnonzero(by.has[:, wanted].all(1))
    if not len(able):
        raise ValueError(f"no writer has all digits of {text}")
    own = by.places[rng.choice(able)]
    places = [0] * len(text)
    for digit in sorted(set(wanted)):
        at = [i for i, other in enumerate(wanted) if other == digit]
        given = own[digit]
        for i, place in zip(at, rng.choice(given, len(at), len(at) > len(given)), strict=True):
            places[i] = int(place)
    return places


def zip_codes(digits: Digits, count: int, seed: int) -> list[list[int]]:
    """Strings of 5 digits drawn evenly, each by one writer, as places in ``digits``.

    Args:
        digits: to draw from.
        count: how many strings.
        seed: equal seeds make equal strings.
    """
    rng, by = np.random.default_rng([seed, ZIP_CODE]), Places.of(digits)
    texts = ["".join(map(str, rng.integers(0, 10, ZIP_CODE))) for _ in range(count)]
    return [_written(text, by, rng) for text in texts]


def cut(
    digits: Digits, count: int, seed: int, lengths: tuple[int, int] = (3, 7)
) -> list[list[int]]:
    """Amounts by Benford's law, each by one writer, as places in ``digits``.

    Args:
        digits: to draw from.
        count: how many amounts.
        seed: equal seeds make equal amounts.
        lengths: least and most digits, drawn evenly.
    """
    return _amounts(digits, count, np.random.default_rng([seed, *lengths]), lengths)


def _amounts(digits: Digits, count: int, rng: Rng, lengths: tuple[int, int]) -> list[list[int]]:
    by = Places.of(digits)
    least, most = lengths
    return [
        _written(benford(int(rng.integers(least, most + 1)), rng), by, rng) for _ in range(count)
    ]


def lines(
    digits: Digits, spacing: str, count: int, seed: int, light: str = "flat", ruled: float = 0.0
) -> list[Line]:
    """Amounts of 2 to 7 digits as pictures of a line.

    Digits are 26 to 32 pixels tall and vary by 10 %, their feet by 2 pixels; all are slanted by the
    same -0.15 to 0.25; of three digits and more, 30 % have a comma before the last two.

    Args:
        digits: to draw from.
        spacing: of ``SPACINGS``.
        count: how many lines.
        seed: equal seeds make equal lines.
        light: of ``scenes.LIGHTS``; no digit is turned.
        ruled: the share of lines that stand on a ruled one.
    """
    rng = np.random.default_rng([seed, list(SPACINGS).index(spacing)])
    return [
        _line(digits, places, spacing, light, bool(rng.random() < ruled), rng)
        for places in _amounts(digits, count, rng, (2, 7))
    ]


def _gap(spacing: str, rng: Rng) -> int:
    """Paper between the ink of two digits, pixels; below 0 they overlap."""
    kinds = SPACINGS[spacing]
    _, least, most = kinds[rng.choice(len(kinds), p=[share for share, *_ in kinds])]
    return int(rng.integers(least, most + 1))


def _beside(right: UInt8, digit: UInt8) -> int:
    """The column at which ``digit`` touches what ends at column ``right`` of each row."""
    reach = np.max([np.roll(right, shift) for shift in (-1, 0, 1)], axis=0)
    rows = (digit >= INK).any(1)
    left = (digit >= INK).argmax(1)
    return int((reach - left)[rows].max()) + 1


def _line(
    digits: Digits, places: list[int], spacing: str, light: str, is_ruled: bool, rng: Rng
) -> Line:
    size, slant = rng.uniform(26, 32), rng.uniform(-0.15, 0.25)
    layers, end = [], MARGIN
    width = 2 * MARGIN + 60 * (len(places) + 1)
    right = np.full(ROWS, -1000)  # the last column of ink in each row
    comma = len(places) - 3 if len(places) > 2 and rng.random() < 0.3 else None
    for i, place in enumerate(places):
        digit = crop(digits.images[place], INK - 1)
        scale = size * rng.uniform(0.9, 1.1) / 20
        digit = resize(digit, *(round(scale * side) for side in digit.shape))
        top = (ROWS - digit.shape[0]) // 2 + int(rng.integers(-2, 3))
        layer = np.zeros((ROWS, width), np.uint8)
        rows = np.zeros((ROWS, digit.shape[1]), np.uint8)
        rows[top : top + digit.shape[0]] = digit
        if i:
            # Where no ink faces ink, a digit slides under the other by half of itself at most.
            facing = _beside(right, rows) + _gap(spacing, rng)
            end = min(max(facing, end - digit.shape[1] // 2), end + 20)
        layer[:, end : end + digit.shape[1]] = rows
        has_ink = (layer >= INK).any(1)
        last = width - 1 - (layer >= INK)[:, ::-1].argmax(1)
        right = np.where(has_ink, np.maximum(right, last), right)
        end += digit.shape[1]
        layers.append(layer)
        if i == comma:
            layers.append(_comma(end, width))
            right[44:54] = np.maximum(right[44:54], end + 5)
            end += 6
    slanted = [_slanted(layer[:, : end + MARGIN], slant) for layer in layers]
    own = [layer for i, layer in enumerate(slanted) if comma is None or i != comma + 1]
    ink = np.max(slanted, axis=0)
    if is_ruled:
        rule = slice(52, 52 + int(rng.integers(1, 3)))
        ink[rule] = np.maximum(ink[rule], int(rng.integers(90, 200)))
    is_dark = bool(rng.random() < 0.5)
    return Line(
        photographed(ink, LIGHTS[light], is_dark, rng),
        "".join(str(digits.labels[place]) for place in places),
        tuple(box_of(layer, INK - 1) for layer in own),
        int(digits.writers[places[0]]),
        is_dark,
    )


def _comma(column: int, width: int) -> UInt8:
    """A comma low behind a digit that ends at ``column``."""
    layer = np.zeros((ROWS, width), np.uint8)
    layer[44:50, column + 2 : column + 5] = 220
    layer[49:53, column + 1 : column + 3] = 220
    return layer


def _slanted(layer: UInt8, slant: float) -> UInt8:
    """The layer with its upper rows moved to the right by ``slant`` of their height."""
    matrix = 1, slant, -slant * layer.shape[0] / 2, 0, 1, 0
    picture = Image.fromarray(layer)
    return np.asarray(
        picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    )
