"""Files of pictures as grey arrays: PGM by itself, all else by Pillow, if it is installed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import packages
from lenet_export.errors import UserError
from lenet_export.preparation import LEAST, MOST

NUMBER = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
PGM = re.compile(rb"P5" + NUMBER * 3 + rb"\s")
AGAIN = "save it again, as PNG, JPEG or PGM"
LARGEST = 2**28  # pixels
WHITES = (1, 255, 65535)  # of 32 bits a pixel; else the brightest pixel is


def read(path: Path) -> npt.NDArray[np.uint8]:
    """A picture of 12 to 1,024 rows and columns: colours become grey, a larger one is shrunk.

    Raises:
        UserError: there is no such file, it is no picture, too small, or needs Pillow.
    """
    picture = grey(path)
    rows, columns = picture.shape
    shrink = -(-max(rows, columns) // MOST)
    if min(rows, columns) < LEAST * shrink:
        what = f"is {columns}x{rows} pixels: too small or too long"
        raise UserError(path, what, f"give {LEAST} pixels at least, and cut the digit out")
    rows, columns = rows // shrink, columns // shrink
    parts = picture[: rows * shrink, : columns * shrink].reshape(rows, shrink, columns, shrink)
    return np.asarray(parts.mean((1, 3)).round().astype(np.uint8))


def grey(path: Path, extra: str = "read") -> npt.NDArray[np.uint8]:
    """A picture of any size, in grey.

    Args:
        path: of its file.
        extra: of lenet-export, which brings Pillow to who asks.

    Raises:
        UserError: it cannot be read, is no picture, or needs Pillow.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(path, f"cannot be read: {reason}", "check the path") from None
    return _pgm(path, data) if data.startswith(b"P5") else _by_pillow(path, data, extra)


def _pgm(path: Path, data: bytes) -> npt.NDArray[np.uint8]:
    """A binary PGM, white as 255.

    Raises:
        UserError: its header or its pixels are not whole.
    """
    head = PGM.match(data)
    if not head:
        raise UserError(path, "has a broken header: not P5, width, height, maxval", AGAIN)
    columns, rows, white = map(int, head.groups())
    if not 1 <= white <= 65535 or not 0 < rows * columns <= LARGEST:
        raise UserError(path, f"is {columns}x{rows} pixels with a maxval of {white}", AGAIN)
    dtype = np.dtype("u1" if white < 256 else ">u2")
    pixels = data[head.end() : head.end() + rows * columns * dtype.itemsize]
    if len(pixels) < rows * columns * dtype.itemsize:
        raise UserError(path, "ends before its last pixel", "save or copy it again")
    values = np.frombuffer(pixels, dtype).reshape(rows, columns).astype(np.int64)
    scaled: npt.NDArray[Any] = (values.clip(0, white) * 255 + white // 2) // white
    return scaled.astype(np.uint8)


def _by_pillow(path: Path, data: bytes, extra: str) -> npt.NDArray[np.uint8]:
    """Any other picture, upright, its transparent parts white.

    Raises:
        UserError: Pillow is not installed, or does not know it; or it is too large.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        remedy = f"{packages.install(extra)}, or save it as PGM (P5)"
        raise UserError(path, "needs Pillow to be read", remedy) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as file, _quiet(file.format == "TIFF"):
                image = ImageOps.exif_transpose(file)
                if image.mode.startswith(("I", "F")):
                    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
                    # Such a file does not say what its white is.
                    most = next((white for white in WHITES if values.max() <= white), values.max())
                    most = 65535 if image.mode.startswith("I;16") else most
                    return (values.clip(0, most) / most * 255).round().astype(np.uint8)
                if image.has_transparency_data:
                    image = image.convert("RGBA")
                    paper = Image.new("RGBA", image.size, "white")
                    image = Image.alpha_composite(paper, image)
                return np.asarray(image.convert("L"))
    except Image.DecompressionBombError:
        raise UserError(path, "has too many pixels", "shrink it, or cut the digit out") from None
    except MemoryError:
        raise
    except Exception:  # of a damaged file, Pillow's readers raise whatever comes to them
        raise UserError(path, "is no picture that can be read", AGAIN) from None


@contextlib.contextmanager
def _quiet(is_asked: bool) -> Iterator[None]:
    """Keeps from stderr what libtiff, below Pillow, writes there of a damaged file."""
    if not is_asked:
        yield
        return
    with Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
