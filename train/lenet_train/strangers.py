"""Images of no class: what a reader of digits must not take for one, made from a seed.

Letters and signs, printed in matplotlib's DejaVu fonts and written with a pen; what a bad cut
through a line of digits gives; scribbles; textures, noise and paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lenet_train import glyphs, pieces
from lenet_train.data import SIDE, Examples, UInt8
from lenet_train.glyphs import CANVAS, framed

Floats = npt.NDArray[Any]

#: Those that nobody would take for a digit, however they are written.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwxAEFHKMNPRXaehkmnrx#%&@?+=*$<{}^~€£"

#: Letters as a pen writes them, as :func:`glyphs.written` takes them.
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
    made = [kinds[kind](random, digits) for kind in drawn]
    return np.array(made, np.uint8).reshape(-1, SIDE, SIDE)


def _letter(random: np.random.RandomState, _: Examples) -> UInt8:
    """A printed letter or sign."""
    return glyphs.printed(random, LETTERS[random.randint(len(LETTERS))])


def _written(random: np.random.RandomState, _: Examples) -> UInt8:
    """A letter of the pen's."""
    return glyphs.written(random, STROKES[random.randint(len(STROKES))])


def _scribble(random: np.random.RandomState, _: Examples) -> UInt8:
    """One to six strokes: curves of Bezier, or lines from corner to corner."""
    picture, strokes = Image.new("L", (CANVAS, CANVAS)), []
    t = np.linspace(0, 1, 24)[:, None]
    for _stroke in range(random.randint(2, 7)):
        ends = random.uniform(8, CANVAS - 8, (4, 2))
        a, b, c, d = ends
        curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        strokes.append([tuple(point) for point in (curve if random.rand() < 0.7 else ends)])
    glyphs.draw(picture, strokes, random.randint(4, 12))
    return framed(np.asarray(picture))


def _pair(random: np.random.RandomState, digits: Examples) -> UInt8:
    """Two digits or three side by side, near or touching."""
    line, end = np.zeros((SIDE, 3 * 40), np.uint8), 0
    for place in random.randint(len(digits.images), size=2 if random.rand() < 0.8 else 3):
        ink = digits.images[place]
        columns = np.flatnonzero(ink.any(0))
        ink = ink[:, columns.min(initial=SIDE - 1) : columns.max(initial=0) + 1]
        start = max(0, end + random.randint(-3, 7)) if end else 0
        end = start + ink.shape[1]
        under = line[:, start:end]
        np.maximum(under, ink, out=under)
    return framed(line)


def _cut(random: np.random.RandomState, digits: Examples) -> UInt8:
    """What a bad cut through a line leaves: a part of a digit, or parts of two."""
    piece = pieces.draw(random, digits, of_digit=False)
    return _pair(random, digits) if piece is None else piece.image


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
    _letter: 40,
    _written: 16,
    _pair: 12,
    _cut: 14,
    _part: 8,
    _scribble: 14,
    _texture: 12,
    _noise: 12,
    _paper: 6,
}
