"""Fonts of the test material: matplotlib's STIX and Computer Modern, which no training sees."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from material.filters import UInt8

FOLDER = Path(matplotlib.get_data_path()) / "fonts/ttf"
#: For the tests; of training are the DejaVu fonts of the same folder, and letters made of strokes.
FONTS = (
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FOLDER / f"{name}.ttf", size)


def drawn(text: str, font: str, size: int) -> UInt8:
    """``text`` in ``font``, ``size`` pixels an em: ink 255 on 0, with 2 pixels around."""
    left, top, right, bottom = _font(font, size).getbbox(text)
    picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), text, 255, _font(font, size))
    return np.asarray(picture)
