"""Small pictures for a page: PNG as the text of an address that holds it."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def of_image(image: Array) -> str:
    """An image, uint8 ``(rows, columns, channels)``; of other than 3 channels their mean."""
    rows, columns, channels = image.shape
    if channels == 3:
        return _png(image)
    grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
    return _png(np.broadcast_to(grey, (rows, columns, 3)))


def of_weights(weights: Array) -> str:
    """Weights ``(rows, columns, channels)``, channel below channel: red above 0, blue below."""
    rows, columns, channels = weights.shape
    share = np.moveaxis(weights, 2, 0).reshape(channels * rows, columns).astype(np.float64)
    share /= np.abs(share).max() or 1.0
    # What is far from 0 loses the other colours.
    red, blue = 1 + np.minimum(share, 0), 1 - np.maximum(share, 0)
    return _png((255 * np.stack([red, np.minimum(red, blue), blue], axis=2)).astype(np.uint8))


def _png(pixels: Array) -> str:
    """Pixels, uint8 ``(rows, columns, 3)``, as a PNG in a ``data:`` address."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(lines, 9)), _chunk(b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
