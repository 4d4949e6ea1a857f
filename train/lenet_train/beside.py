"""What is learned beside a data set of clean digits: images of no class, and digits of other hands.

The digits are printed, written as MNIST's writers do not, or cut out of a line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lenet_train import glyphs, pieces, strangers
from lenet_train.architectures import CLASSES
from lenet_train.data import SIDE, Examples, UInt8
from lenet_train.recipes import Recipe

#: By digit, as :func:`glyphs.written` takes them: with flags, feet and bars, open or not.
STROKES = {
    0: ["40 21 03 05 27 48 67 85 83 61 40", "30 11 03 06 28 48 66 63 51 30",
        "40 13 16 48 66 63 40|61 17"],
    1: ["40 48", "23 40 48", "14 50 48", "23 40 48|18 68", "22 41 48|28 68", "15 50 58",
        "24 41 48", "13 40 48"],
    2: ["02 20 50 62 44 08 68", "12 30 61 63 36 08 78", "02 20 60 63 36 17 16 26 47 77"],
    3: ["01 20 50 62 44 65 67 48 18 07", "00 70 34 54 66 48 18 07", "11 30 60 63 34 64 67 38 17"],
    4: ["50 06 76|50 58", "20 05 75|50 58", "30 05 65|54 48", "40 14 26 66|64 48",
        "10 04 36 65|60 58", "20 14 65|50 48", "50 05 15 66|63 47",
        "40 22 04 15 45 62|62 54 38", "50 23 05 16 46 63|63 56 38", "40 03 05 36 54 62 56 48"],
    5: ["70 20 14 53 74 66 48 18", "60 10 03 43 65 57 38 07", "20 24 44 66 57 38 18|20 70"],
    6: ["50 12 05 17 38 57 65 43 14", "60 23 06 28 58 66 44 14", "20 14 17 48 67 65 44 15"],
    7: ["00 70 38", "02 00 70 38", "00 70 38|24 64", "00 60 34 28", "02 10 61 70 44 38|34 74"],
    8: ["40 11 22 65 67 48 18 07 15 62 61 40", "60 20 11 13 54 66 57 28 06 15 53 62 60"],
    9: ["62 40 11 13 34 63 61 65 58", "60 30 11 13 44 62 60 48", "61 30 11 23 44 62 61 66 38 17",
        "60 30 12 24 54 61 65 58 18", "62 30 11 23 53 62 66 58 08"],
}  # fmt: skip


def beside(examples: Examples, recipe: Recipe, seed: int) -> Examples:
    """The examples, and behind them strangers, of the class after the last, and further digits.

    Args:
        examples: labels are numbers from 0 to 9, or probabilities.
        recipe: how many of both, as parts of the examples.
        seed: of both.
    """
    random = np.random.RandomState([seed, 11])
    images, labels = examples.images, examples.labels
    of_none, of_digits = (
        round(share * len(labels)) for share in (recipe.strangers, recipe.more_digits)
    )
    known = labels if labels.ndim == 1 else labels.argmax(1).astype(np.uint8)
    given = Examples(images, known)
    more, none = make(random, of_digits, given), strangers.make(random, of_none, given)
    others = np.concatenate([np.full(of_none, CLASSES, np.uint8), more.labels])
    if labels.ndim == 2:
        outputs = CLASSES + bool(recipe.strangers)
        labels = np.pad(labels, ((0, 0), (0, outputs - CLASSES)))
        others = np.eye(outputs, dtype=labels.dtype)[others]
    images = np.concatenate([images, none, more.images])
    return Examples(images, np.concatenate([labels, others]))


def make(random: np.random.RandomState, count: int, digits: Examples) -> Examples:
    """Digits of other hands.

    Args:
        random: what draws; equal ones make equal images.
        count: how many.
        digits: what lines are made of: images uint8 ``(n, 28, 28)``, and numbers for labels.

    Returns:
        images uint8 ``(count, 28, 28)``, framed as digits are, and their labels.
    """
    made = [KINDS[kind](random, digits) for kind in random.randint(len(KINDS), size=count)]
    images = np.array([image for image, _ in made], np.uint8).reshape(-1, SIDE, SIDE)
    return Examples(images, np.array([label for _, label in made], np.uint8))


def _printed(random: np.random.RandomState, _: Examples) -> tuple[UInt8, int]:
    digit = random.randint(CLASSES)
    return glyphs.printed(random, str(digit)), digit


def _written(random: np.random.RandomState, _: Examples) -> tuple[UInt8, int]:
    digit = random.randint(CLASSES)
    return glyphs.written(random, STROKES[digit][random.randint(len(STROKES[digit]))]), digit


def _cut(random: np.random.RandomState, digits: Examples) -> tuple[UInt8, int]:
    piece = pieces.draw(random, digits, of_digit=True)
    if piece is None:
        return _printed(random, digits)
    return piece


#: What draws a digit and its label.
KINDS: tuple[Callable[[np.random.RandomState, Examples], tuple[UInt8, int]], ...] = (
    _printed,
    _written,
    _cut,
)
