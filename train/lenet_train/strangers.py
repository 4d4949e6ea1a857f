"""Images of no class: what a reader of digits must not take for one, made from a seed.

Letters and signs, printed in matplotlib's DejaVu fonts and written with a pen; what a bad cut
through a line of digits gives; scribbles; textures, noise and paper.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lenet_train.data import CLASSES, SIDE, Examples, UInt8

Floats = npt.NDArray[Any]

BOX = 20  # of a digit in its image
CANVAS = 96  # that ink is drawn on before it is scaled into the box

#: Those that nobody would take for a digit, however they are written.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwxAEFHKMNPRXaehkmnrx#%&@?+=*$<{}^~€£"
FONTS = tuple(
    f"DejaVu{face}"
    for face in ("Sans", "Sans-Bold", "Sans-Oblique", "Sans-BoldOblique", "SansMono",
                 "SansMono-Oblique", "Serif", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic")
)  # fmt: skip

#: Letters as a pen writes them: strokes by |, points by spaces, column and row from 0 to 8.
STROKES = """
08 40 88|15 75
82 50 20 03 05 28 58 86
80 00 08 88|04 64
80 00 08|04 64
00 08|80 88|04 84
00 08|80 04 88
00 08 88
08 00 45 80 88
08 00 88 80
08 00 60 82 64 04
08 00 60 82 64 04|44 88
00 80|40 48
00 05 28 68 85 80
00 48 80
00 28 43 68 80
00 88|80 08
00 44 80|44 48
63 23 05 18 48 65|63 66 88
60 66 48 18 06 24 54 66
05 65 53 23 05 18 58 77
72 51 32 38|04 64
00 08|05 33 65 68
00 08|63 05|25 68
03 08|05 23 44 48|45 63 84 88
03 08|05 33 65 68
03 08|05 24 53
20 26 48 67|03 63
03 48 83
03 28 45 68 83
03 68|63 08
03 37|73 18
20 28|60 68|03 83|05 85
02 82|06 86
40 48|04 84
02 20 50 72 64 45 46|48 49
10 78|12 21 30 21|57 66 75
88 00 20 44 18 06 78 85
""".splitlines()[1:]


def make(random: np.random.RandomState, count: int, digits: Examples) -> UInt8:
    """Strangers, each of a random kind of :data:`KINDS`.

    Args:
        random: what draws; equal ones make equal images.
        count: how many.
        digits: what pairs and bad cuts are made of: images uint8 ``(n, 28, 28)`` and labels.

    Returns:
        uint8 ``(count, 28, 28)``: 0 is paper, 255 ink; what has ink alone is framed as digits are,
        in a box of 20x20 with its centre of mass in the middle.
    """
    kinds = tuple(KINDS)
    shares = np.array([KINDS[kind] for kind in kinds], float)
    drawn = random.choice(len(kinds), count, p=shares / shares.sum())
    return np.stack([kinds[kind](random, digits) for kind in drawn])


def beside(examples: Examples, share: float, seed: int) -> Examples:
    """The examples, and behind them strangers of the class after the last.

    Args:
        examples: labels are numbers from 0 to 9, or probabilities.
        share: how many strangers, as a part of the examples.
        seed: of the strangers.
    """
    count = round(share * len(examples.labels))
    random = np.random.RandomState([seed, 11])
    images = np.concatenate([examples.images, make(random, count, examples)])
    if examples.labels.ndim == 1:
        others = np.full(count, CLASSES, examples.labels.dtype)
        return Examples(images, np.concatenate([examples.labels, others]))
    labels = np.zeros((len(images), CLASSES + 1), np.float32)
    labels[:-count, :CLASSES], labels[-count:, CLASSES] = examples.labels, 1
    return Examples(images, labels)


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


def _letter(random: np.random.RandomState, _: Examples) -> UInt8:
    """A printed letter or sign, wider or narrower, slanted, its strokes thicker or thinner."""
    font = _font(FONTS[random.randint(len(FONTS))])
    text = LETTERS[random.randint(len(LETTERS))]
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 32, int(bottom - top) + 32))
    ImageDraw.Draw(picture).text((16 - left, 16 - top), text, 255, font)
    pen = random.randint(4)
    if pen:
        change = ImageFilter.MaxFilter if pen > 1 else ImageFilter.MinFilter
        picture = picture.filter(change(2 * pen - 1 if pen > 1 else 3))
    return framed(_slanted(random, picture))


@functools.lru_cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"{name}.ttf", 56)


def _slanted(random: np.random.RandomState, picture: Image.Image) -> UInt8:
    """The picture stretched along its columns by up to 1.4, slanted and turned."""
    slant, wide = random.uniform(-0.3, 0.3), random.uniform(0.7, 1.4)
    columns, rows = picture.size
    size = round(columns * wide) + 24, rows
    matrix = 1 / wide, slant, -12 / wide - slant * rows / 2, 0, 1, 0
    changed = picture.transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    ).rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR, expand=True)
    return np.asarray(changed)


def _written(random: np.random.RandomState, _: Examples) -> UInt8:
    """A letter of the pen's, each point a little beside its place."""
    strokes = STROKES[random.randint(len(STROKES))].split("|")
    points = [
        [
            tuple(8 * (2 + int(axis) + random.normal(0, 0.35)) for axis in at)
            for at in stroke.split()
        ]
        for stroke in strokes
    ]
    picture = Image.new("L", (CANVAS, CANVAS))
    _draw(picture, points, random.randint(5, 13))
    return framed(_slanted(random, picture))


def _draw(picture: Image.Image, strokes: list[list[tuple[float, ...]]], pen: int) -> None:
    """Strokes with a round pen, ``pen`` pixels wide."""
    draw = ImageDraw.Draw(picture)
    for stroke in strokes:
        draw.line(stroke, 255, pen, "curve")
        for x, y in (stroke[0], stroke[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), 255)


def _scribble(random: np.random.RandomState, _: Examples) -> UInt8:
    """One to six strokes: curves of Bezier, or lines from corner to corner."""
    picture, strokes = Image.new("L", (CANVAS, CANVAS)), []
    t = np.linspace(0, 1, 24)[:, None]
    for _stroke in range(random.randint(2, 7)):
        ends = random.uniform(8, CANVAS - 8, (4, 2))
        a, b, c, d = ends
        curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        strokes.append([tuple(point) for point in (curve if random.rand() < 0.7 else ends)])
    _draw(picture, strokes, random.randint(4, 12))
    return framed(np.asarray(picture))


def _line_of(
    random: np.random.RandomState, digits: Examples, count: int
) -> tuple[UInt8, list[int]]:
    """Digits side by side, near or touching; and the columns at which each begins and ends."""
    line, edges, end = np.zeros((28, 40 * count), np.uint8), [], 0
    for i, place in enumerate(random.randint(len(digits.images), size=count)):
        ink = digits.images[place]
        columns = np.flatnonzero(ink.any(0))
        ink = ink[:, columns.min(initial=SIDE - 1) : columns.max(initial=0) + 1]
        end = max(0, end + random.randint(-3, 7)) if i else 0
        under = line[:, end : end + ink.shape[1]]
        np.maximum(under, ink, out=under)
        edges += [end, end + ink.shape[1]]
        end += ink.shape[1]
    return line[:, :end], edges


def _pair(random: np.random.RandomState, digits: Examples) -> UInt8:
    """Two digits or three."""
    line, _ = _line_of(random, digits, 2 if random.rand() < 0.8 else 3)
    return framed(line)


def _cut(random: np.random.RandomState, digits: Examples) -> UInt8:
    """A digit with a piece of its neighbour, or a piece of each: what a bad cut gives."""
    line, edges = _line_of(random, digits, 2)
    ends = [0, edges[-1]]
    for side in random.permutation(2)[: random.randint(1, 3)]:
        start, end = edges[2 * side : 2 * side + 2]
        ends[side] = round(start + random.uniform(0.35, 0.65) * (end - start))
    return framed(line[:, ends[0] : ends[1]])


def _part(random: np.random.RandomState, digits: Examples) -> UInt8:
    """About half of a digit. Few: some of them are digits themselves."""
    ink = digits.images[random.randint(len(digits.images))]
    box = Image.fromarray(ink).getbbox() or (0, 0, SIDE, SIDE)
    ends = list(box)
    side, share = random.randint(4), random.uniform(0.35, 0.6)
    start, end = ends[side % 2], ends[side % 2 + 2]
    ends[side] = round(start + share * (end - start))
    left, top, right, bottom = ends
    return framed(ink[top:bottom, left:right])


def _texture(random: np.random.RandomState, _: Examples) -> UInt8:
    """Stripes, checks, rings or clouds from edge to edge, soft or hard."""
    y, x = np.mgrid[:SIDE, :SIDE] - random.uniform(0, SIDE, (2, 1, 1))
    angle, pitch = random.uniform(0, np.pi), random.uniform(2, 14)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    turn = 2 * np.pi / pitch
    kind = random.randint(4)
    wave = (
        np.sin(turn * along),
        np.sin(turn * along) * np.sin(turn * across),
        np.sin(turn * np.hypot(x, y)),
        _clouds(random),
    )[kind]
    wave = np.sign(wave) if random.rand() < 0.5 else wave
    return _bytes(random.uniform(0.2, 1) * (1 + wave) / 2)


def _clouds(random: np.random.RandomState) -> Floats:
    """Smooth noise from -1 to 1."""
    nodes = random.randint(3, 12)
    small = Image.fromarray(random.rand(nodes, nodes).astype(np.float32))
    wave = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    clouds: Floats = 2 * (wave - wave.min()) / np.ptp(wave) - 1
    return clouds


def _noise(random: np.random.RandomState, _: Examples) -> UInt8:
    """Each pixel by itself, about a grey or on black."""
    if random.rand() < 0.5:
        return _bytes(random.normal(random.rand(), random.uniform(0.05, 0.5), (SIDE, SIDE)))
    share = random.uniform(0.01, 1)
    return _bytes(random.rand(SIDE, SIDE) * (random.rand(SIDE, SIDE) < share))


def _paper(random: np.random.RandomState, _: Examples) -> UInt8:
    """Paper in uneven light; the darkest is the empty image."""
    light = random.choice([0.0, random.rand()])
    ground = light + (light > 0) * random.uniform(0, 0.2) * _clouds(random)
    return _bytes(ground + random.normal(0, random.choice([0, 0.01, 0.03]), (SIDE, SIDE)))


def _bytes(values: Floats) -> UInt8:
    """Values of 0..1, what lies outside cut off, as bytes."""
    values = np.round(255 * np.clip(values, 0, 1))
    return values.astype(np.uint8)


#: What draws one, and how often.
KINDS: dict[Callable[[np.random.RandomState, Examples], UInt8], int] = {
    _letter: 30,
    _written: 16,
    _pair: 12,
    _cut: 14,
    _part: 8,
    _scribble: 14,
    _texture: 10,
    _noise: 10,
    _paper: 6,
}
