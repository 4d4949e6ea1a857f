"""28x28 images that are no digit: what a reader must not accept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from material import fonts
from material.digits import Digits
from material.filters import SIDE, UInt8, blur, crop, framed, resize, to_bytes

Rng = np.random.Generator
LIKE_DIGITS = "DGIJOQSTZBbgijloqsyz!/"
UNLIKE_DIGITS = "ACEFHKLMNPRUVWXYacdefhkmnprtuvwx%&+=@?#"


def _letter(letters: str) -> Callable[[Digits, Rng], UInt8]:
    """What draws one of ``letters`` in a font of the tests, slanted as hands do, and framed."""

    def draw(_: Digits, rng: Rng) -> UInt8:
        ink = fonts.drawn(str(rng.choice(list(letters))), str(rng.choice(fonts.FONTS)), 64)
        ink = np.pad(ink, 16)
        slant = rng.uniform(-0.2, 0.2)
        matrix = 1, slant, -slant * ink.shape[0] / 2, 0, 1, 0
        sheared = Image.fromarray(ink).transform(
            ink.shape[::-1], Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        turned = sheared.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR)
        return framed(np.asarray(turned))

    return draw


def _any(digits: Digits, rng: Rng) -> UInt8:
    """A digit's ink."""
    return crop(digits.images[rng.integers(len(digits.images))])


def _two_digits(digits: Digits, rng: Rng) -> UInt8:
    """Two digits side by side, as tall as each other."""
    left, right = (
        resize(ink, 40, round(40 * ink.shape[1] / ink.shape[0]))
        for ink in (_any(digits, rng), _any(digits, rng))
    )
    gap = np.zeros((40, rng.integers(1, 8)), np.uint8)
    return framed(np.concatenate([left, gap, right], axis=1))


def _part(digits: Digits, rng: Rng) -> UInt8:
    """Half of a digit: left, right, upper or lower; some are digits themselves."""
    ink = _any(digits, rng)
    rows, columns = ink.shape
    halves = ink[:, : columns // 2], ink[:, columns // 2 :], ink[: rows // 2], ink[rows // 2 :]
    whole = [half for half in halves if half.any()]
    return framed(whole[rng.integers(len(whole))])


def _scribble(_: Digits, rng: Rng) -> UInt8:
    """Two to five curves with a pen of 6 to 14 of 112 pixels, framed."""
    picture = Image.new("L", (112, 112))
    pen, draw = int(rng.integers(6, 15)), ImageDraw.Draw(picture)
    t = np.linspace(0, 1, 40)[:, None]
    for _ in range(rng.integers(2, 6)):
        a, b, c, d = rng.uniform(8, 104, (4, 2))
        curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        draw.line([tuple(point) for point in curve], 255, pen, "curve")
    return framed(np.asarray(picture))


def _texture(_: Digits, rng: Rng) -> UInt8:
    """A grating, a board, rings or clouds, from edge to edge."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, pitch, phase = rng.uniform(0, np.pi), rng.uniform(2, 12), rng.uniform(0, 2 * np.pi)
    along, across = (np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)
    turn = 2 * np.pi / pitch
    centre = rng.uniform(0, SIDE, 2)
    clouds = blur(rng.normal(size=(SIDE, SIDE)), rng.uniform(1, 4))
    waves = (
        np.sin(turn * along + phase),
        np.sin(turn * along + phase) * np.sin(turn * across),
        np.sin(turn * np.hypot(y - centre[0], x - centre[1])),
        clouds / np.abs(clouds).max(),
    )
    wave = waves[rng.integers(len(waves))]
    if rng.random() < 0.5:
        wave = np.sign(wave)
    return to_bytes(rng.uniform(0.3, 1) * (1 + wave) / 2)


def _noise(_: Digits, rng: Rng) -> UInt8:
    """White noise about some grey, or white specks on black."""
    if rng.random() < 0.5:
        return to_bytes(rng.normal(rng.random(), rng.uniform(0.05, 0.5), (SIDE, SIDE)))
    return to_bytes(rng.random((SIDE, SIDE)) * (rng.random((SIDE, SIDE)) < rng.uniform(0.02, 1)))


def _blank(_: Digits, rng: Rng) -> UInt8:
    """Paper in slanting light, with a sensor's noise."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    slopes = rng.uniform(-0.2, 0.2, 2)
    paper = rng.random() + slopes[0] * y + slopes[1] * x
    return to_bytes(paper + rng.normal(0, rng.uniform(0, 0.02), (SIDE, SIDE)))


#: By name: what draws one, uint8 ``(28, 28)``.
KINDS: dict[str, Callable[[Digits, Rng], UInt8]] = {
    "letters unlike digits": _letter(UNLIKE_DIGITS),
    "letters like digits": _letter(LIKE_DIGITS),
    "two digits": _two_digits,
    "parts of a digit": _part,
    "scribbles": _scribble,
    "textures": _texture,
    "noise": _noise,
    "blanks": _blank,
}


def make(digits: Digits, count: int, seed: int) -> dict[str, UInt8]:
    """Strangers by kind, uint8 ``(n, 28, 28)``; with all greys, and the empty image.

    Args:
        digits: of which some are made.
        count: of each kind but the flat greys, which are 255, and the empty image, which is one.
        seed: equal seeds make equal images.
    """
    made = {}
    for place, (name, draw) in enumerate(KINDS.items()):
        rng = np.random.default_rng([seed, place])
        made[name] = np.stack([draw(digits, rng) for _ in range(count)])
    greys = np.arange(256, dtype=np.uint8)[:, None, None]
    flat = np.broadcast_to(greys, (256, SIDE, SIDE))
    return made | {"flat greys": flat[1:], "the empty image": flat[:1]}
