"""Letters and digits, printed or written with a pen, as images of a data set."""

from __future__ import annotations

import functools
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lenet_train.data import SIDE, UInt8

BOX = 20  # of a digit in its image
COARSE = 0.4  # of the glyphs are seen in few pixels
CANVAS = 96  # that ink is drawn on before it is scaled into the box

FONTS = tuple(
    f"DejaVu{face}"
    for face in ("Sans", "Sans-Bold", "Sans-Oblique", "Sans-BoldOblique", "SansMono",
                 "SansMono-Oblique", "Serif", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic")
)  # fmt: skip


def framed(ink: UInt8) -> UInt8:
    """Ink as MNIST has it: in a box of 20x20, its strongest 255, its centre of mass in the middle.

    Args:
        ink: uint8 of any size, 0 is paper.

    Returns:
        uint8 ``(28, 28)``; all 0 where there is no ink.
    """
    image = np.zeros((SIDE, SIDE), np.uint8)
    picture = Image.fromarray(ink)
    box = picture.getbbox()
    if box is None:
        return image
    part = picture.crop(box)
    scale = BOX / max(part.size)
    width, height = (max(1, round(scale * side)) for side in part.size)
    small = np.asarray(part.resize((width, height), Image.Resampling.BOX)).astype(float)
    small *= 255 / max(1.0, small.max())
    corner = [
        int(np.clip(round(SIDE / 2 - (np.arange(side) + 0.5) @ small.sum(1 - axis) / small.sum()),
                    0, SIDE - side))
        for axis, side in enumerate(small.shape)
    ]  # fmt: skip
    top, left = corner
    image[top : top + height, left : left + width] = small.round()
    return image


def printed(random: np.random.RandomState, text: str) -> UInt8:
    """A letter or digit in one of :data:`FONTS`, wider or narrower, slanted, thicker or thinner.

    Returns:
        uint8 ``(28, 28)``, framed.
    """
    font = _font(FONTS[random.randint(len(FONTS))])
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 32, int(bottom - top) + 32))
    ImageDraw.Draw(picture).text((16 - left, 16 - top), text, 255, font)
    pen = random.randint(4)
    if pen:
        change = ImageFilter.MaxFilter if pen > 1 else ImageFilter.MinFilter
        picture = picture.filter(change(2 * pen - 1 if pen > 1 else 3))
    return framed(_seen(random, picture))


@functools.lru_cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"{name}.ttf", 56)


def written(random: np.random.RandomState, strokes: str) -> UInt8:
    """What a pen writes, each point a little beside its place.

    Args:
        random: what draws.
        strokes: parted by |, their points by spaces: column and row, from 0 to 8.

    Returns:
        uint8 ``(28, 28)``, framed.
    """
    points = [
        [
            tuple(8 * (2 + int(axis) + random.normal(0, 0.35)) for axis in at)
            for at in stroke.split()
        ]
        for stroke in strokes.split("|")
    ]
    picture = Image.new("L", (CANVAS, CANVAS))
    draw(picture, points, random.randint(5, 18))
    return framed(_seen(random, picture))


def draw(picture: Image.Image, strokes: list[list[tuple[float, ...]]], pen: int) -> None:
    """Draws strokes with a round pen, ``pen`` pixels wide."""
    drawing = ImageDraw.Draw(picture)
    for stroke in strokes:
        drawing.line(stroke, 255, pen, "curve")
        for x, y in (stroke[0], stroke[-1]):
            drawing.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), 255)


def _seen(random: np.random.RandomState, picture: Image.Image) -> UInt8:
    """The picture half as wide to 1.4 times, slanted and turned; of some, as few pixels show it."""
    slant, wide = random.uniform(-0.3, 0.3), random.uniform(0.5, 1.4)
    columns, rows = picture.size
    size = round(columns * wide) + 24, rows
    matrix = 1 / wide, slant, -12 / wide - slant * rows / 2, 0, 1, 0
    changed = picture.transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    ).rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR, expand=True)
    if random.rand() < COARSE:
        changed = changed.crop(changed.getbbox())
        scale = random.uniform(8, 20) / max(changed.size)
        few = [max(1, round(scale * side)) for side in changed.size]
        coarse = np.pad(np.asarray(changed.resize(few, Image.Resampling.BOX)), 1)
        # Of what is half ink and half paper more is taken for ink.
        coarse = np.minimum(1.5 * coarse, 255).astype(np.uint8)
        fine = [4 * side for side in coarse.shape[::-1]]
        changed = Image.fromarray(coarse).resize(fine, Image.Resampling.BILINEAR)
    return np.asarray(changed)
