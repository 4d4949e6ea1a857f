"""Pictures with one digit in them: at any place, of any size, in three kinds of light."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lenet_train import optdigits
from material import fonts
from material.digits import Digits
from material.filters import Floats, UInt8, blur, box_of, resize

INK = 64  # of 255: what a box must hold
SMALLEST = 24  # pixels: MNIST's square around the digit


@dataclass(frozen=True)
class Light:
    """How a picture is taken; ranges are drawn from evenly, other figures are upper bounds.

    Attributes:
        contrast: between ink and paper, least and most, of 255.
        gradient: from one side of the picture to the other, of 255.
        vignette: what the corners lose, of 255.
        noise: its standard deviation, of 255.
        specks: the share of pixels that are black or white.
        blur: its sigma in pixels.
        turn: of the digit, degrees to either side.
        jpeg: qualities, least and most; or ``None``.
    """

    contrast: tuple[float, float]
    gradient: float = 0
    vignette: float = 0
    noise: float = 0
    specks: float = 0
    blur: float = 0
    turn: float = 0
    jpeg: tuple[int, int] | None = None


LIGHTS = {
    "flat": Light((100, 220)),
    "camera": Light((80, 200), gradient=64, noise=12, blur=0.6, turn=8),
    "hard": Light((60, 160), 128, 40, 25, 0.01, 1, 8, (25, 90)),
}


@dataclass(frozen=True)
class Scene:
    """A picture of one digit.

    Attributes:
        picture: uint8 ``(rows, columns)``.
        label: of the digit.
        box: ``(top, left, bottom, right)`` around its ink; the ends are outside.
        is_dark: whether the ink is darker than the paper.
    """

    picture: UInt8
    label: int
    box: tuple[int, int, int, int]
    is_dark: bool

    @property
    def share(self) -> float:
        """How long the digit's longer side is, of the picture's."""
        top, left, bottom, right = self.box
        return max(bottom - top, right - left) / max(self.picture.shape)


def photographed(ink: UInt8, light: Light, is_dark: bool, rng: np.random.Generator) -> UInt8:
    """A picture of ``ink`` (0 is paper, 255 full) on paper, in such a light."""
    rows, columns = ink.shape
    shade = _shade(rows, columns, light, rng)
    contrast = rng.uniform(*light.contrast)
    # Paper and ink stay within 0..255 wherever the shade is: else ink would be lost.
    spare = max(255 - contrast - np.ptp(shade), 0)
    picture = ink / 255 * contrast
    if light.blur:
        picture = blur(picture, rng.uniform(0.05, light.blur))
    level = rng.uniform(0, spare)
    picture = (255 - level - picture if is_dark else level + picture) + (
        shade - (shade.max() if is_dark else shade.min())
    )
    picture = picture + rng.normal(0, rng.uniform(0, light.noise), ink.shape)
    hit = rng.random(ink.shape) < rng.uniform(0, light.specks)
    picture = np.where(hit, rng.choice([0, 255], ink.shape), picture)
    picture = np.round(np.clip(picture, 0, 255)).astype(np.uint8)
    return (
        picture
        if light.jpeg is None
        else _through_jpeg(picture, int(rng.integers(*light.jpeg, endpoint=True)))
    )


def _shade(rows: int, columns: int, light: Light, rng: np.random.Generator) -> Floats:
    """What the light adds at each pixel: a slope in some direction, and darker corners."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * x + np.sin(angle) * y) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    slope = rng.uniform(0, light.gradient) / 2 * slope
    return slope - rng.uniform(0, light.vignette) * (x**2 + y**2) / 2


def _through_jpeg(picture: UInt8, quality: int) -> UInt8:
    """The picture as JPEG of that quality gives it back."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def make(digits: Digits, kind: str, count: int, seed: int) -> list[Scene]:
    """Scenes of 64x64 to 320x240 with one digit each.

    MNIST's square around the digit is 24 pixels to 95 % of the shorter side, at any place.

    Args:
        digits: to draw from.
        kind: of ``LIGHTS``.
        count: how many.
        seed: equal seeds make equal scenes.
    """
    rng = np.random.default_rng([seed, list(LIGHTS).index(kind)])
    return [_scene(digits, LIGHTS[kind], rng) for _ in range(count)]


def _scene(digits: Digits, light: Light, rng: np.random.Generator) -> Scene:
    rows, columns = int(rng.integers(64, 241)), int(rng.integers(64, 321))
    at = int(rng.integers(len(digits.labels)))
    most = 0.95 * min(rows, columns)
    side = round(SMALLEST * (most / SMALLEST) ** rng.random())  # as many small as large
    square = resize(digits.images[at], side, side)
    turned = Image.fromarray(square).rotate(
        rng.uniform(-light.turn, light.turn), Image.Resampling.BICUBIC
    )
    ink = np.zeros((rows, columns), np.uint8)
    top, left = (int(rng.integers(size - side + 1)) for size in ink.shape)
    ink[top : top + side, left : left + side] = np.asarray(turned)
    is_dark = bool(rng.random() < 0.5)
    picture = photographed(ink, light, is_dark, rng)
    return Scene(picture, int(digits.labels[at]), box_of(ink, INK - 1), is_dark)


def printed(seed: int, sizes: tuple[int, ...] = (24, 32, 48, 64, 96, 160)) -> list[Scene]:
    """Each digit in each font of the tests and each size (pixels an em), noise of 5, dark ink."""
    rng = np.random.default_rng(seed)
    light = Light((150, 220), noise=5)
    scenes = []
    for font in fonts.FONTS:
        for size in sizes:
            for digit in range(10):
                ink = np.pad(fonts.drawn(str(digit), font, size), size // 4)
                picture = photographed(ink, light, True, rng)
                scenes.append(Scene(picture, digit, box_of(ink, INK - 1), True))
    return scenes


def eights() -> list[Scene]:
    """UCI's 1,797 digits of 8x8, bright on black, with 2 pixels of black around."""
    images, labels = optdigits.load()
    pictures = np.pad(images * (255 / 16), ((0, 0), (2, 2), (2, 2))).round().astype(np.uint8)
    return [
        Scene(picture, int(label), box_of(picture, INK - 1), False)
        for picture, label in zip(pictures, labels, strict=True)
    ]
