"""IDX files: the format of MNIST (http://yann.lecun.com/exdb/mnist, "the IDX file format")."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError

UInt8 = npt.NDArray[np.uint8]


def find(folder: Path, name: str) -> Path | None:
    """``folder/name`` or ``folder/name.gz``, whichever exists, the plain one first."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read(path: Path, dims: int) -> UInt8:
    """Reads an IDX file of unsigned bytes with ``dims`` dimensions, gzipped if named ``.gz``.

    Raises:
        UserError: the file cannot be read, is truncated, or is not such a file.
    """
    remedy = "fetch or make the file again"
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(path, f"cannot be read: {error}", remedy) from None
    header = 4 + 4 * dims
    if len(data) < header or data[:4] != bytes([0, 0, 8, dims]):
        raise UserError(
            path,
            f"starts with {data[:4].hex(' ') or 'nothing'}, expected 00 00 08 {dims:02x} "
            f"(IDX, unsigned bytes, {dims} dimensions)",
            remedy,
        )
    shape: tuple[Any, ...] = struct.unpack(f">{dims}I", data[4:header])
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise UserError(
            path,
            f"has {len(data)} bytes, expected {expected} for the shape {shape} in its header",
            remedy,
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def pack(values: UInt8) -> bytes:
    """The bytes of an IDX file that holds ``values``."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()
